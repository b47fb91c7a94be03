# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import yaml

from dynamic_dnn_ros.cli.main import main
from support.bundles import make_bundle
from support.detection import detection_mapping, write_boxes
from support.search import SETTINGS, make_search


def test_it_searches_and_says_what_it_found(tmp_path, capsys):
    make_search(tmp_path)
    arguments = ['--quiet', '--jobs', '1', '--generations', '1', '--population', '5']
    assert main(['search', str(tmp_path / 'search.yaml'), *arguments]) == 0
    output = capsys.readouterr().out
    assert 'on the front' in output
    assert 's0' in output
    assert 'rank correlation' in output
    for which, count in (('held-out', 60), ('test', 40)):
        (line,) = [each for each in output.splitlines() if each.startswith(f'{which} accuracy: ')]
        assert f'top-1 on {count} pictures, standard error ' in line
    assert f'written: {tmp_path / "bundle"}' in output
    assert output.splitlines()[-1] == f'next: dynamic-dnn profile {tmp_path / "bundle"}'


def test_a_front_smaller_than_asked_for_is_said(tmp_path, capsys):
    make_search(tmp_path, search={**SETTINGS, 'sub_networks': 40})
    arguments = ['--quiet', '--jobs', '1', '--generations', '1']
    assert main(['search', str(tmp_path / 'search.yaml'), *arguments]) == 0
    assert 'fewer than the 40 sub-networks asked for' in capsys.readouterr().out


def test_a_joint_search_of_a_detector_names_the_task_and_what_to_do(tmp_path, capsys):
    mapping = detection_mapping(write_boxes(tmp_path))
    path = tmp_path / 'squares.yaml'
    path.write_text(yaml.safe_dump(mapping), encoding='utf-8')
    assert main(['search', str(path), '--joint', '--quiet']) == 1
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert "'squares' is trained for detection" in error
    assert 'Search without --joint' in error and 'dynamic-dnn cascade' in error


def test_bad_input_is_one_line_that_names_it(tmp_path, capsys):
    def refused(*arguments):
        assert main(['search', str(tmp_path / 'search.yaml'), '--quiet', *arguments]) == 1
        error = capsys.readouterr().err
        assert error.count('\n') == 1
        return error

    assert 'search.yaml' in refused()
    make_search(tmp_path, search={'engine': 'nonesuch'})
    assert "engine 'nonesuch' is unknown" in refused()
    make_search(tmp_path, search={'generation': 1})
    assert 'unknown field search.generation' in refused()
    make_search(tmp_path)
    assert '--jobs is 0' in refused('--jobs', '0')
    assert 'search.population is 1' in refused('--population', '1')
    (tmp_path / 'bundle' / 'weights.safetensors').write_bytes(b'short')
    assert 'weights.safetensors' in refused()
    make_bundle(tmp_path / 'bundle')
