# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Separate models, as engines run them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import os
from pathlib import Path
import threading

import numpy as np
import pytest

pytest.importorskip('onnx', reason='the models are made with it')

from onnx import ModelProto, TensorProto, helper

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.graphs import output_names
from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.writer import placed_bundle, rewrite_bundle
from dynamic_dnn_ros.engines.automatic import fastest_engine, open_engine
from dynamic_dnn_ros.engines.contract import Engine, EngineError, Precision
from dynamic_dnn_ros.engines.registry import create_engine, installed_engines
from dynamic_dnn_ros.engines.verification import (
    ResponseError,
    VerifyingEngine,
    record,
    response,
)
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.serving.exchange import SubNetworkExchange
from support.onnx_models import model_of
from support.separate_models import (
    FREE,
    entry,
    make_models_bundle,
    models_manifest,
    picture_classifier,
)

ENGINES = ('onnxruntime', 'openvino')
SMALL = entry('s', 'm', Size(24, 40))


@pytest.fixture(scope='module')
def models(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_models_bundle(tmp_path_factory.mktemp('separate') / 'models')


@pytest.fixture(params=ENGINES)
def name(request: pytest.FixtureRequest) -> str:
    if request.param not in installed_engines():
        pytest.skip(f'{request.param} is not installed')
    return str(request.param)


@pytest.fixture
def engine(name: str, models: Bundle) -> Engine:
    return create_engine(name, models, 1)


def picture(sub_network: SubNetwork, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*sub_network.size, 3), np.uint8)


def reference(bundle: Bundle, sub_network: SubNetwork, pixels: np.ndarray) -> np.ndarray:
    """Return what ONNX's own evaluator says."""
    from onnx.reference import ReferenceEvaluator

    content = bundle.models[bundle.manifest.model_file(sub_network)]
    evaluator = ReferenceEvaluator(ModelProto.FromString(content))
    return evaluator.run(None, {'pictures': pixels[None]})[0]


def of(content: bytes, sub_network: SubNetwork = SMALL) -> Bundle:
    """Return a bundle of one model that is written nowhere."""
    return placed_bundle(Path('/nowhere'), models_manifest(['m'], [sub_network]), {'m': content})


def test_outputs_are_those_of_each_model_at_each_size(models: Bundle, engine: Engine) -> None:
    for each in models.manifest.sub_networks:
        outputs = engine.prepare(each, 'cpu').run(picture(each))
        assert list(outputs) == ['scores']
        expected = reference(models, each, picture(each))
        np.testing.assert_allclose(outputs['scores'], expected, rtol=1e-4, atol=1e-4)


def test_closing_one_leaves_the_other_of_its_file(models: Bundle, engine: Engine) -> None:
    small, middle, _ = models.manifest.sub_networks
    one, other = engine.prepare(small, 'cpu'), engine.prepare(middle, 'cpu')
    expected = other.run(picture(middle))['scores']
    one.close()
    assert np.array_equal(other.run(picture(middle))['scores'], expected)
    with pytest.raises(EngineError, match="'small_24' is closed"):
        one.run(picture(small))
    again = engine.prepare(small, 'cpu').run(picture(small))['scores']
    np.testing.assert_allclose(
        again, reference(models, small, picture(small)), rtol=1e-4, atol=1e-4
    )


