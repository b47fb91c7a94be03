# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cascades, with every engine."""

from __future__ import annotations

from dataclasses import replace
import gc
from pathlib import Path

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.writer import write_bundle
from dynamic_dnn_ros.engines.automatic import measured_sub_networks
from dynamic_dnn_ros.engines.cascade import CascadeEngine, without_cascades
from dynamic_dnn_ros.engines.checks import answers_of, check_engine
from dynamic_dnn_ros.engines.contract import Engine, EngineError, PreparedSubNetwork, Stage
from dynamic_dnn_ros.engines.registry import ENGINE_NAMES, create_engine, installed_engines
from dynamic_dnn_ros.engines.verification import (
    ResponseError,
    VerifyingEngine,
    responses_of,
    verify_recorded,
)
from support.cascades import cascade, with_cascades
from support.gated_engine import GatedEngine


@pytest.fixture(scope='module')
def cascading(bundle: Bundle) -> Bundle:
    return with_cascades(bundle)


@pytest.fixture(params=ENGINE_NAMES)
def engine(request: pytest.FixtureRequest, cascading: Bundle) -> Engine:
    if request.param not in installed_engines():
        pytest.skip(f'{request.param} is not installed')
    if request.param != 'torch':
        pytest.importorskip('onnx', reason='the graphs of the engine are made with it')
    return create_engine(request.param, cascading, threads=1)


def picture(sub_network: SubNetwork, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*sub_network.size, 3), np.uint8)


def test_an_engine_with_cascades_keeps_the_contract(cascading: Bundle, engine: Engine) -> None:
    reference = create_engine('torch', without_cascades(cascading), 1)

    def answers(entry: SubNetwork, pixels: np.ndarray) -> object:
        # The largest path ends with the last stage.
        last = entry.stages[-1].sub_network if entry.stages else entry.id
        return answers_of(reference)(cascading.manifest.sub_network(last), pixels)

    *_, first, last = cascading.manifest.sub_networks
    first = cascading.manifest.sub_network('s1')
    check_engine(engine, (last, first), answers)  # type: ignore[arg-type]


def test_stages_answer_as_their_sub_networks(cascading: Bundle, engine: Engine) -> None:
    entry = cascading.manifest.sub_network('c0')
    prepared = engine.prepare(entry, 'cpu')
    assert prepared.stages == (Stage('first', exit=True), Stage('last', exit=True))
    execution = prepared.begin(picture(entry))
    for name in ('s1', 's2'):
        assert not execution.done
        outputs = execution.advance()
        alone = engine.prepare(cascading.manifest.sub_network(name), 'cpu').run(picture(entry))
        assert outputs is not None
        np.testing.assert_array_equal(outputs['logits'], alone['logits'])
    assert execution.done
    assert [part.sub_network.id for part in prepared.parts] == ['s1', 's2']


