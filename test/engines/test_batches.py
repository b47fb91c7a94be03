# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Several pictures at once: with every engine, of every family, in cascades and stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.graphs import graph_name, with_free_batch
from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.bundles.writer import placed_bundle
from dynamic_dnn_ros.engines.batches import settle_batches
from dynamic_dnn_ros.engines.contract import (
    Batch,
    EngineError,
    LoadedSubNetwork,
    OutOfMemoryError,
    Outputs,
    Picture,
    PreparedSubNetwork,
)
from dynamic_dnn_ros.engines.registry import create_engine, installed_engines
from dynamic_dnn_ros.engines.staged import StagedSubNetwork
from dynamic_dnn_ros.pictures.placement import Size
from support.cascades import with_cascades
from support.separate_models import FREE, entry, models_manifest, picture_classifier
from support.staged_network import make_staged_bundle, register

TOLERANCE = 1e-5
SMALL = entry('s', 'm', Size(24, 40))


def pictures(sub_network: SubNetwork, number: int) -> list[Picture]:
    generator = np.random.default_rng(number)
    return list(generator.integers(0, 256, (number, *sub_network.size, 3), np.uint8))


def assert_answers_as_alone(prepared: PreparedSubNetwork, number: int) -> None:
    batch = pictures(prepared.sub_network, number)
    alone = [prepared.run(picture) for picture in batch]
    outputs = prepared.run_batch(batch)
    assert set(outputs) == set(alone[0])
    for name, found in outputs.items():
        expected = np.concatenate([each[name] for each in alone])
        assert found.shape == expected.shape
        np.testing.assert_allclose(
            found, expected, rtol=TOLERANCE, atol=TOLERANCE * np.abs(expected).max()
        )


@pytest.fixture(params=['torch', 'onnxruntime'])
def name(request: pytest.FixtureRequest) -> str:
    if request.param not in installed_engines():
        pytest.skip(f'{request.param} is not installed')
    return str(request.param)


@pytest.mark.parametrize('shipped', ['cifar10_ofa', 'cifar10_incremental_group', 'fruit_detector'])
def test_a_picture_in_a_batch_is_answered_as_alone(name: str, shipped: str) -> None:
    bundle = read_bundle(find_bundle(shipped))
    engine = create_engine(name, bundle, 1, largest_batch=4)
    for each in (bundle.manifest.sub_networks[0], bundle.manifest.sub_networks[-1]):
        prepared = engine.prepare(each, 'cpu')
        assert prepared.largest_batch == 4
        assert_answers_as_alone(prepared, 4)
        assert_answers_as_alone(prepared, 3)


@pytest.mark.parametrize('shipped', ['cifar10_ofa', 'fruit_detector'])
def test_one_picture_is_answered_to_the_bit_as_without_batches(name: str, shipped: str) -> None:
    bundle = read_bundle(find_bundle(shipped))
    each = bundle.manifest.sub_networks[0]
    (picture,) = pictures(each, 1)
    with_batches, without = (
        create_engine(name, bundle, 1, largest_batch=most).prepare(each, 'cpu').run(picture)
        for most in (4, 1)
    )
    for output, expected in without.items():
        assert np.array_equal(with_batches[output], expected)


def test_openvino_takes_one_at_a_time(bundle: Bundle) -> None:
    pytest.importorskip('openvino')
    pytest.importorskip('onnx', reason='the graphs of the engine are made with it')
    engine = create_engine('openvino', bundle, 1, largest_batch=4)
    prepared = engine.prepare(bundle.manifest.sub_networks[0], 'cpu')
    assert prepared.largest_batch == 1
    with pytest.raises(EngineError, match="'s0' takes 1 to 1 pictures at once, not 2"):
        prepared.run_batch(pictures(prepared.sub_network, 2))


def test_without_asking_nothing_takes_batches(name: str, bundle: Bundle) -> None:
    prepared = create_engine(name, bundle, 1).prepare(bundle.manifest.sub_networks[0], 'cpu')
    assert prepared.largest_batch == 1


def test_a_twin_takes_as_many(name: str, bundle: Bundle) -> None:
    engine = create_engine(name, bundle, 1, largest_batch=3)
    twin = engine.prepare(bundle.manifest.sub_networks[0], 'cpu').twin()
    assert twin is not None and twin.largest_batch == 3
    assert_answers_as_alone(twin, 3)


def test_pictures_go_through_a_cascade_together(name: str, bundle: Bundle) -> None:
    cascading = with_cascades(bundle)
    engine = create_engine(name, cascading, 1, largest_batch=3)
    (first, *_) = (each for each in cascading.manifest.sub_networks if each.is_cascade)
    prepared = engine.prepare(first, 'cpu')
    assert prepared.largest_batch == 3
    assert_answers_as_alone(prepared, 3)


@pytest.fixture(scope='module')
def staged(tmp_path_factory: pytest.TempPathFactory) -> Any:
    pytest.importorskip('onnx', reason='the graphs of the stages are made with it')
    from dynamic_dnn_ros.networks.graph_export import export_into

    with pytest.MonkeyPatch.context() as patch:
        register(patch)
        yield export_into(make_staged_bundle(tmp_path_factory.mktemp('batches') / 'staged'))