def test_several_threads_prepare_and_run_one_file(models: Bundle, engine: Engine) -> None:
    small, middle, _ = models.manifest.sub_networks
    found: dict[str, np.ndarray] = {}

    def work(each: SubNetwork) -> None:
        prepared = engine.prepare(each, 'cpu')
        for _ in range(20):
            found[each.id] = prepared.run(picture(each))['scores']

    threads = [threading.Thread(target=work, args=(each,)) for each in (small, middle)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for each in (small, middle):
        expected = reference(models, each, picture(each))
        np.testing.assert_allclose(found[each.id], expected, rtol=1e-4, atol=1e-4)


def test_one_session_for_one_file(models: Bundle) -> None:
    pytest.importorskip('onnxruntime')
    engine = create_engine('onnxruntime', models, 1)
    small, middle, large = models.manifest.sub_networks
    one, other, third = (engine.prepare(each, 'cpu') for each in (small, middle, large))
    assert one.shared_memory == other.shared_memory == engine.shared_memory(small)
    assert one.shared_memory is not None and third.shared_memory is not None
    assert one.shared_memory.owner == 'small.onnx' and one.shared_memory.size > 0
    assert third.shared_memory.owner == 'large.onnx'
    assert one.memory == engine.memory_needed(small) == 0
    assert len(engine._sessions) == 2
    one.close()
    assert len(engine._sessions) == 2
    other.close()
    assert list(engine._sessions) == [('large.onnx', 'cpu')], 'the last one frees it'


def test_an_exchange_counts_what_is_shared_once(models: Bundle) -> None:
    pytest.importorskip('onnxruntime')
    engine = create_engine('onnxruntime', models, 1)
    small, _, large = models.manifest.sub_networks
    shares = [engine.shared_memory(each) for each in (small, large)]
    sizes = [share.size for share in shares if share is not None]
    exchange = SubNetworkExchange(engine, models.manifest, budget=sizes[0])
    exchange.start('small_24', 'cpu')
    assert exchange.wait_until_idle(60)
    assert [each.sub_network.id for each in exchange.ready] == ['small_24', 'small_48']
    assert exchange.memory == sizes[0]
    exchange.close()
    exchange = SubNetworkExchange(engine, models.manifest)
    exchange.start('large', 'cpu')
    assert exchange.wait_until_idle(60)
    assert len(exchange.ready) == 3 and exchange.memory == sum(sizes)
    exchange.close()


def test_pytorch_says_who_can(models: Bundle) -> None:
    with pytest.raises(EngineError, match="'models' holds separate models. Name one of: auto"):
        create_engine('torch', models, 1)


def test_the_fastest_is_found_without_pytorch(models: Bundle, cache: Path) -> None:
    said: list[str] = []
    chosen = fastest_engine(models, 1, Precision.FLOAT32, said.append)
    assert chosen in ENGINES
    assert said == [] or ('torch' not in said[-1] and 'onnxruntime: small_24 ' in said[-1])
    assert open_engine('auto', models, 1).name == chosen


def test_what_is_learned_and_sizes_make_another_measurement(models: Bundle) -> None:
    from dynamic_dnn_ros.engines.automatic import _key

    def key(bundle: Bundle) -> str:
        return _key(bundle, 1, Precision.FLOAT32, ENGINES)

    small = models.manifest.sub_networks[0]
    resized = replace(models.manifest, sub_networks=(replace(small, size=Size(32, 40)),))
    same = replace(models.manifest, sub_networks=(small,))
    content = dict(models.models)
    other = replace(models, models={**content, 'small.onnx': picture_classifier(7)})
    keys = [key(models), key(other), key(replace(models, manifest=resized))]
    assert len({*keys, key(replace(models, manifest=same))}) == 4


def test_other_precisions_are_for_other_bundles(models: Bundle, name: str) -> None:
    with pytest.raises(EngineError, match="run as they are: quantise them before .* 'float32'"):
        create_engine(name, models, 1, Precision.INT8)


def test_answers_are_recorded_and_found_again(models: Bundle, name: str) -> None:
    assert set(models.responses) == {'small_24', 'small_48', 'large'}
    assert models.responses['large']['scores'].shape == (8, 3)
    task = models.manifest.make_task()
    engine = VerifyingEngine(create_engine(name, models, 1), models.responses, task)
    for each in models.manifest.sub_networks:
        assert engine.prepare(each, 'cpu').sub_network == each
    content = dict(models.models)
    swapped = replace(models, models={**content, 'small.onnx': picture_classifier(7)})
    engine = VerifyingEngine(create_engine(name, swapped, 1), models.responses, task)
    with pytest.raises(ResponseError, match="'small_24' answers otherwise"):
        engine.prepare(models.manifest.sub_networks[0], 'cpu')


def test_outputs_of_a_length_that_the_picture_decides_are_not_recorded(name: str) -> None:
    nodes = [
        helper.make_node('Cast', ['pictures'], ['real'], to=TensorProto.FLOAT),
        helper.make_node('ReduceMean', ['real'], ['mean'], keepdims=0, axes=[1, 2, 3]),
        helper.make_node('Greater', ['real', 'limit'], ['bright']),
        helper.make_node('NonZero', ['bright'], ['places']),
    ]
    model = model_of(
        nodes,
        [('pictures', TensorProto.UINT8, FREE)],
        [('mean', TensorProto.FLOAT, ['N']), ('places', TensorProto.INT64, [4, 'found'])],
        {'limit': np.array(200.0, np.float32)},
    )
    prepared = create_engine(name, of(model.SerializeToString()), 1).prepare(SMALL, 'cpu')
    assert set(prepared.run(picture(SMALL))) == {'mean', 'places'}
    assert {key: value.shape for key, value in response(prepared).items()} == {'mean': (8,)}


def test_names_of_outputs_in_their_order(models: Bundle) -> None:
    assert output_names(models.models['small.onnx']) == ('scores',)
    nodes = [helper.make_node('Identity', ['x'], [name]) for name in ('b', 'a', 'ä/0')]
    outputs = [(name, TensorProto.FLOAT, [1]) for name in ('b', 'a', 'ä/0')]
    large = {'w': np.zeros(1000, np.float32)}
    model = model_of(nodes, [('x', TensorProto.FLOAT, [1])], outputs, large, metadata={'k': 'v'})
    assert output_names(model.SerializeToString()) == ('b', 'a', 'ä/0')


def test_two_names_of_one_value_keep_both(name: str) -> None:
    nodes = [
        helper.make_node('Cast', ['pictures'], ['real'], to=TensorProto.FLOAT),
        helper.make_node('ReduceMean', ['real'], ['one'], keepdims=0, axes=[1, 2, 3]),
        helper.make_node('Identity', ['one'], ['two']),
    ]
    outputs = [('two', TensorProto.FLOAT, ['N']), ('one', TensorProto.FLOAT, ['N'])]
    model = model_of(nodes, [('pictures', TensorProto.UINT8, FREE)], outputs)
    prepared = create_engine(name, of(model.SerializeToString()), 1).prepare(SMALL, 'cpu')
    found = prepared.run(picture(SMALL))
    assert list(found) == ['two', 'one']
    np.testing.assert_allclose(found['one'], picture(SMALL).mean(), rtol=1e-4)
    np.testing.assert_allclose(found['two'], picture(SMALL).mean(), rtol=1e-4)


def with_input(kind: int, shape: tuple[int | str, ...], name: str = 'pictures') -> bytes:
    nodes = [helper.make_node('Identity', [name], ['same'])]
    return model_of(nodes, [(name, kind, shape)], [('same', kind, shape)]).SerializeToString()


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        (
            lambda: with_input(TensorProto.FLOAT16, (1, 24, 40, 3)),
            r'\(float16, 1 x',
        ),
        (
            lambda: with_input(TensorProto.UINT8, (1, 3, 24, 40)),
            r'\(uint8, 1 x 3 x',
        ),
        (lambda: with_input(TensorProto.UINT8, (1, 32, 40, 3)), 'x 32 x 40 x 3'),
        (lambda: with_input(TensorProto.UINT8, (2, 24, 40, 3)), r'\(uint8, 2 x 24 x 40 x 3\)'),
        (lambda: with_input(TensorProto.UINT8, (1, 24, 40, 3), 'x'), r'takes x \(uint8'),
    ],
)
def test_a_model_that_takes_no_pictures(
    name: str, content: Callable[[], bytes], said: str
) -> None:
    engine = create_engine(name, of(content()), 1)
    wanted = r'not pictures \(uint8, 1 x 24 x 40 x 3\).*import-onnx'
    with pytest.raises(EngineError, match=f"'s' .*{said}.*{wanted}"):
        engine.prepare(SMALL, 'cpu')