def test_what_is_held_already_is_not_loaded_again(cascading: Bundle, engine: Engine) -> None:
    assert isinstance(engine, CascadeEngine)
    loaded: list[str] = []
    within = engine._engine
    prepare = within.prepare

    def watched(sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        loaded.append(sub_network.id)
        return prepare(sub_network, processor)

    within.prepare = watched  # type: ignore[method-assign]
    entry, small = cascading.manifest.sub_network('c0'), cascading.manifest.sub_network('s1')
    alone = engine.prepare(small, 'cpu')
    prepared = engine.prepare(entry, 'cpu')
    other = engine.prepare(cascade(cascading, 0.9, name='c1'), 'cpu')
    assert loaded == ['s1', 's2']
    expected = alone.run(picture(entry))['logits']
    alone.close()
    prepared.close()
    with pytest.raises(EngineError, match="'c0' is closed"):
        prepared.run(picture(entry))
    execution = other.begin(picture(entry))
    first = execution.advance()
    assert first is not None and np.array_equal(first['logits'], expected)
    again = engine.prepare(small, 'cpu')
    assert loaded == ['s1', 's2'], 'a stage is shared with one that runs alone, too'
    other.close()
    del execution, first
    assert np.array_equal(again.run(picture(entry))['logits'], expected)
    again.close()
    engine.prepare(small, 'cpu')
    assert loaded == ['s1', 's2', 's1'], 'what was closed is prepared anew'


def test_memory_counts_all_stages(cascading: Bundle, engine: Engine) -> None:
    entry = cascading.manifest.sub_network('c0')
    parts = [cascading.manifest.sub_network(name) for name in ('s1', 's2')]
    assert engine.memory_needed(entry) == sum(map(engine.memory_needed, parts))
    prepared = engine.prepare(entry, 'cpu')
    assert prepared.memory == sum(part.memory for part in prepared.parts) > 0
    assert prepared.shared_memory is None and engine.shared_memory(entry) is None
    prepared.close()
    assert prepared.memory == 0 and prepared.parts == ()


def test_a_bundle_without_cascades_has_its_engine_as_it_was(bundle: Bundle) -> None:
    assert type(create_engine('torch', bundle, 1)).__name__ == 'TorchEngine'


@pytest.fixture
def gated(cascading: Bundle) -> tuple[CascadeEngine, GatedEngine]:
    """An engine whose sub-networks cannot be shared."""
    inner = GatedEngine(size=100_000)
    inner.open_gates()
    return CascadeEngine(inner, cascading.manifest), inner


def test_a_part_that_fails_leaves_nothing_behind(
    gated: tuple[CascadeEngine, GatedEngine], cascading: Bundle
) -> None:
    engine, inner = gated
    inner.errors['s2'] = EngineError("'s2' cannot be loaded")
    with pytest.raises(EngineError, match="'s2' cannot be loaded"):
        engine.prepare(cascading.manifest.sub_network('c0'), 'cpu')
    assert [one.closed for one in inner.made] == [True]


def test_parts_that_cannot_be_shared_are_closed_with_their_cascade(
    gated: tuple[CascadeEngine, GatedEngine], cascading: Bundle
) -> None:
    engine, inner = gated
    entry = cascading.manifest.sub_network('c0')
    alone = engine.prepare(cascading.manifest.sub_network('s1'), 'cpu')
    prepared = engine.prepare(entry, 'cpu')
    assert inner.attempts == ['s1', 's1', 's2']
    execution = prepared.begin(picture(entry))
    execution.advance()
    prepared.close()
    gc.collect()
    assert not any(one.closed for one in inner.made), 'a picture is on its way through them'
    assert execution.advance() is not None and execution.done
    del execution
    gc.collect()
    assert [one.closed for one in inner.made] == [False, True, True]
    assert alone.run(picture(entry))


def test_each_stage_is_verified(cascading: Bundle) -> None:
    engine = create_engine('torch', cascading, 1)
    task = cascading.manifest.make_task()
    responses = dict(responses_of(engine, cascading.manifest.own_sub_networks))
    entry = cascading.manifest.sub_network('c0')
    verifying = VerifyingEngine(engine, responses, task)
    prepared = verifying.prepare(entry, 'cpu')
    assert verify_recorded(prepared, responses, task) == pytest.approx(0, abs=1e-5)
    assert verify_recorded(prepared, {}, task) is None
    # The first stage answers otherwise, the last one as it did.
    responses['s1'] = {name: value[::-1] for name, value in responses['s1'].items()}
    refused: list[str] = []
    verifying = VerifyingEngine(engine, responses, task, lambda one, _: refused.append(one.id))
    with pytest.raises(ResponseError, match="'s1' answers otherwise"):
        verifying.prepare(entry, 'cpu')
    assert refused == ['c0']
    del responses['s1']
    assert VerifyingEngine(engine, responses, task).prepare(entry, 'cpu').parts


def test_engines_are_measured_with_what_they_run_themselves(cascading: Bundle) -> None:
    chosen = measured_sub_networks(cascading.manifest.sub_networks)
    assert [entry.id for entry in chosen] == ['s0', 's1', 's2']


def test_a_bundle_with_a_cascade_is_written_and_read(bundle: Bundle, tmp_path: Path) -> None:
    cascading = with_cascades(bundle)
    written = write_bundle(
        tmp_path / 'cascading',
        cascading.manifest,
        cascading.source_content,
        other_files=cascading.other_files,
    )
    read = read_bundle(written.folder)
    assert read.manifest.sub_networks == cascading.manifest.sub_networks
    assert set(read.weights().batch_norm_statistics) == {'s0', 's1', 's2'}
    entry = read.manifest.sub_network('c0')
    outputs = create_engine('torch', read, 1).prepare(entry, 'cpu').run(picture(entry))
    expected = create_engine('torch', bundle, 1).prepare(bundle.manifest.sub_network('s2'), 'cpu')
    np.testing.assert_array_equal(outputs['logits'], expected.run(picture(entry))['logits'])


def test_a_sub_network_of_the_source_still_needs_its_statistics(bundle: Bundle) -> None:
    extra = replace(bundle.manifest.sub_network('s2'), id='s3')
    manifest = replace(bundle.manifest, sub_networks=(*bundle.manifest.sub_networks, extra))
    with pytest.raises(ValueError, match="no batch-norm statistics for sub-network 's3'"):
        replace(bundle, manifest=manifest).weights()
