# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Modules of the reliability programs, which lie outside of the package."""

from __future__ import annotations

from collections.abc import Callable
import importlib
from pathlib import Path
from types import ModuleType

import pytest

RELIABILITY = Path(__file__).resolve().parents[2] / 'reliability'


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Return what imports a module of the folder by name."""
    monkeypatch.syspath_prepend(str(RELIABILITY))
    return importlib.import_module