def test_a_batch_of_any_size_is_one_picture(name: str) -> None:
    content = picture_classifier(0, ('batch', 24, 40, 3))
    outputs = create_engine(name, of(content), 1).prepare(SMALL, 'cpu').run(picture(SMALL))
    assert outputs['scores'].shape == (1, 3)


def external() -> bytes:
    """Return a model whose weights lie in a file that is not there."""
    model = ModelProto.FromString(picture_classifier())
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField('raw_data')
    pair = tensor.external_data.add()
    pair.key, pair.value = 'location', 'weights.bin'
    return model.SerializeToString()


def of_own_operator() -> bytes:
    model = ModelProto.FromString(picture_classifier())
    model.graph.node[3].op_type, model.graph.node[3].domain = 'Bend', 'org.example'
    model.opset_import.append(helper.make_opsetid('org.example', 1))
    return model.SerializeToString()


@pytest.mark.parametrize(
    'content',
    [
        lambda: b'no model at all',
        lambda: picture_classifier()[:-200],
        external,
        of_own_operator,
    ],
)
def test_a_model_that_an_engine_refuses(name: str, content: Callable[[], bytes]) -> None:
    engine = create_engine(name, of(content()), 1)
    with pytest.raises(EngineError, match=r"cannot run sub-network 's' on 'cpu': .*import-onnx"):
        engine.prepare(SMALL, 'cpu')


