# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is of ONNX Runtime alone; what every engine keeps is in test_contract.py."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
import os
from pathlib import Path
import subprocess
import sys

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.graphs import Graph, graph_key
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import EngineError, Precision
from dynamic_dnn_ros.engines.registry import create_engine
from support.boards import rk3588

onnxruntime = pytest.importorskip('onnxruntime')
pytest.importorskip('onnx')


def broken_at(bundle: Bundle, identifier: str) -> Bundle:
    """Return the bundle with a graph that is no ONNX model, its header as it should be."""
    entry = bundle.manifest.sub_network(identifier)
    key = graph_key(bundle.manifest, bundle.manifest.weights_sha256, entry)
    content = Graph(identifier, key, [], b'\x3a\x04\x0a\x02xy').content()
    return replace(bundle, other_files={**bundle.other_files, f'{identifier}.graph': content})


@pytest.mark.parametrize('name', ['onnxruntime', 'openvino'])
def test_process_never_loads_torch(bundle: Bundle, name: str) -> None:
    pytest.importorskip(name)
    script = (
        'import sys\n'
        'from pathlib import Path\n'
        'import numpy as np\n'
        'from dynamic_dnn_ros.bundles.reader import read_bundle\n'
        'from dynamic_dnn_ros.engines.registry import create_engine\n'
        'from dynamic_dnn_ros.engines.verification import VerifyingEngine\n'
        f'bundle = read_bundle(Path({str(bundle.folder)!r}))\n'
        f'task = bundle.manifest.make_task()\n'
        f'engine = create_engine({name!r}, bundle, 1)\n'
        'engine = VerifyingEngine(engine, bundle.responses, task)\n'
        'for entry in bundle.manifest.sub_networks:\n'
        '    picture = np.zeros((*entry.size, 3), np.uint8)\n'
        '    outputs = engine.prepare(entry, "cpu").run(picture)\n'
        '    assert outputs["logits"].shape == (1, 10)\n'
        'loaded = {"torch", "onnx", "torchvision"} & sys.modules.keys()\n'
        'sys.exit(f"loaded: {loaded}" if loaded else 0)\n'
    )
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('name', ['onnxruntime', 'openvino'])
def test_a_model_that_is_refused_leaves_the_others(bundle: Bundle, name: str) -> None:
    pytest.importorskip(name)
    engine = create_engine(name, broken_at(bundle, 's1'), 1)
    s0, s1, s2 = bundle.manifest.sub_networks
    assert engine.prepare(s0, 'cpu').sub_network == s0
    with pytest.raises(EngineError, match=r"cannot run sub-network 's1' on 'cpu'.*bundle export"):
        engine.prepare(s1, 'cpu')
    assert engine.prepare(s2, 'cpu').sub_network == s2


def test_a_provider_that_is_not_there_says_what_to_install(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: ['CPUExecutionProvider'])
    engine = create_engine('onnxruntime', bundle, 1)
    assert engine.processors == ('cpu',)
    entry = bundle.manifest.sub_networks[0]
    for processor, provider in (('gpu', 'CUDA'), ('tensorrt', 'Tensorrt')):
        with pytest.raises(EngineError, match=rf"has no {provider}.*'onnxruntime-gpu'.*cpu"):
            engine.prepare(entry, processor)


def test_a_provider_without_its_device_is_not_offered(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from dynamic_dnn_ros.engines import onnxruntime_engine

    providers = ['TensorrtExecutionProvider', 'CUDAExecutionProvider', 'CPUExecutionProvider']
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: providers)
    monkeypatch.setattr(onnxruntime_engine, '_DEVICES', (str(tmp_path / 'gpu'),))
    engine = create_engine('onnxruntime', bundle, 1)
    assert engine.processors == ('cpu',)
    with pytest.raises(EngineError, match='there is no NVIDIA GPU'):
        engine.prepare(bundle.manifest.sub_networks[0], 'gpu')
    # A device whose libraries are missing: the session would quietly be one of the CPU.
    (tmp_path / 'gpu').touch()
    assert engine.processors == ('gpu', 'tensorrt', 'cpu')
    if 'CUDAExecutionProvider' not in onnxruntime.capi._pybind_state.get_available_providers():
        with pytest.raises(EngineError, match='CUDAExecutionProvider|cannot run'):
            engine.prepare(bundle.manifest.sub_networks[0], 'gpu')


def test_precisions_of_tensorrt_only(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: ['CPUExecutionProvider'])
    with pytest.raises(EngineError, match="in float16 here: that needs TensorRT.*'float32'"):
        create_engine('onnxruntime', bundle, 1, Precision.FLOAT16)
    with pytest.raises(EngineError, match="in bfloat16 here: this engine never.*'float32'"):
        create_engine('onnxruntime', bundle, 1, Precision.BFLOAT16)


