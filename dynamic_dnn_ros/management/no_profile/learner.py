# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Learns the operating points of applications without a profile while they serve.

An application that presents points of no frequency domain, as its engine measured them at start,
is given points over all clocks that the platform offers: those of a plausible board at first,
then those that frames and power bear out. Now and then another setting is tried, one that teaches
much and keeps all targets by all that is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
import math

import numpy as np

from dynamic_dnn_ros.bundles.profile import OperatingPoints, ProfileKind
from dynamic_dnn_ros.management.assessment import ResourceSettings
from dynamic_dnn_ros.management.no_profile.evidence import (
    Clocks,
    FrameEvidence,
    LoadEvidence,
    Option,
    disturbance,
    stable_clocks,
)
from dynamic_dnn_ros.management.no_profile.figures import Clock, Figures
from dynamic_dnn_ros.management.no_profile.memory import Memory
from dynamic_dnn_ros.management.no_profile.power import PowerLaw
from dynamic_dnn_ros.management.no_profile.trials import next_setting
from dynamic_dnn_ros.management.observations import (
    Application,
    ApplicationState,
    Load,
    Status,
    points_digest,
)
from dynamic_dnn_ros.management.resource_level import Plan

MOST_TRIALS = 24
"""Settings that are tried before it has to do."""

TRIALS_ANEW = 6
"""That may be tried besides once something else is asked for."""

TRIAL_FRAMES, TRIAL_LOADS = 10, 8
"""Frames and samples of the load that end a trial."""

LONGEST_TRIAL = 8.0
"""Seconds after which it ends in any case."""

GRANTED_WITHIN = 1.5
"""Seconds within which the platform has to run at the setting that is tried."""

REST = 20.0
"""Seconds until it is looked again whether a trial would teach something."""

LOUD = 0.1
"""Share of a domain taken by load that is not ours from which on nothing is tried."""

SETTLED = 0.12
"""Seconds after a change until the load tells of the new clocks and sub-networks alone."""

GROWTH = 1.5
"""Factor by which the number of frames grows until laws are fitted again at the same points."""


@dataclass
class _Pupil:
    """One application without a profile."""

    application: Application
    digest: str
    evidence: FrameEvidence
    figures: Figures | None = None
    points: OperatingPoints | None = None
    option: Option = ('', '')
    skip: int = 1
    last: float = -math.inf
    fitted: tuple[int, int] = (0, 0)


@dataclass
class _Trial:
    """A setting that is being tried, Hz by domain."""

    frequencies: dict[str, float]
    begun: float
    frames: dict[str, int]
    loads: int = 0
    granted: bool = False


