# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The oracle: for each stretch in which nothing changes, the best plan there is.

It knows the board's truth, biases, slow-downs and other load included, and the distributions of
latency, not single frames. Energy of a plan is exact: the board's power is linear in utilisation.
Latency is exact for one application that no other one meets; for several a plan is tried in the
simulation, with other random numbers than those of the run, until the cheapest is found that meets
the targets at their quantiles. Limits of heat are not foreseen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
import math
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.management.assessment import ResourceSettings
from dynamic_dnn_ros.management.baselines.baseline import Baseline
from dynamic_dnn_ros.management.estimator import standard_score
from dynamic_dnn_ros.management.observations import Load
from dynamic_dnn_ros.management.platform_view import NEGLIGIBLE_FOREIGN
from dynamic_dnn_ros.management.tables import Grid, Option
from dynamic_dnn_ros.management.targets import Objective, Target
from dynamic_dnn_ros.platforms.board_model import BoardModel
from dynamic_dnn_ros.simulation.board import HIGHEST_LOAD, BoardInTime
from dynamic_dnn_ros.simulation.figures import application_figures
from dynamic_dnn_ros.simulation.scenario import (
    ApplicationScript,
    HeldClock,
    Scenario,
    TargetChange,
)
from dynamic_dnn_ros.simulation.workload import Workload
from dynamic_dnn_ros.simulation.world import World

FloatArray = NDArray[np.float64]

TRIALS = 60
"""Plans that are tried in simulation for one stretch at most, the cheapest first."""

TRIAL = 25.0
"""Seconds of a trial; more frames of slow cameras, see `FRAMES`."""

FRAMES = 400
"""Frames of an application that a trial has at least."""

HOPELESS = 0.1
"""Share of missed targets in a fifth of a trial that ends it."""

UNASKED_RATE_SHARE = 0.95
"""Share of the camera's frames that an application keeps up with if it was asked for nothing."""

WORTH = 0.002
"""Share of the power that a trial must promise to save."""

_NORMAL = NormalDist()


@dataclass(frozen=True, eq=False)
class Truth(Grid):
    """
    What options of a network come to at each setting of a board.

    `latency` in seconds; `busy` seconds a frame keeps each domain busy over its units, options x
    settings x domains, and `active` the same for power, of domains and accelerators; `share` of a
    frame on its processor.
    """

    latency: FloatArray
    share: FloatArray
    busy: FloatArray
    active: FloatArray


@dataclass(frozen=True)
class StretchPlan:
    """Options and clocks for one stretch; `power` in watts as expected."""

    options: Mapping[str, Option]
    clocks: Mapping[str, float]
    power: float
    met: bool


@lru_cache(maxsize=32)
def truth(board: BoardModel, workload: Workload) -> Truth:
    """Return what a network comes to on a board; kept for the next call with the same objects."""
    state = BoardInTime(board)
    settings = _settings(board)
    processors = workload.points.processors
    options = tuple((s, p) for s in workload.points.sub_networks for p in processors)
    shape = (len(options), len(settings))
    latency, share = np.zeros(shape), np.zeros(shape)
    busy = np.zeros((*shape, len(state.domains)))
    active = np.zeros((*shape, len(state.places)))
    units = np.array([board.units(name) for name in state.places])
    count = len(state.domains)
    for o, (sub_network, processor) in enumerate(options):
        for s, setting in enumerate(settings.tolist()):
            work = state.work(workload.costs[sub_network], processor, tuple(setting))
            latency[o, s], share[o, s] = work.latency, work.parts.processor_share
            busy[o, s] = np.array(work.shares) * work.latency / units[:count]
            active[o, s] = np.array(work.activity) * work.latency / units
    accuracy = np.array([workload.accuracies[s] for s, _ in options])
    rows = np.rint(settings / 1e3).astype(np.int64)
    return Truth(options, accuracy, state.domains, rows, latency, share, busy, active)