def test_pictures_meet_and_part_between_stages(name: str, staged: Bundle) -> None:
    prepared = create_engine(name, staged, 1, largest_batch=3).prepare(
        staged.manifest.sub_networks[-1], 'cpu'
    )
    assert prepared.largest_batch == 3
    assert_answers_as_alone(prepared, 3)
    batch = pictures(prepared.sub_network, 3)
    first, second, third = map(prepared.begin, batch)
    # The first begins alone; the others begin together, and one of them goes on with the first.
    first.advance()
    early = prepared.advance_together([second, third])
    late = prepared.advance_together([third, first])
    assert first.done and third.done and not second.done
    for picture, answer in zip(batch[1:], early):
        expected = prepared.begin(picture).advance()
        assert answer is not None and expected is not None
        np.testing.assert_allclose(answer['logits'], expected['logits'], rtol=TOLERANCE, atol=1e-4)
    for picture, answer in zip((batch[2], batch[0]), late):
        assert answer is not None
        expected = prepared.run(picture)
        np.testing.assert_allclose(answer['logits'], expected['logits'], rtol=TOLERANCE, atol=1e-4)


def test_pictures_at_different_stages_go_on_one_by_one(name: str, staged: Bundle) -> None:
    prepared = create_engine(name, staged, 1, largest_batch=2).prepare(
        staged.manifest.sub_networks[-1], 'cpu'
    )
    batch = pictures(prepared.sub_network, 2)
    first, second = map(prepared.begin, batch)
    first.advance()
    late, early = prepared.advance_together([first, second])
    assert first.done and not second.done and late is not None and early is not None
    assert np.array_equal(late['logits'], prepared.run(batch[0])['logits'])


def of(content: bytes) -> Bundle:
    return placed_bundle(Path('/nowhere'), models_manifest(['m'], [SMALL]), {'m': content})


def test_a_separate_model_takes_batches_where_its_axis_is_free() -> None:
    pytest.importorskip('onnxruntime')
    for axis, most in (('N', 4), (1, 1)):
        content = picture_classifier(shape=(axis, *FREE[1:]))
        engine = create_engine('onnxruntime', of(content), 1, largest_batch=4)
        prepared = engine.prepare(SMALL, 'cpu')
        assert prepared.largest_batch == most
        assert_answers_as_alone(prepared, most)


def test_freeing_the_batch_changes_nothing_else() -> None:
    onnx = pytest.importorskip('onnx')
    bundle = read_bundle(find_bundle('fruit_detector'))
    entry = bundle.manifest.sub_networks[0]
    content = bundle.other_files[graph_name(entry)].partition(b'\n')[2]
    free = onnx.load_from_string(with_free_batch(content))
    for value in (*free.graph.input, *free.graph.output):
        side = value.type.tensor_type.shape.dim[0]
        assert side.dim_param == 'N'
        side.dim_value = 1
    assert free.SerializeToString() == onnx.load_from_string(content).SerializeToString()


def loaded(compute: Callable[[Batch], Outputs]) -> PreparedSubNetwork:
    return LoadedSubNetwork(SMALL, 'cpu', compute, 0, 'the library')


def sums(batch: Batch) -> Outputs:
    return {'sums': batch.sum((1, 2), dtype=np.float64)}


def mean_over_all(batch: Batch) -> Outputs:
    return {'mean': np.full((len(batch), 1), batch.mean())}


def found_in_all(batch: Batch) -> Outputs:
    # As a model that has suppressed boxes itself: rows of all pictures, one after the other.
    return {'boxes': np.argwhere(batch > 250).astype(np.float32)}


def one_only(batch: Batch) -> Outputs:
    if len(batch) > 1:
        raise ValueError('Got: 2 Expected: 1')
    return sums(batch)


@pytest.mark.parametrize('compute', [mean_over_all, found_in_all, one_only])
def test_what_does_not_keep_pictures_apart_takes_one(compute: Callable[..., Outputs]) -> None:
    prepared = loaded(compute)
    settle_batches(prepared, 4)
    assert prepared.largest_batch == 1


def test_a_batch_without_memory_is_told_so_and_fewer_run() -> None:
    def compute(batch: Batch) -> Outputs:
        if len(batch) > 2:
            raise RuntimeError('Failed to allocate memory for requested buffer of size 99')
        return sums(batch)

    prepared = loaded(compute)
    settle_batches(prepared, 8)
    with pytest.raises(OutOfMemoryError, match="sub-network 's'.*no memory left"):
        prepared.run_batch(pictures(SMALL, 3))
    assert_answers_as_alone(prepared, 2)


def test_a_wrong_picture_in_a_batch_is_refused(name: str, bundle: Bundle) -> None:
    engine = create_engine(name, bundle, 1, largest_batch=2)
    prepared = engine.prepare(bundle.manifest.sub_networks[0], 'cpu')
    good, bad = pictures(prepared.sub_network, 1)[0], np.zeros((5, 5, 3), np.uint8)
    with pytest.raises(EngineError, match=r'not \(5, 5, 3\)'):
        prepared.run_batch([good, bad])
    prepared.close()
    with pytest.raises(EngineError, match='is closed'):
        prepared.run_batch([good, good])


def test_steps_that_fail_leave_pictures_where_they_were() -> None:
    calls: list[int] = []

    def step(values: Sequence[Any]) -> tuple[Outputs, tuple[Any, ...]]:
        calls.append(len(values[0]))
        if len(values[0]) > 1:
            raise MemoryError
        return sums(values[0]), tuple(values)

    prepared = StagedSubNetwork(
        replace(SMALL, stages=cascade_stages()), 'cpu', [step, step], 0, 'the library'
    )
    prepared.largest_batch = 2
    executions = [prepared.begin(picture) for picture in pictures(SMALL, 2)]
    with pytest.raises(OutOfMemoryError):
        prepared.advance_together(executions)
    for each in executions:
        assert each.advance() is not None
    assert calls == [2, 1, 1] and not any(each.done for each in executions)


def cascade_stages() -> Any:
    from dynamic_dnn_ros.bundles.stages import Stage

    return (Stage('one', '', 0.5, 0.5, 0.5), Stage('two', '', None, 1.0, 0.5))
