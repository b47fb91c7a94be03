# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the manager remembers of each application, and which instances of it there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import pairwise
import math
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from dynamic_dnn_ros.bundles.profile import OperatingPoints, ProfileKind
from dynamic_dnn_ros.management.assignment import Assignment
from dynamic_dnn_ros.management.camera_variation import FRAMES_NEEDED
from dynamic_dnn_ros.management.difficulty import DOUBT
from dynamic_dnn_ros.management.learning import Learning
from dynamic_dnn_ros.management.measurements import ENOUGH
from dynamic_dnn_ros.management.merged_paths import MergedPaths, merge
from dynamic_dnn_ros.management.observations import (
    Application,
    ApplicationState,
    points_digest,
)
from dynamic_dnn_ros.management.paths import Paths
from dynamic_dnn_ros.management.tables import (
    ApplicationTable,
    FloatArray,
    Option,
    along_paths,
    application_table,
)

SILENT_AFTER = 3.0
"""Seconds without a word after which an application is gone."""

SUCCEEDED_AFTER = 1.5
"""Seconds of silence after which a later instance with the same id takes its place."""

SLOWEST = 3.0
"""Times as long for which one that was taken over is left alone where its camera is slow."""

LEAVE_TAKING = 1.5
"""
Seconds after its departure for which an application is not heard: what it said before may still
arrive. One that goes on speaking has not left, whoever said so.
"""

KEPT_ASIDE = 3
"""
Instances of one id beside the one that counts that are remembered, the last ones: one that dies
again and again, always under a new instance, does not fill the memory with its tables.
"""


FIRST_PAUSE = 5.0
"""Seconds for which an application is left out with which no decision came about."""

LONGEST_PAUSE = 600.0
"""Seconds for which a refused option, or an application, is left out at most."""


MOST_APPLICATIONS = 64
"""Applications that are managed at once; further ones serve what they began with."""

IDS_KEPT_ASIDE = 32
"""Ids of which instances are remembered that do not count, the last ones."""


class Presented(NamedTuple):
    """
    An application as it presents itself, with its operating points as a table only.

    Thousands of points as they came would take as much memory again; `points` names them and the
    accuracies beside them.
    """

    application: Application
    points: tuple[tuple[str, ...], str, str]
    table: ApplicationTable | None


