# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Deciders that know no profile: they try settings while they serve, and keep the best one.

They differ in what they try next (`propose`). A search begins anew when a target, an application
or the limits of the clocks change, and when the setting that it kept becomes slower or faster.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
import math

from dynamic_dnn_ros.management.baselines.baseline import Baseline
from dynamic_dnn_ros.management.baselines.probes import Probe
from dynamic_dnn_ros.management.baselines.search_space import Place, SearchSpace, settable
from dynamic_dnn_ros.management.manager import ManagerSettings
from dynamic_dnn_ros.management.observations import Load, Status
from dynamic_dnn_ros.management.tables import Option
from dynamic_dnn_ros.management.targets import Objective, Target

PROBES = 20
"""Settings that a search tries."""

CHECKED = 100
"""Frames at the setting that is kept, after which it is looked at again."""

CHANGED = 0.15
"""Share by which latency there has to change for another search."""


class Probing(Baseline, abc.ABC):
    """A search at run time over the sub-networks of all applications and the clocks."""

    def __init__(self, instance: str, settings: ManagerSettings | None = None) -> None:
        """Begin with nothing tried."""
        super().__init__(instance, settings)
        self.space: SearchSpace | None = None
        self.tried: list[Probe] = []
        self._asked: dict[str, Target] = {}
        self._probe: Probe | None = None
        self._searching = True
        self._latency = math.nan

    @abc.abstractmethod
    def propose(self, space: SearchSpace) -> Place | None:
        """Return where to go next, by `tried`, which is not empty; none: nowhere."""

    @property
    def searching(self) -> bool:
        """Tell whether settings are still being tried."""
        return self._searching

    def served(self, application: str, status: Status, now: float) -> bool:
        """Take a frame to the probe that runs."""
        if self._probe is None:
            return False
        self._probe.take_frame(status, now)
        return self._searching and self._probe.is_over(self._asked, now)

    def observe_load(self, load: Load, now: float) -> bool:
        """Take a load to the probe that runs."""
        if self._probe is not None:
            self._probe.take_load(load, now)
        return super().observe_load(load, now)

    def pick(self, now: float) -> tuple[Mapping[str, Option], Mapping[str, float] | None]:
        """Return what is being tried, or the best of what was."""
        if self.load is None or not self.applications:
            return {}, None
        space = self._space(self.load)
        targets = {n: t for n in self.applications if (t := self.targets.get(n)) is not None}
        if self._probe is None or space != self.space or targets != self._asked:
            self.space, self._asked = space, targets
            self._restart(space, now)
        elif self._searching and self._probe.is_over(targets, now):
            self.tried.append(self._probe)
            place = self.propose(space) if len(self.tried) < PROBES else None
            if place is None:
                self._keep_best(now)
            else:
                self._go(space, place, now)
        elif not self._searching:
            self._look_again(self._probe, space, now)
        assert self._probe is not None
        return dict(self._probe.options), dict(self._probe.clocks) or None

    def kept(self) -> Sequence[Probe]:
        """Return the probes that kept all targets, best first."""
        found = [probe for probe in self.tried if probe.excess(self._asked) <= 0.0]
        return sorted(found, key=self.value)

    def least_late(self) -> Probe:
        """Return the probe that was late by least."""
        return min(self.tried, key=lambda probe: probe.excess(self._asked))

    def excess(self, probe: Probe) -> float:
        """Return the share by which a probe exceeded the targets; below 0: it kept them."""
        return probe.excess(self._asked)

    def value(self, probe: Probe) -> float:
        """Return what is to be small: power, W, after what targets have as their objective."""
        assert self.space is not None
        value = probe.power({name: clocks[-1] for name, clocks in self.space.clocks.items()})
        for name, (sub_network, _) in probe.options.items():
            target = self._asked.get(name)
            objective = target.objective if target is not None else Objective.MAXIMUM_ACCURACY
            if objective is Objective.MAXIMUM_ACCURACY:
                value -= 1e3 * self.applications[name].accuracies.get(sub_network, 0.0)
            elif objective is Objective.MINIMUM_LATENCY:
                value += 1e6 * probe.latency()
        return value

    def saves_energy(self) -> bool:
        """Tell whether all applications ask for the least energy."""
        asked = [self._asked.get(name) for name in self.applications]
        return all(t is not None and t.objective is Objective.MINIMUM_ENERGY for t in asked)

    def _space(self, load: Load) -> SearchSpace:
        options = {}
        for name, application in self.applications.items():
            target = self.targets.get(name)
            least = target.accuracy if target is not None else 0.0
            every = self.by_accuracy(name) if self.tables[name].options else [self.serving[name]]
            accuracies = application.accuracies
            usable = [each for each in every if not accuracies.get(each[0], 1.0) < least]
            options[name] = tuple(usable or every[-1:])
        return SearchSpace(options, settable(load))

    def _restart(self, space: SearchSpace, now: float) -> None:
        self.tried, self._searching = [], True
        self._go(space, space.fastest, now)

    def _go(self, space: SearchSpace, place: Place, now: float) -> None:
        self._probe = Probe(place, space.options_at(place), space.clocks_at(place), now)

    def _keep_best(self, now: float) -> None:
        best = next(iter(self.kept()), None) or self.least_late()
        self._searching, self._latency = False, best.latency()
        self._probe = Probe(best.place, best.options, best.clocks, now)

    def _look_again(self, probe: Probe, space: SearchSpace, now: float) -> None:
        """Take another one where this one misses targets, and search where it is another one."""
        if any(probe.frames(name) < CHECKED for name in probe.options):
            return
        latency = probe.latency()
        if not self._latency > 0.0 or abs(latency / self._latency - 1) > CHANGED:
            self._restart(space, now)
            return
        # So many frames tell more of this place than those of the search did.
        self.tried = [probe if each.place == probe.place else each for each in self.tried]
        best = next(iter(self.kept()), None) or self.least_late()
        if best.place != probe.place:
            self._keep_best(now)
