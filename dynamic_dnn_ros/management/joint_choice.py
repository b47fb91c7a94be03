# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The search for the best joint candidate.

At each setting the applications choose in order of priority, twice round, each knowing what the
others take of the processor that it would use. First each takes what is best for itself. Where
that costs one its target, those of lower priority yield at that setting, step by step: they take
the least that meets their own target, then the least there is.

Among all candidates the choice is lexicographic:

1. least excess over the limit of utilisation, where load that is not ours needs the domain, and
   over the power cap, both as shares;
2. fewest missed targets, in order of priority; 3. nearest to those that are missed, likewise;
4. each application's objective in order of priority, latency to within 1 %, accuracy to within
   0.03 %;
5. least power of the board.

Only settings that can matter are looked at, as in branch and bound: the most promising ones
first, until lower bounds show of every other one that it would change nothing. At each the
applications first choose for themselves; that some yield is tried only where this costs one its
target and the setting can still matter. The answer is that of a search of all settings, unless
`EFFORT` ends it before: where many targets contradict each other, what is best then stands.

The search itself is in C++ (`src/joint_choice`), compiled with this package and called by
`ctypes`; here is what it is given. It takes the same decisions on every processor: the compiler
is told to contract no multiplication and addition into one.
"""

from __future__ import annotations

from collections.abc import Mapping
from ctypes import CDLL, POINTER, Structure, byref, c_bool, c_double, c_int64, c_void_p, sizeof
from functools import cache
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.management.assessment import (
    RATE_TOLERANCE,
    Demand,
    FloatArray,
    IndexArray,
    Problem,
    ResourceSettings,
    by_priority,
)
from dynamic_dnn_ros.management.estimator import BETWEEN_FRAMES, CAMERA_VARIATION, standard_score
from dynamic_dnn_ros.management.tables import LeastFigures
from dynamic_dnn_ros.management.targets import Objective

FIRST_BATCH = 24
"""Settings that are looked at first; each further batch is four times as large."""

EFFORT = 512
"""
Joint candidates after which a search ends. Settings come in the order of what the bounds promise,
so that what the rest could still mend is little; the choice stays the same for the same input.
"""

LIBRARY = Path(__file__).parents[1] / 'lib' / 'libdynamic_dnn_joint_choice.so'
"""What CMake and pip make of `src/joint_choice`."""


class JointChoice(NamedTuple):
    """
    The best setting and each application's option, as indices, and what they come to.

    `excess` is that over the limits of utilisation and power, as a share; `margined` by which
    share each application's limits are missed, the margin kept free; `power` of the board, W.
    """

    setting: int
    options: IndexArray
    excess: float
    margined: FloatArray
    power: float


def choose_jointly(
    problem: Problem,
    settings: ResourceSettings,
    first_batch: int = FIRST_BATCH,
    in_force: int | None = None,
    effort: int = EFFORT,
) -> JointChoice:
    """
    Return the best setting and options.

    :param first_batch: how many settings to look at first; the answer does not depend on it
    :param in_force: a setting to look at too, nor on that
    :param effort: joint candidates after which to end
    :raises ValueError: there is no setting, no application, or none that it may serve
    :raises OSError: as `library` does
    """
    demands, counted = problem.demands, problem.counted_domains()
    if not demands or not len(problem.settings) or not all(d.usable.any() for d in demands):
        raise ValueError(
            'a choice needs settings, applications, and an option that each of them may serve'
        )
    # Who takes no turns has number 0.
    servers = {name: n for n, name in enumerate(dict.fromkeys(['', *(d.server for d in demands)]))}
    usable = [np.flatnonzero(demand.usable) for demand in demands]
    least = [figures.of(demand.usable) for figures, demand in zip(problem.joint.least, demands)]
    # Whatever is pointed at must outlive the call.
    shares = [_floats(d.shares[u][:, counted]) for d, u in zip(demands, usable)]
    processors = [_integers(p[u]) for p, u in zip(problem.joint.processors, usable)]
    applications = (_Application * len(demands))(
        *(
            _application(demand, settings.margin, figures, servers, _at(share), _at(processor))
            for demand, figures, share, processor in zip(demands, least, shares, processors)
        )
    )
    order, rows = _integers(by_priority(demands)), _integers(problem.settings)
    foreign = _floats(problem.foreign_utilisation(rows)[:, counted] if counted else [])
    beside = None if problem.power_beside is None else _floats(problem.power_beside)
    task = _Task(
        applications=applications,
        order=_at(order),
        settings=_at(rows),
        foreign=_at(foreign),
        beside=None if beside is None else _at(beside),
        count=len(demands),
        positions=len(rows),
        counted=len(counted),
        in_force=-1 if in_force is None else in_force,
        first_batch=first_batch,
        effort=effort,
        limit=settings.utilisation_limit,
        power_cap=problem.power_cap,
    )
    options, margined = np.empty(len(demands), dtype=np.int64), np.empty(len(demands))
    found = _Found(options=_at(options), margined=_at(margined))
    if not library().dynamic_dnn_choose(byref(task), byref(found)):
        raise MemoryError(f'no memory for a choice among {len(rows)} settings')
    chosen = np.array([u[o] for u, o in zip(usable, options)], dtype=np.int64)
    return JointChoice(found.setting, chosen, found.excess, margined, found.power)


_REMEDY = 'build it again: colcon build --packages-select dynamic_dnn_ros, or pip install .'


class _Application(Structure):
    """`Application` of `prediction.hpp`."""

    _fields_ = [
        *((name, c_void_p) for name in ('points', 'least', 'accuracy', 'descending')),
        *((name, c_void_p) for name in ('shares', 'processors')),
        *((name, c_int64) for name in ('options', 'objective', 'priority', 'server', 'timed')),
        *((name, c_double) for name in ('latency', 'per_latency', 'energy', 'accurate')),
        *(
            (name, c_double)
            for name in ('asked', 'rate', 'longest', 'occupancy', 'stage', 'waited')
        ),
        *((name, c_double) for name in ('quantile', 'tail', 'slow_down', 'overhead', 'other')),
        *((name, c_double) for name in ('uncertain', 'beyond_p50', 'beyond_p95', 'varied')),
        *((name, c_double) for name in ('steady_alone', 'corrected_alone')),
        *((name, c_double) for name in ('steady_beside', 'corrected_beside')),
    ]


class _Task(Structure):
    """`Task` of `task.hpp`."""

    _fields_ = [
        ('applications', POINTER(_Application)),
        *((name, c_void_p) for name in ('order', 'settings', 'foreign', 'beside')),
        *((name, c_int64) for name in ('count', 'positions', 'counted')),
        *((name, c_int64) for name in ('in_force', 'first_batch', 'effort')),
        *((name, c_double) for name in ('limit', 'power_cap')),
    ]


class _Found(Structure):
    """`Found` of `joint_choice.cpp`."""

    _fields_ = [
        ('setting', c_int64),
        *((name, c_double) for name in ('excess', 'power')),
        *((name, c_void_p) for name in ('options', 'margined')),
    ]


@cache
def library() -> CDLL:
    """
    Load the compiled search; whoever decides does so at its start.

    :raises OSError: it is not compiled, or for another version of the package
    """
    try:
        loaded = CDLL(str(LIBRARY))
        sizes = list((c_int64 * 3).in_dll(loaded, 'dynamic_dnn_sizes'))
    except (OSError, ValueError) as error:
        raise OSError(f"the manager's search does not load: {error}; {_REMEDY}") from error
    if sizes != [sizeof(_Application), sizeof(_Task), sizeof(_Found)]:
        raise OSError(f'{LIBRARY} is of another version of this package; {_REMEDY}')
    loaded.dynamic_dnn_choose.argtypes = [POINTER(_Task), POINTER(_Found)]
    loaded.dynamic_dnn_choose.restype = c_bool
    return loaded


def _floats(values: object) -> FloatArray:
    return np.ascontiguousarray(values, dtype=np.float64)


def _integers(values: object) -> IndexArray:
    return np.ascontiguousarray(values, dtype=np.int64)


def _at(array: NDArray[np.generic]) -> int:
    """Return where an array is in memory."""
    address: int = array.__array_interface__['data'][0]
    return address


def _application(
    demand: Demand,
    margin: float,
    least: LeastFigures,
    servers: Mapping[str, int],
    shares: int,
    processors: int,
) -> _Application:
    """Work out what depends on the demand alone, as `assessment.py` and `estimator.py` do."""
    target, slow_down, room = demand.target, demand.slow_down, demand.room(margin)
    latency = target.latency * (1 - room)
    score = standard_score(target.quantile)
    z95, z99 = standard_score(0.95), standard_score(0.99)
    camera, paths = demand.camera_variation, demand.path_variation**2
    beside = (max(camera, CAMERA_VARIATION) ** 2 + paths, 0.0)
    alone = (camera**2 + paths, 0.0 if paths else BETWEEN_FRAMES)
    if demand.disturbed:
        alone = beside
    return _Application(
        points=_at(least.points),
        least=_at(least.least),
        accuracy=_at(least.accuracy),
        descending=_at(least.descending),
        shares=shares,
        processors=processors,
        options=len(least.accuracy),
        objective=target.objective,
        priority=demand.priority,
        server=servers[demand.server],
        timed=target.latency > 0 or target.objective is Objective.MINIMUM_LATENCY,
        latency=latency,
        per_latency=1 / latency if latency else 0.0,
        energy=target.energy * (1 - room),
        accurate=target.accuracy,
        asked=min(target.rate, demand.camera_rate) * (1 - RATE_TOLERANCE) / (1 - room),
        rate=demand.camera_rate,
        longest=target.quantile / demand.camera_rate if demand.camera_rate > 0 else math.inf,
        occupancy=demand.occupancy,
        stage=demand.stage,
        waited=demand.queueing.at_quantile,
        quantile=target.quantile,
        tail=0.5 * math.log(1 / (1 - target.quantile)),
        slow_down=slow_down.mean,
        overhead=demand.overhead,
        other=(max(score, 0.0) * demand.overhead_deviation) ** 2,
        uncertain=max(score, 0.0) * slow_down.deviation,
        beyond_p50=min(max(score, 0.0) / z95, 1.0),
        beyond_p95=max(0.0, (score - z95) / (z99 - z95)),
        varied=1 / max(score, 0.5) ** 2,
        steady_alone=alone[0],
        corrected_alone=alone[1],
        steady_beside=beside[0],
        corrected_beside=beside[1],
    )
