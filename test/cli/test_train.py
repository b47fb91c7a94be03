# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import yaml

from dynamic_dnn_ros.cli.main import main
from support.training import colour_pictures, training_mapping, write_folder


@pytest.fixture
def path(tmp_path):
    write_folder(tmp_path / 'train', colour_pictures(40))
    write_folder(tmp_path / 'test', colour_pictures(20, seed=1))
    phases = [{'name': 'all', 'rule': 'sandwich', 'epochs': 1, 'learning_rate': 0.02}]
    path = tmp_path / 'colours.yaml'
    path.write_text(yaml.safe_dump(training_mapping(tmp_path, phases=phases)))
    return path


def test_it_trains_and_says_what_it_wrote(path, capsys):
    assert main(['train', str(path), '--quiet']) == 0
    output = capsys.readouterr().out
    assert 's0: accuracy' in output
    assert output.count('accuracy: top-1 on 20 pictures, standard error ') == 1
    assert str(path.parent / 'bundle') in output
    assert (path.parent / 'bundle' / 'manifest.json').is_file()


def test_it_trains_one_architecture_alone(path, capsys):
    assert main(['train', str(path), '--alone', 'smallest', '--quiet']) == 0
    output = capsys.readouterr().out
    assert 'smallest trained alone: accuracy' in output
    assert str(path.parent / 'work' / 'alone_smallest' / 'result.json') in output
    assert not (path.parent / 'bundle').exists()


def test_bad_input_is_one_line_that_names_it(path, capsys):
    assert main(['train', str(path.parent / 'nonesuch.yaml')]) == 1
    assert 'nonesuch.yaml' in capsys.readouterr().err
    assert main(['train', str(path), '--alone', 's3', '--quiet']) == 1
    assert str(path.parent / 'bundle') in capsys.readouterr().err
    (path.parent / 'train' / 'class_0' / '0000.png').write_bytes(b'no picture')
    assert main(['train', str(path), '--quiet']) == 1
    error = capsys.readouterr().err
    assert 'class_0/0000.png: it is no picture' in error
    assert 'Traceback' not in error