def test_an_operator_set_that_the_engine_lacks() -> None:
    pytest.importorskip('onnxruntime')
    engine = create_engine('onnxruntime', of(picture_classifier(opset=99)), 1)
    with pytest.raises(EngineError, match='operator set of 17 or less .*name another engine'):
        engine.prepare(SMALL, 'cpu')


def test_a_model_that_gives_no_numbers_is_not_recorded(tmp_path: Path) -> None:
    content = {'m': picture_classifier(factor=float('nan'))}
    with pytest.raises(EngineError, match=r"'s' answers with values that are not finite.*scores"):
        make_models_bundle(tmp_path / 'models', content, [SMALL])
    assert not (tmp_path / 'models').exists()


def test_a_bundle_reads_back_and_is_written_again(models: Bundle, tmp_path: Path) -> None:
    read = read_bundle(models.folder)
    assert read.manifest == models.manifest and read.weights_content == b''
    assert sorted(read.models) == ['large.onnx', 'small.onnx']
    assert read.models['small.onnx'] == picture_classifier(0)
    written = make_models_bundle(tmp_path / 'again')
    again = record(rewrite_bundle(written, other_files={'NOTES.md': b'notes'}))
    assert again.manifest.source == models.manifest.source
    assert again.manifest.weights_sha256 == models.manifest.weights_sha256
    assert again.other_files['NOTES.md'] == b'notes'
    with pytest.raises(BundleError, match='holds separate models, no super-network'):
        read.weight_views()


def test_a_bundle_outlives_the_one_that_takes_its_place(tmp_path: Path) -> None:
    read = make_models_bundle(tmp_path / 'models')
    others = {'small': picture_classifier(7), 'large': picture_classifier(8, (1, 48, 64, 3))}
    make_models_bundle(tmp_path / 'models', others, read.manifest.sub_networks)
    assert read.models['small.onnx'] == picture_classifier(0)


def test_a_file_that_is_altered_in_place_is_refused(tmp_path: Path) -> None:
    read = make_models_bundle(tmp_path / 'models')
    path = tmp_path / 'models' / 'small.onnx'
    with open(path, 'r+b') as file:
        file.seek(-1, os.SEEK_END)
        file.write(b'\x00')
    with pytest.raises(BundleError, match=r'small.onnx: was altered since the bundle was read'):
        _ = read.models['small.onnx']
    with pytest.raises(BundleError, match=r'small.onnx: has SHA-256 .*truncated or was altered'):
        read_bundle(tmp_path / 'models')