class Learner:
    """
    What is learnt of all applications without a profile, and of the board that they share.

    :param settings: of the manager's choice
    """

    def __init__(self, settings: ResourceSettings) -> None:
        """Begin with no application and no platform."""
        self._settings = settings
        self._pupils: dict[str, _Pupil] = {}
        self._clocks: tuple[Clock, ...] = ()
        self._load: Load | None = None
        self._loads = LoadEvidence()
        self._power: PowerLaw | None = None
        self._running: Clocks | None = None
        self._changed = -math.inf
        self._heard = -math.inf
        self._serving: dict[str, Option] = {}
        self._shares: dict[str, float] = {}
        self._arrived: dict[str, float] = {}
        self._trial: _Trial | None = None
        self._left = MOST_TRIALS
        self._tried_at: list[Clocks] = []
        self._rest = -math.inf
        self._why = ''
        self._renewed: set[str] = set()
        self._remembered: dict[tuple[str, str], Memory] = {}

    # What outlives it.

    def remember(self, memories: Iterable[Memory]) -> None:
        """Take up what was learnt in earlier runs, before any application is there."""
        self._remembered.update({(each.platform, each.bundle): each for each in memories})

    def memories(self) -> list[Memory]:
        """Return what is known of bundles that have a name, to be kept."""
        platform = self._load.platform if self._load is not None else ''
        domains = tuple(clock.domain for clock in self._clocks)
        return [
            Memory(
                platform,
                pupil.application.bundle_sha256,
                domains,
                pupil.figures.start,
                pupil.evidence,
                self._loads,
            )
            for pupil in self._pupils.values()
            if pupil.figures is not None and pupil.evidence.known()
            if platform and pupil.application.bundle_sha256
        ]

    # What is told.

    def present(self, application: Application) -> Application:
        """Return an application with the points that are known of it by now."""
        points = application.operating_points
        if application.state is ApplicationState.DEPARTED:
            self.remove(application.id)
            return application
        if points.kind is ProfileKind.NONE or not len(points) or points.domains:
            self.remove(application.id)
            return application
        digest = points_digest(points) + repr(points.sub_networks)
        pupil = self._pupils.get(application.id)
        if pupil is None or pupil.digest != digest:
            pupil = _Pupil(application, digest, FrameEvidence())
            self._pupils[application.id] = pupil
            self._left = min(self._left + TRIALS_ANEW, MOST_TRIALS)
            self._begin(pupil)
        pupil.application = application
        if pupil.points is None:
            return application
        return replace(application, operating_points=pupil.points)

    def remove(self, name: str) -> None:
        """Forget an application; what was learnt of the board stays."""
        self._pupils.pop(name, None)
        self._serving.pop(name, None)
        self._renewed.discard(name)

    def hear_load(self, load: Load, now: float) -> None:
        """Take a load of the platform."""
        before, self._load, self._heard = self._load, load, now
        if before is not None and before.platform != load.platform:
            self._loads, self._power, self._clocks = LoadEvidence(), None, ()
        clocks = tuple(Clock(d.name, d.available) for d in load.domains if len(d.available) > 1)
        if clocks != self._clocks:
            if tuple(c.domain for c in clocks) != tuple(c.domain for c in self._clocks):
                self._loads = LoadEvidence()
            self._clocks, self._power = clocks, None
            for name, pupil in self._pupils.items():
                self._begin(pupil)
                self._renewed.add(name)
        if not self._pupils or not clocks:
            return
        running = stable_clocks(load, [clock.domain for clock in clocks])
        if running != self._running:
            self._running, self._changed = running, now
        elif running is not None and now - self._changed >= 1.5 * load.period + SETTLED:
            busy = min(sum(self._shares.values()), 1.0)
            domains = [clock.domain for clock in clocks]
            self._loads.take(load, domains, running, self._serving.values(), busy, now)
            if self._trial is not None:
                self._trial.loads += 1

    def hear_frame(self, status: Status, contention: float, now: float) -> None:
        """
        Take a served frame.

        :param contention: factor by which others on its processor made it last longer
        """
        name, option = status.application, (status.sub_network, status.processor)
        if self._serving.get(name) != option:
            self._serving[name] = option
            self._changed = now
        last, self._arrived[name] = self._arrived.get(name, -math.inf), now
        usable = math.isfinite(status.total) and 0.0 < status.service < math.inf
        if usable and now > last:
            share = min(status.service / (now - last), 1.0)
            self._shares[name] = 0.9 * self._shares.get(name, share) + 0.1 * share
        pupil = self._pupils.get(name)
        if pupil is None or pupil.figures is None or self._running is None or self._load is None:
            return
        if pupil.option != option or now - status.service - self._changed < 0.0:
            pupil.option, pupil.skip = option, 1
            return
        if pupil.skip or status.overrun or status.batch > 1 or not usable or status.work <= 0.0:
            pupil.skip = max(pupil.skip - 1, 0)
            return
        pupil.evidence.take(status, self._running, contention, disturbance(self._load), now)
        if self._trial is not None:
            self._trial.frames[name] = self._trial.frames.get(name, 0) + 1

    # What comes of it.

    def renewed(self, now: float, cores: int) -> Iterator[Application]:
        """
        Iterate over the applications whose points are others now.

        :param cores: of the CPU, as far as known
        """
        power = self._loads.known()
        settings = len(power[0]) if power is not None else 0
        if self._trial is None:
            for name, pupil in self._pupils.items():
                known = len(pupil.evidence.known()) + settings
                frames = pupil.evidence.frames
                if known > pupil.fitted[0] or frames > GROWTH * pupil.fitted[1] > 0:
                    pupil.fitted = known, frames
                    self._renewed.add(name)
        if not self._renewed:
            return
        if power is not None:
            self._power = PowerLaw(
                [clock.domain for clock in self._clocks],
                np.array([clock.available[-1] for clock in self._clocks]),
            )
            self._power.learn(*power)
        for name in sorted(self._renewed):
            pupil = self._pupils[name]
            if pupil.figures is not None:
                pupil.figures.learn(pupil.evidence, now, cores)
                pupil.points = pupil.figures.points(self._power, self._provenance(pupil))
                yield replace(pupil.application, operating_points=pupil.points)
        self._renewed.clear()

    def ask_anew(self) -> None:
        """Note that something else is asked for: what was not worth a trial may be now."""
        self._rest = -math.inf
        self._left = min(self._left + TRIALS_ANEW, MOST_TRIALS)

    @property
    def trying(self) -> dict[str, float] | None:
        """Return the frequencies that are being tried, Hz by domain; none: nothing is."""
        return self._trial.frequencies if self._trial is not None else None

    def give_up(self) -> None:
        """End a trial that costs a target."""
        self._trial = None

    def consider(self, plan: Plan | None, free: bool, now: float) -> None:
        """
        End a trial that has told enough, or begin one.

        :param free: whether nothing else goes on that forbids one
        """
        if self._trial is not None and self._is_over(self._trial, now):
            self._trial = None
            return
        if self._trial is not None or now < self._rest:
            return
        if plan is None or self._load is None or not self._clocks:
            return
        figures = {n: p.figures for n, p in self._pupils.items() if p.figures is not None}
        self._why = self._hindrance(plan, free, bool(figures))
        if self._why or self._left <= 0 or any(p.fitted[1] == 0 for p in self._pupils.values()):
            return
        row = next_setting(plan, figures, self._power, self._settings, self._measured())
        if row is None:
            self._rest = now + REST
            return
        self._left -= 1
        self._tried_at.append(
            tuple(plan.problem.joint.frequencies(row)[clock.domain] for clock in self._clocks)
        )
        self._trial = _Trial(plan.problem.joint.frequencies(row), now, {})

    def _measured(self) -> set[Clocks]:
        """Return the settings at which frames of all, and the power, are known."""
        each = [{c for _, c, _ in p.evidence.known()} for p in self._pupils.values()]
        return set.intersection(*each) & ({*self._tried_at} | self._loads.settings())

    def _hindrance(self, plan: Plan, free: bool, any_figures: bool) -> str:
        """Return why nothing may be tried now; empty: something may."""
        load = self._load
        assert load is not None
        if not free or not any_figures:
            return 'something else goes on'
        if any(
            domain.requested_maximum > 0.0
            and domain.granted < domain.requested_maximum * (1.0 - 1e-3)
            for domain in load.domains
        ):
            return 'the board runs slower than it was asked to'
        if disturbance(load) > LOUD:
            return 'other programs load the board'
        found = plan.evaluation
        kept = all(each.shortfall[plan.row] <= 0.0 for each in found.applications)
        if found.excess[plan.row] > 0.0 or not kept:
            return 'a target is missed'
        return ''

    def _is_over(self, trial: _Trial, now: float) -> bool:
        lasted = now - trial.begun
        running = dict(zip((clock.domain for clock in self._clocks), self._running or ()))
        at_it = all(
            abs(running.get(name, hertz) / hertz - 1.0) < 1e-3
            for name, hertz in trial.frequencies.items()
        )
        trial.granted |= at_it
        if not at_it and (trial.granted or lasted > GRANTED_WITHIN):
            return True
        enough = all(trial.frames.get(name, 0) >= TRIAL_FRAMES for name in self._pupils)
        return lasted > LONGEST_TRIAL or (enough and trial.loads >= TRIAL_LOADS)

    # What is said.

    def message(self) -> str:
        """Return how far it is, for people; empty where all have profiles."""
        names = [name for name, pupil in self._pupils.items() if pupil.points is not None]
        if not names:
            return ''
        frames = sum(self._pupils[name].evidence.frames for name in names)
        told = len({c for n in names for _, c, _ in self._pupils[n].evidence.known()})
        what = 'latency and power' if self._power is not None else 'latency (no power sensor)'
        text = f'No profile of {", ".join(sorted(names))} for this platform: {what} '
        done = self._rest > -math.inf and self._trial is None
        text += 'learnt' if done or self._left <= 0 else 'being learnt'
        text += f' from {frames} frames at {told} settings of the clocks.'
        if self._why and not done:
            text += f' Nothing is tried: {self._why}.'
        return text

    def _provenance(self, pupil: _Pupil) -> str:
        known = pupil.evidence.known()
        return (
            f'learnt while serving on {self._load.platform if self._load else "?"}: '
            f'{pupil.evidence.frames} frames at {len(known)} operating points'
        )

    def _begin(self, pupil: _Pupil) -> None:
        """Lay out what is plausible, or what was learnt before under other limits."""
        pupil.figures, pupil.points, pupil.fitted = None, None, (0, 0)
        if self._clocks:
            pupil.figures = Figures(pupil.application, self._clocks)
            self._recall(pupil, pupil.figures)
            pupil.points = pupil.figures.points(None, self._provenance(pupil))

    def _recall(self, pupil: _Pupil, figures: Figures) -> None:
        """Begin with what an earlier run learnt of the same bundle on this platform."""
        platform = self._load.platform if self._load is not None else ''
        kept = self._remembered.get((platform, pupil.application.bundle_sha256))
        if kept is None or pupil.evidence.points or not kept.fits(figures.domains, figures.start):
            return
        for key, frames in kept.frames.points.items():
            pupil.evidence.points[key] = replace(frames, busy=dict(frames.busy), last=self._heard)
        if not self._loads.points:
            for place, loads in kept.loads.points.items():
                self._loads.points[place] = replace(loads, last=self._heard)
        self._tried_at += [clocks for _, clocks in kept.frames.points]
