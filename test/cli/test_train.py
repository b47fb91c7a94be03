# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import yaml

from dynamic_dnn_ros.cli.main import main
from support.training import colour_pictures, training_configuration, write_folder


def _write(folder, **changes):
    values = {}
    for name, value in vars(training_configuration(folder, **changes)).items():
        plain = str(value) if isinstance(value, Path) else value
        values[name] = list(plain) if isinstance(plain, tuple) else plain
    path = folder / 'colours.yaml'
    path.write_text(yaml.safe_dump(values))
    return path


def test_it_trains_and_says_what_it_wrote(tmp_path, capsys):
    write_folder(tmp_path / 'train', colour_pictures(100))
    write_folder(tmp_path / 'test', colour_pictures(20, seed=1))
    path = _write(tmp_path, epochs=1, candidates=2, sub_networks=2)
    assert main(['train', str(path), '--quiet']) == 0
    output = capsys.readouterr().out
    assert 's0: accuracy' in output
    assert str(tmp_path / 'bundle') in output
    assert (tmp_path / 'bundle' / 'manifest.json').is_file()


def test_bad_input_is_one_line_that_names_it(tmp_path, capsys):
    assert main(['train', str(tmp_path / 'nonesuch.yaml')]) == 1
    assert 'nonesuch.yaml' in capsys.readouterr().err
    path = _write(tmp_path)
    assert main(['train', str(path), '--quiet']) == 1
    error = capsys.readouterr().err
    assert str(tmp_path / 'train') in error
    assert 'Traceback' not in error
