# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How much a finding matters: a problem costs images, a note is good to know."""

    OK = 'ok'
    NOTE = 'note'
    PROBLEM = 'problem'


@dataclass(frozen=True)
class Finding:
    """What a check found; `remedy` is what to do, empty where nothing is to be done."""

    name: str
    level: Level
    found: str
    remedy: str = ''
