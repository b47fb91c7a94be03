# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What every engine keeps, whatever runs it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from dynamic_dnn_ros.bundles.graphs import Graph, graph_key
from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.checks import check_engine
from dynamic_dnn_ros.engines.contract import (
    ONE_STAGE,
    Engine,
    EngineError,
    OutOfMemoryError,
    Outputs,
    Precision,
    library_failure,
)
from dynamic_dnn_ros.engines.registry import ENGINE_NAMES, create_engine, installed_engines
from dynamic_dnn_ros.networks.registry import network_of
from support.engines import logits


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def reference(bundle: Bundle, identifier: str, pixels: np.ndarray) -> np.ndarray:
    """Return the logits of the dynamic network itself, normalised as training does it."""
    manifest, weights = bundle.manifest, bundle.weights()
    network = network_of(manifest)
    network.load_state(weights.network)
    network.eval()
    network.activate(network.configuration(manifest.sub_network(identifier).configuration))
    network.load_batch_norm_statistics(weights.batch_norm_statistics[identifier])
    mean = np.array(manifest.preprocessing.mean, np.float32)
    deviation = np.array(manifest.preprocessing.standard_deviation, np.float32)
    normalised = (pixels.astype(np.float32) / 255 - mean) / deviation
    with torch.inference_mode():
        batch = torch.from_numpy(normalised.transpose(2, 0, 1)[None].copy())
        return network(batch)[0].numpy()


def test_every_engine_keeps_the_contract(bundle: Bundle, engine: Engine) -> None:
    def answers(sub_network: SubNetwork, pixels: np.ndarray) -> Outputs:
        return {'logits': reference(bundle, sub_network.id, pixels)[None]}

    check_engine(engine, bundle.manifest.sub_networks, answers, 'cpu')


def test_computes_in_float32_unless_asked_otherwise(engine: Engine) -> None:
    assert engine.precision is Precision.FLOAT32
    assert 'cpu' in engine.processors


def test_says_how_much_memory_it_takes(bundle: Bundle, engine: Engine) -> None:
    entry = bundle.manifest.sub_networks[-1]
    assert engine.memory_needed(entry) > 0 and engine.prepare(entry, 'cpu').memory > 0


@pytest.mark.parametrize('precision', [p for p in Precision if p is not Precision.FLOAT32])
@pytest.mark.parametrize('name', ENGINE_NAMES)
def test_other_precisions_are_near_or_refused(
    bundle: Bundle, name: str, precision: Precision
) -> None:
    if name not in installed_engines():
        pytest.skip(f'{name} is not installed')
    if name != 'torch':
        pytest.importorskip('onnx', reason='the graphs of the engine are made with it')
    try:
        engine = create_engine(name, bundle, 1, precision)
    except EngineError:
        with pytest.raises(EngineError, match=rf"{precision.value}.*'float32'"):
            create_engine(name, bundle, 1, precision)
        return
    assert engine.precision is precision
    task = bundle.manifest.make_task()
    for entry in bundle.manifest.sub_networks:
        pixels = picture(*entry.size)
        prepared = engine.prepare(entry, engine.processors[-1])
        expected = reference(bundle, entry.id, pixels)
        departure = task.departure(prepared.run(pixels), {'logits': expected[None]})
        assert 0 < departure < 0.05, entry.id


@pytest.mark.parametrize(
    'said',
    [
        'Status Message: std::bad_alloc',
        'bad allocation',
        'BFCArena::AllocateRawInternal Available memory of 0 is smaller than requested bytes of 9',
        'onnxruntime/core/framework/bfc_arena.cc:376: Failed to allocate memory for requested '
        'buffer of size 1048576',
        'CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc((void**)&p, size);',
        'CUDA error cudaErrorMemoryAllocation:out of memory',
        'CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED',
        '[TensorRT EP] 2: OutOfMemory (no further information)',
        '[GPU] clWaitForEvents, error code: -5 CL_OUT_OF_RESOURCES',
        '[GPU] CL_MEM_OBJECT_ALLOCATION_FAILURE',
        '[GPU] Exceeded max size of memory object allocation: requested 5 bytes, max 4 bytes',
        "Check 'ptr' failed at cpu_memory.cpp:257:\nFailed to allocate 140737488355360 bytes of "
        'memory',
        'CUDA out of memory. Tried to allocate 2.00 GiB',
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes",
        'DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.',
        '[Errno 12] Cannot allocate memory',
    ],
)
def test_what_libraries_say_of_memory_is_known(said: str) -> None:
    error = library_failure('sub-network cannot run', RuntimeError(said), 'Update it.')
    assert isinstance(error, OutOfMemoryError)
    assert str(error).startswith(f'sub-network cannot run: {" ".join(said.split()).rstrip(".")}. ')
    assert 'no memory left' in str(error) and 'Update it.' not in str(error)


@pytest.mark.parametrize(
    'said',
    [
        'could not construct a memory descriptor using a format tag',
        '[ONNXRuntimeError] : 10 : INVALID_GRAPH : Node () Op (Conv) is not valid',
        'CUDA failure 100: no CUDA-capable device is detected',
    ],
)
def test_what_is_not_of_memory_keeps_its_remedy(said: str) -> None:
    error = library_failure('it cannot run', RuntimeError(said), 'Update it.')
    assert type(error) is EngineError
    assert str(error) == f'it cannot run: {said}. Update it.'
    assert 'it cannot run: MemoryError.' in str(library_failure('it cannot run', MemoryError()))


@pytest.mark.parametrize('name', ['onnxruntime', 'openvino'])
def test_a_sub_network_without_memory_leaves_the_others(bundle: Bundle, name: str) -> None:
    pytest.importorskip(name)
    onnx = pytest.importorskip('onnx')
    manifest = bundle.manifest
    first, second, _ = manifest.sub_networks
    # A model of another's pictures that needs the whole of the address space.
    helper, types = onnx.helper, onnx.TensorProto
    shape = [1, *first.size, 3]
    nodes = [
        helper.make_node('Cast', ['picture'], ['real'], to=types.FLOAT),
        helper.make_node('ReduceMean', ['real'], ['mean'], axes=[1, 2, 3]),
        helper.make_node('Expand', ['mean', 'shape'], ['large']),
        helper.make_node('ReduceMax', ['large'], ['logits'], axes=[1, 2, 3], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        'large',
        [helper.make_tensor_value_info('picture', types.UINT8, shape)],
        [helper.make_tensor_value_info('logits', types.FLOAT, [1])],
        [helper.make_tensor('shape', types.INT64, [4], [1, 2**15, 2**15, 2**15])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    key = graph_key(manifest, manifest.weights_sha256, first)
    content = Graph(first.id, key, [], model.SerializeToString()).content()
    files = {**bundle.other_files, f'{first.id}.graph': content}
    engine = create_engine(name, replace(bundle, other_files=files), 1)
    with pytest.raises(OutOfMemoryError, match=f'{first.id!r}.*no memory left'):
        engine.prepare(first, 'cpu')
    assert logits(engine.prepare(second, 'cpu'), picture(*second.size)).any()


def test_a_sub_network_has_one_stage(bundle: Bundle, engine: Engine) -> None:
    prepared = engine.prepare(bundle.manifest.sub_networks[0], 'cpu')
    assert prepared.stages == ONE_STAGE and prepared.largest_batch == 1
