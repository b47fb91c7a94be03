# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is of ONNX Runtime alone; what every engine keeps is in test_contract.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import subprocess
import sys

import pytest

from dynamic_dnn_ros.bundles.graphs import Graph, graph_key
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import EngineError, Precision
from dynamic_dnn_ros.engines.registry import create_engine

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
