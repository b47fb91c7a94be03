# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The name of a computer, from file trees as kernels make them."""

import os
from pathlib import Path

from dynamic_dnn_ros.platforms.hardware import hardware_name


def write(root: Path, name: str, content: str) -> None:
    path = root / 'proc' / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def test_board_names_itself(tmp_path: Path) -> None:
    write(tmp_path, 'device-tree/model', 'NVIDIA Jetson Xavier NX Developer Kit\0')
    write(tmp_path, 'cpuinfo', 'processor\t: 0\nmodel name\t: ARMv8 Processor rev 0 (v8l)\n')
    assert hardware_name(tmp_path) == 'NVIDIA Jetson Xavier NX Developer Kit'


def test_other_computers_are_their_cpu_and_gpus(tmp_path: Path) -> None:
    write(tmp_path, 'cpuinfo', 'processor\t: 0\nmodel name\t: Fast CPU\n\nmodel name\t: Other\n')
    cores = f'({os.cpu_count()} cores)'
    assert hardware_name(tmp_path) == f'Fast CPU {cores}'
    write(tmp_path, 'driver/nvidia/gpus/0000:01:00.0/information', 'Model: \t\t NVIDIA X1\n')
    assert hardware_name(tmp_path) == f'Fast CPU {cores} + NVIDIA X1'


def test_has_a_name_without_any_of_it(tmp_path: Path) -> None:
    assert hardware_name(tmp_path).startswith(os.uname().machine)