class ApplicationRecord:
    """
    One application: what it said, what it was told (`assignment`), and what was learnt of it.

    Only its own methods change it; all else reads. `adopted` is the manager's to set: another
    manager had set what it serves, and nothing else was asked of it since.

    :param dwell: of its application level, s
    """

    def __init__(self, presented: Presented, now: float, dwell: float) -> None:
        """Begin with what the application says of itself."""
        self.assignment = Assignment(presented.application)
        self.learnt = Learning(dwell)
        self._presented = presented
        self._heard = now
        self.adopted = False
        self._held_since, self._held_for = -math.inf, 0.0
        # Until when an option is left out, and for how long the next time.
        self._excluded: dict[Option, float] = {}
        self._pauses: dict[Option, float] = {}
        self._refusal = ''
        self._preparations: dict[Option, float] = {}
        self._take_paths(presented.application)
        # By the quantile that they are for, in one scene.
        self._seen: dict[float, tuple[ApplicationTable, float]] = {}
        self._seen_in: tuple[object, ...] = ()
        self._left_out = -math.inf, 0.0, ''

    @property
    def presented(self) -> Presented:
        """Return what the application said last of itself, with its operating points laid out."""
        return self._presented

    @property
    def application(self) -> Application:
        """Return what the application said last of itself, without its operating points."""
        return self._presented.application

    @property
    def table(self) -> ApplicationTable | None:
        """Return its operating points as profiled: largest paths; none where it has none."""
        return self._presented.table

    @property
    def paths(self) -> Mapping[str, Paths]:
        """Return the paths of its sub-networks of several stages."""
        return self._paths

    @property
    def merged(self) -> Mapping[str, MergedPaths]:
        """Return what is learnt of those of them whose paths meet again."""
        return self._merged

    def _take_paths(self, application: Application) -> None:
        self._paths = {name: Paths(stages) for name, stages in application.stages.items()}
        self._merged = {
            name: MergedPaths(stages)
            for name, stages in application.stages.items()
            if merge(stages)
        }

    def _paths_of_the_scene(self) -> dict[str, Paths]:
        return {**self._paths, **{name: each.in_use for name, each in self._merged.items()}}

    @property
    def stage(self) -> float:
        """Return the share of a frame that it holds others up in the mean; 1: of one piece."""
        table = self.table
        names = {name for name, _ in table.options} if table is not None else set()
        return max((_held_up(self._paths.get(name)) for name in names), default=1.0)

    def seen(self, quantile: float) -> ApplicationTable | None:
        """
        Return its operating points as the pictures of its scene take them, the same for the same.

        :param quantile: of latency that is asked for
        """
        table = self.table
        return table if table is None or not self._paths else self._look(table, quantile)[0]

    def path_variation(self, quantile: float) -> float:
        """Return the variation of what pictures take beyond what a quantile of them tells."""
        table = self.table
        return 0.0 if table is None or not self._paths else self._look(table, quantile)[1]

    def _look(self, table: ApplicationTable, quantile: float) -> tuple[ApplicationTable, float]:
        """Return points and variation as the scene has them now, worked out once."""
        scene = (self.learnt.scene.in_use, self.learnt.preprocessing)
        learnt = (*scene, *(each.in_use for each in self._merged.values()))
        if learnt != self._seen_in:
            self._seen.clear()
            self._seen_in = learnt
        found = self._seen.get(quantile)
        if found is None:
            paths = self._paths_of_the_scene()
            found = self._seen[quantile] = (
                along_paths(table, paths, quantile, *scene),
                _rare_variation(paths.values(), quantile, scene[0] * DOUBT),
            )
        return found

    @property
    def serves(self) -> bool:
        """Tell whether the application is active."""
        return self.application.state is ApplicationState.ACTIVE

    @property
    def refusal(self) -> str:
        """Return what the application said of the last options that it refused."""
        return self._refusal

    @property
    def heard(self) -> float:
        """Return the time of its last word, s."""
        return self._heard

    def hear(self, now: float) -> None:
        """Note a sign of life."""
        self._heard = now

    def update(self, application: Application) -> bool:
        """Take what the same instance says now; tell whether there is something new to choose."""
        before, self._presented = self._presented, _presented(application, [self._presented])
        changed = before.application.state is not application.state
        if self._presented.points != before.points:
            self.learnt.forget()
            self._seen.clear()
            changed = True
        if application.stages != before.application.stages:
            self._take_paths(application)
            self._seen.clear()
            changed = True
        if changed:
            # What it refused before says nothing of what it is now.
            self._excluded.clear()
            self._pauses.clear()
            self._refusal = ''
            self.readmit()
        self.assignment.say(application)
        return changed

    def renew(self, application: Application, frequencies: Mapping[str, float]) -> None:
        """
        Take points that were learnt of the same options; what is known of the present one stays.

        :param frequencies: that the platform is thought to run at, Hz by domain
        """
        before, self._presented = self._presented, _presented(application, [self._presented])
        old, new = before.table, self._presented.table
        self._seen.clear()
        option = self.assignment.actual
        if old is None or new is None or old.option(*option) is None:
            self.learnt.forget()
            return
        expected = [
            table.mean[table.options.index(option), table.nearest_row(frequencies)]
            for table in (old, new)
        ]
        self.learnt.rebase(float(expected[0] / expected[1]))

    def hold(self, now: float, seconds: float) -> None:
        """Leave the application alone for a time; for longer where its camera is a slow one."""
        self._held_since, self._held_for = now, seconds

    def release(self) -> None:
        """End the time for which it is left alone."""
        self._held_since = -math.inf

    def release_when_known(self) -> None:
        """End it once what the manager before knew is known again."""
        learnt = self.learnt
        if learnt.slow_down.observations >= ENOUGH:
            if learnt.measurements.camera_is_known or not self.adopted:
                self.release()

    def release_when_late(self, now: float) -> None:
        """End it for a late frame, unless it would last as long for any camera."""
        if now >= self._held_since + self._held_for:
            self.release()

    def readmit(self) -> None:
        """Decide for it again: something else is asked for."""
        self._left_out = -math.inf, 0.0, ''

    def is_held(self, now: float) -> bool:
        """Tell whether the application is left alone, so that a new manager learns first."""
        held, rate = self._held_for, self.learnt.measurements.camera_rate
        if self.adopted and rate > 0:
            held = max(held, min(FRAMES_NEEDED / rate, SLOWEST * held))
        return now < self._held_since + held

    def is_excluded(self, option: Option, now: float) -> bool:
        """Tell whether the application has refused an option."""
        return now < self._excluded.get(option, -math.inf)

    def prepared(self, option: Option, seconds: float) -> None:
        """Note how long it took until an option served."""
        self._preparations[option] = seconds

    def preparations(self, options: Sequence[Option]) -> FloatArray:
        """
        Return how long it is expected to take until each option serves, s.

        As it took the last time; one that never served as long as others on its processor did;
        0 where nothing is known.
        """
        by_processor: dict[str, list[float]] = {}
        for (_, processor), seconds in self._preparations.items():
            by_processor.setdefault(processor, []).append(seconds)
        usual = {processor: median(found) for processor, found in by_processor.items()}
        return np.array(
            [self._preparations.get(each, usual.get(each[1], 0.0)) for each in options]
        )

    @property
    def failure(self) -> str:
        """Return why it was left out of the last decisions; empty: it was not."""
        return self._left_out[2]

    def leave_out(self, now: float, problem: str) -> None:
        """Decide nothing for it for a while, longer each time: no decision comes about with it."""
        _, pause, _ = self._left_out
        pause = min(2 * pause, LONGEST_PAUSE) if pause else FIRST_PAUSE
        self._left_out = now + pause, pause, problem

    def has_choice(self, now: float) -> bool:
        """Tell whether it serves and there is an option that it has not refused."""
        table = self.table
        return (
            self.serves
            and table is not None
            and now >= self._left_out[0]
            and not all(self.is_excluded(option, now) for option in table.options)
        )

    def exclude(self, options: Iterable[Option], now: float, pause: float, refusal: str) -> None:
        """
        Leave options out for a while, which doubles with each time that they are refused.

        It ends too when the application presents itself with other points or in another state.

        :param pause: the first one, s
        :param refusal: what the application said of them
        """
        for option in options:
            lasting = self._pauses.get(option, pause)
            self._excluded[option] = now + lasting
            self._pauses[option] = min(2 * lasting, LONGEST_PAUSE)
        self._refusal = refusal


