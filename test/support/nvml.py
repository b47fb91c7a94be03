# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A stand-in for the library of NVIDIA's driver, below the real package `nvidia-ml-py`.

There is no card on the computers that this package is tested on, so this is the one thing that is
replaced: `nvml_stand_in.c`, compiled as `libnvidia-ml.so.1`. The figures of its card are files.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
import shutil
import subprocess
import tempfile

import pytest

SOURCE = Path(__file__).with_name('nvml_stand_in.c')
LIBRARY = 'libnvidia-ml.so.1'
UUID = 'GPU-11111111-2222-3333-4444-555555555555'
FIGURES = {
    'utilisation': 40,
    'power': 71500,
    'temperature': 63,
    'clock': 1350,
    'memory_clock': 7001,
    'reasons': 0,
}


_FOLDER = tempfile.TemporaryDirectory(prefix='nvml_stand_in')  # till this process ends


@cache
def _library() -> Path:
    compiler = shutil.which('cc')
    if compiler is None:
        pytest.skip('there is no C compiler to make the stand-in for NVML')
    path = Path(_FOLDER.name) / LIBRARY
    subprocess.run(
        [compiler, '-shared', '-fPIC', f'-Wl,-soname,{LIBRARY}', '-o', path, SOURCE], check=True
    )
    ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)  # whoever asks for that name gets this one
    return path


class Driver:
    """
    The card of this computer, for this process and for those that it starts.

    :param folder: where its figures lie
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip('pynvml', reason='nvidia-ml-py is not installed')
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        monkeypatch.setenv('NVML_STAND_IN', str(folder))
        monkeypatch.setenv('LD_LIBRARY_PATH', str(_library().parent))
        self.say(**FIGURES)

    def say(self, **figures: int | None) -> None:
        """Set figures; None: this card does not have that one."""
        for name, value in figures.items():
            if value is None:
                (self.folder / name).unlink(missing_ok=True)
            else:
                (self.folder / name).write_text(f'{value}\n')

    def locked(self) -> tuple[int, ...]:
        """Return the range that the clock is locked into, MHz; empty where it is not."""
        file = self.folder / 'locked'
        return tuple(map(int, file.read_text().split())) if file.exists() else ()