@lru_cache(maxsize=32)
def powers(board: BoardModel, rail: str = '') -> tuple[FloatArray, FloatArray]:
    """Return idle power of a rail at each setting, W, and what each busy domain adds to it."""
    state = BoardInTime(board)
    total = state.rails.index(rail or board.total_power_rail)
    idle, slopes = [], []
    count = len(state.places)
    for setting in _settings(board).tolist():
        base = state.power_at(tuple(setting), [0.0] * count)[total]
        idle.append(base)
        slopes.append(
            [
                state.power_at(tuple(setting), [float(i == d) for i in range(count)])[total] - base
                for d in range(count)
            ]
        )
    return np.array(idle), np.array(slopes)


@lru_cache(maxsize=32)
def _settings(board: BoardModel) -> FloatArray:
    axes = [np.array(row.available) for row in board.limits()]
    return np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing='ij')], axis=1)


class Oracle(Baseline):
    """
    Carries out the best plan of each stretch.

    :param rail: whose energy is to be least; empty: the module's
    """

    def __init__(
        self,
        scenario: Scenario,
        boards: Callable[[str], BoardModel],
        workloads: Mapping[str, Workload],
        seed: int,
        rail: str = '',
    ) -> None:
        """Plan every stretch."""
        super().__init__('oracle')
        self._domains = tuple(boards(scenario.power_mode).domains)
        self.plans: list[tuple[float, StretchPlan | None]] = []
        known: dict[str, StretchPlan | None] = {}
        for begin, end in scenario.stretches():
            stretch = _Stretch(scenario, boards, workloads, seed, 0.5 * (begin + end), rail)
            key = stretch.key()
            if key not in known:
                known[key] = stretch.plan()
            self.plans.append((begin, known[key]))
        self._place = -1

    def pick(self, now: float) -> tuple[Mapping[str, Option], Mapping[str, float] | None]:
        """Return the plan of the stretch that a time belongs to."""
        self._place = self._at(now)
        plan = self.plans[self._place][1]
        if plan is None:
            return {}, None
        options = {n: o for n, o in plan.options.items() if n in self.applications}
        return options, plan.clocks

    def observe_load(self, load: Load, now: float) -> bool:
        """Decide at once where a new stretch has begun."""
        return super().observe_load(load, now) or self._at(now) != self._place

    def _at(self, now: float) -> int:
        return max(i for i, (begin, _) in enumerate(self.plans) if begin <= now + 1e-9)