def _presented(application: Application, kept: Iterable[Presented]) -> Presented:
    """Lay out the operating points, unless one that is kept, of the same id, has the same."""
    points = application.operating_points
    # As text: an accuracy that is not known, NaN, does not equal itself.
    accuracies = repr([application.accuracies.get(s) for s in points.sub_networks])
    name = (points.sub_networks, points_digest(points), accuracies)
    table = next((each.table for each in kept if each.points == name), None)
    if table is None and points.kind is not ProfileKind.NONE and len(points):
        table = application_table(application)
    return Presented(replace(application, operating_points=_emptied(points)), name, table)


def _rare_variation(paths: Iterable[Paths], quantile: float, difficulty: float) -> float:
    """Return the most variation of those with paths that are longer than that at the quantile."""
    rare = (each for each in paths if each.work_at(quantile, difficulty) < each.works[-1])
    return max((each.variation(difficulty) for each in rare), default=0.0)


def _emptied(points: OperatingPoints) -> OperatingPoints:
    """Return what is said of points without them; what batches take is kept."""
    values = {field.name: getattr(points, field.name) for field in fields(points)}
    empty: dict[str, Any] = {
        name: np.zeros((0, *value.shape[1:]), value.dtype)
        for name, value in values.items()
        if isinstance(value, np.ndarray) and name != 'batch_latency'
    }
    return replace(points, **empty)


