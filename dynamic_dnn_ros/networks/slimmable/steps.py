# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One step of a slimmable network."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Step:
    """One operator of a network, with its arguments; `layer` names the layer that it is."""

    name: str
    operator: str
    arguments: tuple[Any, ...]
    layer: str = ''
