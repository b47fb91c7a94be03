# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Quantities as people type them: 25ms, 0.025, 85%, 30Hz, 200mJ."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
import math
import re

_QUANTITY = re.compile(r'([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([A-Za-zµμ%]*)')

TIMES = {'': 1.0, 's': 1.0, 'ms': 1e-3, 'us': 1e-6, 'µs': 1e-6, 'μs': 1e-6}
SHARES = {'': 1.0, '%': 1e-2}
RATES = {'': 1.0, 'Hz': 1.0, 'hz': 1.0, 'kHz': 1e3, 'fps': 1.0, 'FPS': 1.0}
ENERGIES = {'': 1.0, 'J': 1.0, 'mJ': 1e-3, 'uJ': 1e-6, 'µJ': 1e-6, 'μJ': 1e-6}


def quantity(name: str, units: Mapping[str, float]) -> Callable[[str], float]:
    """
    Return a reader of a quantity for argparse.

    :param name: what it is, for errors
    :param units: factor to the SI unit by what may follow the number; '' for the SI unit itself
    """

    def read(text: str) -> float:
        known = ', '.join(unit for unit in units if unit and unit.isascii())
        found = _QUANTITY.fullmatch(text.strip())
        if found is None:
            raise argparse.ArgumentTypeError(
                f'{text!r} is no {name}. Give a number, alone or with one of: {known}'
            )
        number, unit = found.groups()
        if unit not in units:
            raise argparse.ArgumentTypeError(
                f'{text!r} is no {name}: {unit!r} is not one of its units. Give a number, alone '
                f'or with one of: {known}'
            )
        # Divided where that is exact: 25ms is 0.025, not 0.025000000000000001.
        factor = units[unit]
        value = float(number)
        value = value / round(1 / factor) if factor < 1 else value * factor
        if not math.isfinite(value):
            raise argparse.ArgumentTypeError(f'{text!r} is no {name}: it is too large')
        return value

    read.__name__ = name
    return read


duration = quantity('time', TIMES)


def latency(text: str) -> float:
    """
    Read a latency for argparse, s: a number without a unit is one only below 1.

    Who types 25 means milliseconds, and would be asking for 25 s.
    """
    value = duration(text)
    if value >= 1.0 and not text.strip()[-1].isalpha():
        raise argparse.ArgumentTypeError(
            f'{text!r} has no unit: give {text.strip()}ms, or {text.strip()}s if seconds are meant'
        )
    return value


share = quantity('share', SHARES)
rate = quantity('rate', RATES)
energy = quantity('energy', ENERGIES)
