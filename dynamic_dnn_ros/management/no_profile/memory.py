# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What was learnt of a bundle on a board, as plain data that outlives the manager."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import math
from typing import Any

import numpy as np

from dynamic_dnn_ros.management.no_profile.evidence import (
    FrameEvidence,
    FramePoint,
    LoadEvidence,
    LoadPoint,
    Option,
)

FORMAT_VERSION = 1

ALIKE = 0.3
"""Share by which latencies measured at start may differ from those of what was learnt."""


@dataclass
class Memory:
    """
    Means by board and by bundle.

    `domains` are those whose clocks could be set. `start` has what the engine measured at start,
    s, by option: another engine is another application. `loads` belong to the board, and are kept
    with each bundle that taught them.
    """

    platform: str
    bundle: str
    domains: tuple[str, ...]
    start: dict[Option, float]
    frames: FrameEvidence
    loads: LoadEvidence = field(default_factory=LoadEvidence)

    def fits(self, domains: Sequence[str], start: Mapping[Option, float]) -> bool:
        """Tell whether it is of the same clocks, options and engine."""
        return (
            self.domains == tuple(domains)
            and self.start.keys() == start.keys()
            and all(abs(math.log(start[o] / seconds)) < ALIKE for o, seconds in self.start.items())
        )

    def to_mapping(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {
            'format_version': FORMAT_VERSION,
            'learnt': f'{self.frames.frames} frames at {len(self.frames.points)} operating points',
            'platform': self.platform,
            'bundle': self.bundle,
            'domains': list(self.domains),
            'start': [[*option, seconds] for option, seconds in self.start.items()],
            'frames': [
                [*option, list(clocks), p.frames, p.seconds, p.disturbance, p.busy, p.counted]
                for (option, clocks), p in self.frames.points.items()
            ],
            'loads': [
                [[list(o) for o in served], list(clocks), p.samples, p.watts, p.busy.tolist()]
                for (clocks, served), p in self.loads.points.items()
            ],
        }

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Memory:
        """
        Return what JSON made of one.

        :raises ValueError: when it is none
        """
        try:
            if mapping['format_version'] != FORMAT_VERSION:
                raise ValueError('it is of another release')
            domains = tuple(str(name) for name in mapping['domains'])
            frames, loads = FrameEvidence(), LoadEvidence()
            for name, processor, clocks, count, seconds, disturbance, busy, counted in mapping[
                'frames'
            ]:
                frames.points[(str(name), str(processor)), _clocks(clocks, domains)] = FramePoint(
                    int(_positive(count)),
                    _positive(seconds),
                    float(disturbance),
                    {str(domain): float(value) for domain, value in busy.items()},
                    int(counted),
                )
            for served, clocks, samples, watts, busy in mapping['loads']:
                key = _clocks(clocks, domains), tuple((str(s), str(p)) for s, p in served)
                shares = np.array([float(share) for share in busy])
                if shares.shape != (len(domains),):
                    raise ValueError('busy shares are not those of its domains')
                loads.points[key] = LoadPoint(int(_positive(samples)), _positive(watts), shares)
            start = {(str(s), str(p)): _positive(seconds) for s, p, seconds in mapping['start']}
            return cls(
                str(mapping['platform']), str(mapping['bundle']), domains, start, frames, loads
            )
        except (AttributeError, KeyError, OverflowError, TypeError) as error:
            raise ValueError(f'it cannot be read ({error!r})') from error


def _positive(value: Any) -> float:
    number = float(value)
    if not 0.0 < number < math.inf:
        raise ValueError(f'{number} is no positive number')
    return number


def _clocks(values: Sequence[Any], domains: Sequence[str]) -> tuple[float, ...]:
    clocks = tuple(_positive(value) for value in values)
    if len(clocks) != len(domains):
        raise ValueError('clocks are not those of its domains')
    return clocks