def test_a_dla_is_asked_of_tensorrt(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What its documents name as options reaches TensorRT; nobody has run it."""
    from dynamic_dnn_ros.engines import onnxruntime_engine

    providers = ['TensorrtExecutionProvider', 'CUDAExecutionProvider', 'CPUExecutionProvider']
    cores = {'dla0': str(tmp_path / 'nvdla0'), 'dla1': str(tmp_path / 'nvdla1')}
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: providers)
    monkeypatch.setattr(onnxruntime_engine, '_DEVICES', (str(tmp_path),))
    monkeypatch.setattr(onnxruntime_engine, '_DLA_CORES', cores)
    asked: list[dict[str, dict[str, object]]] = []

    def refuse(content: bytes, options: object, providers: list[tuple[str, dict[str, object]]]):  # type: ignore[no-untyped-def]
        asked.append(dict(providers))
        raise RuntimeError('another network holds it')

    monkeypatch.setattr(onnxruntime, 'InferenceSession', refuse)
    engine = create_engine('onnxruntime', bundle, 1, Precision.FLOAT16)
    entry = bundle.manifest.sub_networks[0]
    assert engine.processors == ('tensorrt',)
    with pytest.raises(EngineError, match=r"'dla1' is not here.*nvdla1.*runs on: tensorrt"):
        engine.prepare(entry, 'dla1')
    for file in cores.values():
        Path(file).touch()
    assert engine.processors == ('tensorrt', 'dla0', 'dla1')
    # Two networks that cannot share one: the other is refused, and may run elsewhere.
    with pytest.raises(EngineError, match="on 'dla1': another network holds it"):
        engine.prepare(entry, 'dla1')
    (found,) = asked
    assert list(found) == providers
    tensorrt = found['TensorrtExecutionProvider']
    assert (tensorrt['trt_dla_enable'], tensorrt['trt_dla_core']) == (True, 1)
    assert tensorrt['trt_fp16_enable'] and str(tensorrt['trt_engine_cache_path'])[-4:] == 'dla1'
    in_float32 = create_engine('onnxruntime', bundle, 1)
    assert 'dla0' not in in_float32.processors
    with pytest.raises(EngineError, match="in float32.*ask for 'float16'"):
        in_float32.prepare(entry, 'dla0')
    # It is gone, as a device in a container may be.
    Path(cores['dla1']).unlink()
    with pytest.raises(EngineError, match="'dla1' is not here"):
        engine.prepare(entry, 'dla1')


def test_a_cluster_of_the_cpu_is_a_processor(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dynamic_dnn_ros.engines import clusters, onnxruntime_engine

    before = os.sched_getaffinity(0)
    if len(before) < 2:
        pytest.skip('needs two CPUs')
    first, last = min(before), max(before)
    here = {'cpu0': frozenset({first}), 'cpu4': frozenset({last})}
    monkeypatch.setattr(onnxruntime_engine, 'clusters_here', lambda: here)
    kept: list[object] = []

    def note(thread: int, cpus: Collection[int]) -> None:
        kept.append(set(cpus))
        pin(thread, cpus)

    pin = os.sched_setaffinity
    monkeypatch.setattr(clusters.os, 'sched_setaffinity', note)
    engine = create_engine('onnxruntime', bundle, 2)
    assert engine.processors == ('cpu', 'cpu0', 'cpu4')
    entry = bundle.manifest.sub_networks[0]
    threads = set(os.listdir('/proc/self/task'))
    prepared = engine.prepare(entry, 'cpu4')
    others = {
        os.sched_getaffinity(int(t)) == {last}
        for t in set(os.listdir('/proc/self/task')) - threads
    }
    assert others == {True}  # its second thread
    kept.clear()
    picture = np.zeros((*entry.size, 3), np.uint8)
    outputs = prepared.run(picture)
    assert kept == [{last}, before] and os.sched_getaffinity(0) == before
    for name, values in engine.prepare(entry, 'cpu').run(picture).items():
        assert np.array_equal(values, outputs[name])
    with pytest.raises(EngineError, match="'cpu7' is not here.*cpu, cpu0, cpu4"):
        engine.prepare(entry, 'cpu7')


def test_clusters_are_those_of_the_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dynamic_dnn_ros.engines import clusters

    assert clusters.clusters_here(str(tmp_path)) == {}
    board = str(rk3588(tmp_path).root)
    for allowed, expected in (
        (range(8), {'cpu0': {0, 1, 2, 3}, 'cpu4': {4, 5}, 'cpu6': {6, 7}}),
        (range(3, 5), {'cpu0': {3}, 'cpu4': {4}}),
        (range(4), {}),  # a container that has one cluster alone
    ):
        monkeypatch.setattr(clusters.os, 'sched_getaffinity', lambda _, a=allowed: set(a))
        assert clusters.clusters_here(board) == expected
