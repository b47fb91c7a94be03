# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is of OpenVINO alone; what every engine keeps is in test_contract.py."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import EngineError, Precision
from dynamic_dnn_ros.engines.registry import create_engine

pytest.importorskip('openvino')
pytest.importorskip('onnx')
from dynamic_dnn_ros.engines import openvino_engine


class Machine:
    """A computer as OpenVINO would find it."""

    def __init__(self, **capabilities: list[str]) -> None:
        self.available_devices = [name.replace('_', '.') for name in capabilities]
        self._capabilities = capabilities

    def get_property(self, device: str, name: str) -> list[str]:
        assert name == 'OPTIMIZATION_CAPABILITIES'
        if device == 'NPU.1':
            raise RuntimeError('the driver does not answer')
        return self._capabilities[device.replace('.', '_')]


def test_a_gpu_comes_first_and_precisions_are_those_of_a_device(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(CPU=['FP32', 'INT8', 'BF16'], GPU_0=['FP32', 'FP16'], NPU=['FP16'], NPU_1=[])
    monkeypatch.setattr(openvino_engine, 'core', lambda: machine)
    expected = {
        Precision.FLOAT32: ('gpu.0', 'cpu'),
        Precision.BFLOAT16: ('cpu',),
        Precision.FLOAT16: ('gpu.0', 'npu'),
    }
    for precision, processors in expected.items():
        assert create_engine('openvino', bundle, 1, precision).processors == processors


def test_a_precision_that_no_device_has_is_refused(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_engine, 'core', lambda: Machine(CPU=['FP32']))
    with pytest.raises(EngineError, match=r"computes in bfloat16 with OpenVINO: cpu.*'float32'"):
        create_engine('openvino', bundle, 1, Precision.BFLOAT16)


def test_a_device_that_is_not_there(bundle: Bundle) -> None:
    engine = create_engine('openvino', bundle, 1)
    with pytest.raises(EngineError, match=r"'gpu.7' is not here.*cpu"):
        engine.prepare(bundle.manifest.sub_networks[0], 'gpu.7')


SIGNALLED = """
import gc, signal, subprocess, sys
from pathlib import Path
from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.engines.registry import create_engine

bundle = read_bundle(Path(sys.argv[1]))
signal.signal(signal.SIGUSR1, lambda *_: print('answered'))
first, second = create_engine('openvino', bundle, 1), create_engine('openvino', bundle, 1)
for engine in (first, second):
    engine.prepare(bundle.manifest.sub_networks[0], 'cpu').close()
del engine, first
gc.collect()
del second
gc.collect()
signal.raise_signal(signal.SIGUSR1)
"""
"""Two engines of one process, the older one gone first; then the process gets a signal."""


def test_signals_are_answered_after_engines_are_gone(bundle: Bundle) -> None:
    answer = subprocess.run(
        [sys.executable, '-c', SIGNALLED, str(bundle.folder)], capture_output=True, text=True
    )
    assert (answer.returncode, answer.stdout) == (0, 'answered\n'), answer.stderr
