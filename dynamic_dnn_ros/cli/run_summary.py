# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the demo, the live page and reports say alike of a run."""

from __future__ import annotations

from collections.abc import Iterable
import math

SETTLING_SHARE, SETTLING_SECONDS = 0.25, 1.5
"""Share of a target's time, at most so many seconds, that decision and switch are given."""


def settled_from(start: float, end: float) -> float:
    """Return the time from which a target is judged that was in force between two times, s."""
    return start + min(SETTLING_SECONDS, SETTLING_SHARE * (end - start))


def kept_by(share: float, times: Iterable[float]) -> float:
    """Return the least that a share of times does not exceed, as targets ask; NaN without any."""
    ordered = sorted(times)
    return ordered[frames_within(share, len(ordered)) - 1] if ordered else math.nan


def frames_within(share: float, count: int) -> int:
    """Return how many of some frames have to be in time, so that a share of them is."""
    return max(1, math.ceil(share * count - 1e-9)) if count else 0


def title_of(platform: str, simulated: bool, nameless: str) -> str:
    """
    Return a platform as people call it, e.g. `simulated Xavier NX`.

    :param nameless: what one without a name is called
    """
    words = platform.removesuffix('_simulated').split('_')
    name = ' '.join(word.upper() if len(word) < 3 else word.capitalize() for word in words)
    return f'simulated {name}'.rstrip() if simulated else (name or nameless)
