# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import json
from pathlib import Path
import threading
from typing import Any

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines import automatic
from dynamic_dnn_ros.engines.automatic import (
    Trial,
    fastest_engine,
    main,
    measured_sub_networks,
    verdict,
)
from dynamic_dnn_ros.engines.contract import EngineError, Precision
from dynamic_dnn_ros.engines.graph_source import cache_folder, cache_work
from dynamic_dnn_ros.engines.registry import create_engine

RIGHT = {'s0': {'logits': [[1.0, -1.0, 0.0]]}, 's2': {'logits': [[3.0, 0.0, -3.0]]}}
WRONG = {**RIGHT, 's2': {'logits': [[0.0, 3.0, -3.0]]}}


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return cache_folder()


def trial(name: str, milliseconds: tuple[float, float], answers: dict[str, Any]) -> Trial:
    return Trial(name, {'s0': milliseconds[0] / 1e3, 's2': milliseconds[1] / 1e3}, answers)


def test_takes_the_fastest_over_all_sizes(plain_bundle: Bundle) -> None:
    trials = [
        trial('torch', (1.0, 10.0), RIGHT),
        trial('onnxruntime', (0.5, 8.0), RIGHT),
        trial('openvino', (0.2, 12.0), RIGHT),
    ]
    name, reasons = verdict(trials, plain_bundle)
    assert name == 'openvino'
    assert reasons[1] == 'onnxruntime: s0 0.50 ms, s2 8.00 ms'


def test_drops_what_answers_otherwise(plain_bundle: Bundle) -> None:
    trials = [trial('torch', (1.0, 10.0), RIGHT), trial('openvino', (0.1, 1.0), WRONG)]
    name, reasons = verdict(trials, plain_bundle)
    assert name == 'torch' and 'depart by 100%: not taken' in reasons[1]
    infinite = {**RIGHT, 's0': {'logits': [[float('nan')] * 3]}}
    name, _ = verdict([trials[0], trial('openvino', (0.1, 1.0), infinite)], plain_bundle)
    assert name == 'torch'


def test_the_recorded_answer_is_the_right_one(bundle: Bundle) -> None:
    entry = bundle.manifest.sub_networks[0]
    prepared = create_engine('torch', bundle, 1).prepare(entry, 'cpu')
    from dynamic_dnn_ros.engines.verification import response

    recorded = replace(bundle, responses={entry.id: response(prepared)})
    answer = recorded.responses[entry.id]['logits'][:1]
    first = Trial('torch', {entry.id: 1.0}, {entry.id: {'logits': (-answer).tolist()}})
    second = Trial('openvino', {entry.id: 2.0}, {entry.id: {'logits': answer.tolist()}})
    assert verdict([first, second], recorded)[0] == 'openvino'


def test_says_why_none_is_of_use(plain_bundle: Bundle) -> None:
    trials = [Trial('torch', {}, {}, 'it broke'), Trial('openvino', {}, {}, 'it broke too')]
    assert verdict(trials, plain_bundle) == ('', ['torch: it broke', 'openvino: it broke too'])


def test_measures_the_smallest_the_middle_and_the_largest(bundle: Bundle) -> None:
    first, middle, last = bundle.manifest.sub_networks
    assert measured_sub_networks([last, first, middle]) == [first, middle, last]
    assert measured_sub_networks([last, first]) == [first, last]
    assert measured_sub_networks([last]) == [last]


def test_measures_once_and_says_it_once(
    bundle: Bundle, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    names = ('torch', 'absent')
    chosen = fastest_engine(bundle, 1, Precision.FLOAT32, said.append, lambda: names)
    assert chosen == 'torch'
    assert len(said) == 1 and 'torch: s0 ' in said[0] and "engine 'absent' is unknown" in said[0]
    assert [path.name[:7] for path in own_cache.glob('[!.]*')] == ['engine_']
    assert [path.name for path in own_cache.glob('.*')] == ['.measure.lock']

    measured: list[object] = []

    def trials(*arguments: object) -> list[Trial]:
        measured.append(arguments)
        return [trial('absent', (1.0, 1.0), RIGHT)]

    monkeypatch.setattr(automatic, '_trials', trials)
    assert fastest_engine(bundle, 1, Precision.FLOAT32, said.append, lambda: names) == 'torch'
    assert len(said) == 1 and measured == []
    # Other circumstances, and it is measured again.
    assert fastest_engine(bundle, 2, Precision.FLOAT32, said.append, lambda: names) == 'absent'
    assert len(measured) == 1


def test_who_waited_for_another_process_takes_what_that_one_found(
    bundle: Bundle, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[object] = []

    def trials(*arguments: object) -> list[Trial]:
        measured.append(arguments)
        return [trial('torch', (1.0, 1.0), RIGHT)]

    def choose(say: Callable[[str], None]) -> str:
        return fastest_engine(bundle, 1, Precision.FLOAT32, say, lambda: ('torch',))

    monkeypatch.setattr(automatic, '_trials', trials)
    choose(lambda text: None)
    (verdict_file,) = own_cache.glob('engine_*.json')
    found = verdict_file.read_bytes()
    verdict_file.unlink()
    waits, chosen = threading.Event(), []
    with cache_work('measure', print):
        second = threading.Thread(target=lambda: chosen.append(choose(lambda _: waits.set())))
        second.start()
        assert waits.wait(30)
        verdict_file.write_bytes(found)
        assert chosen == []
    second.join(30)
    assert chosen == ['torch'] and len(measured) == 1


def test_the_cache_keeps_nothing_of_what_was_killed(own_cache: Path) -> None:
    (own_cache / '.measure_1').mkdir(parents=True)
    (own_cache / '.measure_1' / 'weights').touch()
    with cache_work('measure', print) as work:
        assert list(own_cache.glob('.measure_*')) == [work]
        assert list(work.iterdir()) == []
    assert list(own_cache.glob('.measure_*')) == []


def test_no_engine_at_all(bundle: Bundle, own_cache: Path) -> None:
    with pytest.raises(EngineError, match='no engine is installed'):
        fastest_engine(bundle, 1, Precision.FLOAT32, print, lambda: ())
    with pytest.raises(EngineError, match=r"no installed engine runs.*'absent' is unknown"):
        fastest_engine(bundle, 1, Precision.FLOAT32, print, lambda: ('absent',))


def test_a_cache_that_cannot_be_written(bundle: Bundle, own_cache: Path) -> None:
    own_cache.parent.write_bytes(b'a file where the folder should be')
    with pytest.raises(EngineError, match=r'dynamic_dnn_ros cannot be written .*XDG_CACHE_HOME'):
        fastest_engine(bundle, 1, Precision.FLOAT32, print, lambda: ('torch',))


def test_as_a_program(
    bundle: Bundle, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automatic, 'SECONDS', 0.0)
    assert main([str(bundle.folder), 'torch', '1', 'float32']) == 0
    found = Trial(**json.loads(capsys.readouterr().out))
    assert found.problem == '' and set(found.latencies) == {'s0', 's1', 's2'}
    assert all(seconds > 0 for seconds in found.latencies.values())
    assert np.shape(found.answers['s0']['logits']) == (1, 10)