class Registry:
    """
    The applications that are there.

    Of two instances with one id the one that started first counts while it lives.
    """

    def __init__(self, dwell: float) -> None:
        """Begin with none."""
        self._dwell = dwell
        self._records: dict[str, ApplicationRecord] = {}
        self._others: dict[str, dict[str, Presented]] = {}
        # The last departure of each id: of which instance, and when.
        self._departed: dict[str, tuple[str, float]] = {}

    def __getitem__(self, name: str) -> ApplicationRecord:
        """Return the record of an application that is there."""
        return self._records[name]

    def __contains__(self, name: str) -> bool:
        """Tell whether an application is there."""
        return name in self._records

    def __iter__(self) -> Iterator[str]:
        """Iterate over the ids of the applications that are there."""
        return iter(sorted(self._records))

    def get(self, name: str) -> ApplicationRecord | None:
        """Return the record of an application, or none."""
        return self._records.get(name)

    def add(self, application: Application, now: float) -> tuple[ApplicationRecord | None, bool]:
        """
        Take what an application says of itself.

        :return: its record if it is a new one, and whether what there is to choose from changed
        """
        name = application.id
        if application.state is ApplicationState.DEPARTED:
            return None, self._depart(name, application.instance, now)
        record = self._records.get(name)
        if record is not None and record.application.instance == application.instance:
            record.hear(now)
            return None, record.update(application)
        kept = [*self._others.get(name, {}).values()]
        if record is not None:
            kept.append(record.presented)
        self._put_aside(name, _presented(application, kept))
        if record is None and len(self._records) >= MOST_APPLICATIONS:
            return None, False
        if record is not None and now - record.heard < SUCCEEDED_AFTER:
            if record.application.started <= application.started:
                return None, False
        return self._take(name, application.instance, now), True

    def hear(self, name: str, instance: str, now: float) -> tuple[ApplicationRecord | None, bool]:
        """
        Note a sign of life.

        :return: the record that it belongs to, none where it belongs to no application that
            counts, and whether that record is a new one
        """
        record = self._records.get(name)
        if record is not None and record.application.instance == instance:
            record.hear(now)
            return record, False
        if instance not in self._others.get(name, {}):
            return None, False
        departed, when = self._departed.get(name, ('', -math.inf))
        if departed == instance and now - when < LEAVE_TAKING:
            return None, False
        if record is not None and now - record.heard < SUCCEEDED_AFTER:
            return None, False
        if record is None and len(self._records) >= MOST_APPLICATIONS:
            return None, False
        return self._take(name, instance, now), True

    def remove(self, name: str) -> bool:
        """Forget an application; tell whether it was there."""
        return self._records.pop(name, None) is not None

    def _depart(self, name: str, instance: str, now: float) -> bool:
        """Put an instance aside that is said to have left; tell whether it counted."""
        record = self._records.get(name)
        if record is not None and record.application.instance == instance:
            self._put_aside(name, self._records.pop(name).presented)
        elif instance not in self._others.get(name, {}):
            return False
        self._departed[name] = instance, now
        return record is not None and name not in self._records

    def drop_silent(self, now: float) -> list[str]:
        """Put aside applications that have said nothing for long; return their ids."""
        silent = [n for n, r in self._records.items() if now - r.heard > SILENT_AFTER]
        for name in silent:
            # It may only have been stopped for a while, and presents itself only once.
            self._put_aside(name, self._records.pop(name).presented)
        return silent

    def _put_aside(self, name: str, presented: Presented) -> None:
        others = self._others.pop(name, {})
        self._others[name] = others
        while len(self._others) > IDS_KEPT_ASIDE:
            forgotten = next(iter(self._others))
            del self._others[forgotten]
            self._departed.pop(forgotten, None)
        others.pop(presented.application.instance, None)
        others[presented.application.instance] = presented
        while len(others) > KEPT_ASIDE:
            del others[next(iter(others))]

    def _take(self, name: str, instance: str, now: float) -> ApplicationRecord:
        record = ApplicationRecord(self._others[name].pop(instance), now, self._dwell)
        before = self._records.get(name)
        if before is not None:
            # It may have been stopped for a moment only; then the later one gives way to it.
            self._put_aside(name, before.presented)
        self._records[name] = record
        return record


def _held_up(paths: Paths | None) -> float:
    """Return the sum of the squares of the shares of stages: who comes meets long ones oftener."""
    if paths is None:
        return 1.0
    return sum((b - a) ** 2 for a, b in pairwise((0.0, *paths.works)))