class _Stretch:
    """One stretch of a scenario, known by a time inside it."""

    def __init__(
        self,
        scenario: Scenario,
        boards: Callable[[str], BoardModel],
        workloads: Mapping[str, Workload],
        seed: int,
        time: float,
        rail: str,
    ) -> None:
        self._scenario = scenario
        self._rail = rail
        self._workloads = workloads
        self._seed = seed
        modes = [change for change in scenario.power_modes if change[0] <= time]
        latest = max(modes, key=lambda change: change[0], default=None)
        self._mode = latest[1] if latest is not None else scenario.power_mode
        self._board = boards(self._mode)
        self._boards = boards
        self._scripts = [
            script
            for script in scenario.applications
            if script.starts <= time and (script.ends is None or time < script.ends)
        ]
        # Who takes turns waits for the others' stages: only a trial shows for how long.
        self._turns = bool(scenario.servers) and len(self._scripts) > 1
        self._time = time
        self._targets = [self._target(script) for script in self._scripts]
        self._rates = [script.camera.rate_at(time) for script in self._scripts]
        self._load = scenario.other_load_at(time)
        self._polling = scenario.other_load_at(time, True)
        self._held = scenario.held_clocks_at(time)
        self._factors = [
            self._board.bias(seed, script.id) * script.slow_down_at(time)
            for script in self._scripts
        ]
        self._sigmas = [
            self._board.jitter_deviation if script.jitter is None else script.jitter
            for script in self._scripts
        ]
        self._difficulties = [script.difficulty_at(time) for script in self._scripts]

    def key(self) -> str:
        """Return what tells two stretches apart."""
        return repr(
            (
                self._mode,
                [script.id for script in self._scripts],
                self._targets,
                self._rates,
                sorted(self._load.items()),
                sorted(self._polling.items()),
                sorted(self._held.items()),
                self._factors,
                self._difficulties,
            )
        )

    def _target(self, script: ApplicationScript) -> Target:
        asked = script.target_at(self._time)
        if asked is not None:
            return asked
        rate = script.camera.rate_at(self._time)
        # As the manager treats an application that was asked for nothing.
        return Target(
            script.id,
            latency=1.0 / rate,
            rate=UNASKED_RATE_SHARE * rate,
            objective=Objective.MAXIMUM_ACCURACY,
        )

    def plan(self) -> StretchPlan | None:
        """Return the best plan, none without applications."""
        if not self._scripts:
            return None
        truths = [truth(self._board, self._workloads[s.id]) for s in self._scripts]
        settings = truths[0].hertz
        counts = [len(t.options) for t in truths]
        domains = tuple(self._board.domains)
        highest = np.array([self._board.domains[name].frequencies[-1] for name in domains])
        demand = np.array([self._load.get(n, 0.0) for n in domains]) * highest / settings
        demand = demand + np.array([self._polling.get(n, 0.0) for n in domains])
        missed = np.zeros((*counts, len(settings)))
        surely = np.full((*counts, len(settings)), not self._turns)
        objective = np.zeros((*counts, len(settings)))
        utilisation = np.zeros((*counts, len(settings), len(domains)))
        activity = np.zeros((*counts, len(settings), powers(self._board)[1].shape[1]))
        shares = [self._spread(t.share, a, len(counts)) for a, t in enumerate(truths)]
        processors = [
            self._spread(np.array(t.processors)[:, None], a, len(counts))
            for a, t in enumerate(truths)
        ]
        order = sorted(range(len(counts)), key=lambda a: (-self._targets[a].priority, a))
        for place, a in enumerate(order):
            t, target, rate = truths[a], self._targets[a], self._rates[a]
            factor, sigma = self._factors[a], self._sigmas[a]
            mean_work, tail = self._of_pictures(a, t.options, target.quantile)
            free = 1 - self._foreign(t.options, demand, domains)
            alone = t.latency * factor * (1 + t.share * (1 / free - 1))
            base = self._spread(alone, a, len(counts))
            held = np.zeros_like(missed)
            for b in range(len(counts)):
                if b != a:
                    both, neither = shares[a] * shares[b], (1 - shares[a]) * (1 - shares[b])
                    sharing, busy, idle = (
                        self._spread(each, a, len(counts)) for each in self._contention(t)
                    )
                    own = self._spread(t.latency, a, len(counts))
                    by_it = (sharing * both + (busy * both + idle * neither) / own) / self._spread(
                        free, a, len(counts)
                    )
                    held = held + by_it * (processors[a] == processors[b])
            crowded = base * (1 + held)
            # Of a mean picture, and of the one that the quantile is about.
            tail = self._spread(tail[:, None], a, len(counts))
            mean = base * self._spread(mean_work[:, None], a, len(counts))
            weight = 1e3 ** (len(counts) - 1 - place)
            if target.latency:
                missed += weight * _over(base * tail / target.latency)
                surely &= crowded * tail <= target.latency
            asked = min(target.rate, rate) if target.rate else 0.0
            if asked:
                missed += weight * _over(mean * asked)
            # Where the next frame may come before the end of this one, trials see the waiting.
            uneven = 1.0 - 3.0 * math.sqrt(2.0) * self._scripts[a].camera.jitter
            surely &= crowded * math.exp(3.0 * sigma) * rate <= max(uneven, 0.3)
            accuracy = self._spread(
                np.repeat(t.accuracy[:, None], len(settings), 1), a, len(counts)
            )
            if target.accuracy:
                missed += weight * _over(target.accuracy / accuracy)
            if target.objective is Objective.MAXIMUM_ACCURACY:
                objective += weight * -accuracy
            elif target.objective is Objective.MINIMUM_LATENCY:
                objective += weight * mean
            served = np.minimum(rate, 1 / (alone * mean_work[:, None]))
            frames = (factor * served * mean_work[:, None])[:, :, None]
            utilisation += self._spread(t.busy * frames, a, len(counts))
            activity += self._spread(t.active * frames, a, len(counts))
        limit = ResourceSettings().utilisation_limit
        excess = np.zeros(len(settings))
        for d, name in enumerate(domains):
            if self._load.get(name, 0.0) > NEGLIGIBLE_FOREIGN:
                excess = excess + np.maximum(utilisation[..., d] + demand[:, d] - limit, 0.0)
        idle, slopes = powers(self._board, self._rail)
        others = np.minimum(demand, np.maximum(1.0 - utilisation, 0.0))
        activity[..., : len(domains)] += others
        power = idle + (activity * slopes).sum(axis=-1)
        missed = missed + 1e6 * (excess + self._elsewhere(settings, domains))
        flat = np.lexsort((power.ravel(), np.round(objective.ravel(), 6), missed.ravel()))
        return self._best(flat, missed, objective, power, surely, truths, settings, domains)

    def _elsewhere(self, settings: FloatArray, domains: tuple[str, ...]) -> FloatArray:
        """Return in how many domains a setting is not at the frequency that is held there."""
        elsewhere = np.zeros(len(settings))
        for name, clocks in zip(domains, settings.T):
            if name in self._held:
                distance = np.abs(clocks - self._held[name])
                elsewhere += distance > distance.min()
        return elsewhere

    def _of_pictures(
        self, a: int, options: Sequence[Option], quantile: float
    ) -> tuple[FloatArray, FloatArray]:
        """
        Return what pictures of an application's scene take of each option, as factors.

        Of its mean latency by the largest path: the mean, and the quantile with the spread of
        frames. Shape (options,).
        """
        all_paths = self._workloads[self._scripts[a].id].paths
        difficulty, sigma = self._difficulties[a], self._sigmas[a]
        means, tails = [], []
        for sub_network, _ in options:
            paths = all_paths.get(sub_network)
            if paths is None:
                means.append(1.0)
                tails.append(math.exp(standard_score(quantile) * sigma - 0.5 * sigma * sigma))
            else:
                means.append(paths.mean_work(difficulty))
                tails.append(_mixture(paths.works, paths.shares(difficulty), sigma, quantile))
        return np.array(means), np.array(tails)

    def _contention(self, options: Truth) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return what holds up a frame of each option, of shape (options, 1): see `Contention`."""
        found = [self._board.contention_on(processor) for processor in options.processors]
        return (
            np.array([[each.sharing] for each in found]),
            np.array([[each.processor_delay] for each in found]),
            np.array([[each.other_delay] for each in found]),
        )

    def _foreign(
        self, options: Sequence[Option], demand: FloatArray, domains: tuple[str, ...]
    ) -> FloatArray:
        """Return what other load takes of each option's processor, shape (options, settings)."""
        none = np.zeros(len(demand))
        return np.array(
            [
                np.minimum(demand[:, domains.index(p)], HIGHEST_LOAD) if p in domains else none
                for _, p in options
            ]
        )

    def _spread(self, values: NDArray[Any], axis: int, count: int) -> NDArray[Any]:
        """Lay one application's options x settings (x domains) out among those of all."""
        shape = [1] * count
        shape[axis] = values.shape[0]
        return values.reshape(*shape, *values.shape[1:])

    def _best(
        self,
        order: NDArray[np.int64],
        missed: FloatArray,
        objective: FloatArray,
        power: FloatArray,
        surely: NDArray[np.bool_],
        truths: Sequence[Truth],
        settings: FloatArray,
        domains: tuple[str, ...],
    ) -> StretchPlan:
        """Return the first plan in the order of worth that meets its targets, as tried."""
        flat_missed, flat_power = missed.ravel(), power.ravel()
        flat_surely, flat_objective = surely.ravel(), objective.ravel()
        certain = next((int(i) for i in order if flat_surely[i] and flat_missed[i] <= 0.0), None)
        nearest, least = None, math.inf
        trials, last = 0, -math.inf
        for index in order.tolist():
            if flat_missed[index] > flat_missed[order[0]] + 1e-9 or trials >= TRIALS:
                break
            if index == certain:
                break
            if certain is not None and flat_objective[index] == flat_objective[certain]:
                if flat_power[index] > flat_power[certain] * (1 - WORTH):
                    break
            if flat_power[index] < last * (1 + WORTH) and trials:
                continue  # as good as the one that was just tried
            plan = self._as_plan(index, missed.shape, truths, settings, domains, flat_power)
            found = self._try(plan)
            trials, last = trials + 1, float(flat_power[index])
            if found <= 0.0:
                return plan
            if found < least:
                nearest, least = replace(plan, met=False), found
        if certain is not None:
            return self._as_plan(certain, missed.shape, truths, settings, domains, flat_power)
        assert nearest is not None
        return nearest

    def _as_plan(
        self,
        index: int,
        shape: tuple[int, ...],
        truths: Sequence[Truth],
        settings: FloatArray,
        domains: tuple[str, ...],
        power: FloatArray,
    ) -> StretchPlan:
        *options, setting = np.unravel_index(index, shape)
        return StretchPlan(
            {s.id: t.options[int(o)] for s, t, o in zip(self._scripts, truths, options)},
            dict(zip(domains, settings[int(setting)].tolist())),
            float(power[index]),
            True,
        )

    def _try(self, plan: StretchPlan) -> float:
        """Return by how much a plan misses the targets when it is carried out throughout."""
        longest = max([TRIAL, *(FRAMES / rate for rate in self._rates)])
        found = self._carried_out(plan, longest / 5)
        return found if found > HOPELESS else self._carried_out(plan, longest)

    def _carried_out(self, plan: StretchPlan, longest: float) -> float:
        scenario = replace(
            self._scenario,
            duration=longest + 1.0,
            measured_from=1.0,
            power_mode=self._mode,
            power_modes=(),
            held_clocks=tuple(HeldClock(0.0, *each) for each in self._held.items()),
            cooling=(),
            sensors=type(self._scenario.sensors)(),
            other_load=tuple(
                replace(entry, at=0.0, until=longest + 2.0)
                for entry in self._scenario.other_load
                if entry.at <= self._time < entry.until
            ),
            applications=tuple(
                replace(
                    script,
                    starts=0.0,
                    ends=None,
                    camera=replace(script.camera, rate=rate, changes=()),
                    sub_network=plan.options[script.id][0],
                    slow_down=((0.0, script.slow_down_at(self._time)),),
                    difficulty=((0.0, script.difficulty_at(self._time)),),
                    targets=(TargetChange(0.0, target),),
                )
                for script, target, rate in zip(self._scripts, self._targets, self._rates)
            ),
        )
        world = World(scenario, self._boards, self._workloads, Fixed(plan), seed=self._seed)
        world.reseed_frames('oracle')
        run = world.run()
        return sum(
            application_figures(each, 1.0, longest + 1.0).exact_shortfall
            for each in run.applications.values()
        )


class Fixed(Baseline):
    """One plan for good."""

    def __init__(self, plan: StretchPlan) -> None:
        """Take the plan."""
        super().__init__('fixed')
        self._plan = plan

    def pick(self, now: float) -> tuple[Mapping[str, Option], Mapping[str, float] | None]:
        """Return it."""
        return self._plan.options, self._plan.clocks


def _mixture(
    works: Sequence[float], shares: Sequence[float], sigma: float, quantile: float
) -> float:
    """Return the quantile of log-normal latencies whose means are works, each with its share."""
    if sigma <= 0:
        return next(w for w, left in zip(works, accumulate(shares)) if left >= quantile - 1e-12)
    low, high = min(works) * math.exp(-8 * sigma), max(works) * math.exp(8 * sigma)
    for _ in range(60):
        middle = math.sqrt(low * high)
        below = sum(
            share * _NORMAL.cdf((math.log(middle / work) + 0.5 * sigma * sigma) / sigma)
            for work, share in zip(works, shares)
        )
        low, high = (middle, high) if below < quantile else (low, middle)
    return high


def _over(ratio: FloatArray) -> FloatArray:
    found: FloatArray = np.maximum(ratio - 1.0, 0.0)
    return np.where(found > 1e-9, found, 0.0)
