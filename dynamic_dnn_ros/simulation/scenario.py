# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A scenario: what happens to applications and a board, and when. Read from YAML, checked.

Times in seconds from the beginning; docs/scenarios.md explains every field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
import math
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from dynamic_dnn_ros.management.targets import LateFrames, Objective, Target, TargetError
from dynamic_dnn_ros.scheduling.registry import DEFAULT_SCHEDULER, scheduler_names
from dynamic_dnn_ros.simulation.scenario_schema import SCHEMA
from dynamic_dnn_ros.yaml_files import read_yaml


class ScenarioError(ValueError):
    """A scenario that cannot be run: what in it, why, and what to do."""

    def __init__(self, where: object, problem: str, remedy: str) -> None:
        """Compose the message of its parts."""
        super().__init__(f'{where}: {problem}. {remedy}')


@dataclass(frozen=True)
class Camera:
    """
    When frames come.

    `rate` in hertz; `jitter` standard deviation of a frame's time as a share of the period;
    `phase` of the first frame in seconds; `changes` of the rate as (time, rate).
    """

    rate: float
    jitter: float = 0.0
    phase: float = 0.0
    changes: tuple[tuple[float, float], ...] = ()

    def rate_at(self, time: float) -> float:
        """Return the rate that holds at a time, Hz."""
        passed = [change for change in self.changes if change[0] <= time]
        return max(passed)[1] if passed else self.rate


@dataclass(frozen=True)
class TargetChange:
    """A target that arrives at a time; none: the one in force is withdrawn."""

    at: float
    target: Target | None


@dataclass(frozen=True)
class ApplicationScript:
    """
    One application.

    `network` names its dynamic network, see docs/scenarios.md; `sub_network` is what it begins
    with, the most accurate one if empty; `jitter` the standard deviation of the logarithm of a
    frame's latency, the board's if none; `slow_down` are (time, factor) of its latency, and
    `difficulty` (time, how much harder its pictures are than those of the calibration).
    """

    id: str
    network: Mapping[str, Any]
    camera: Camera
    sub_network: str = ''
    starts: float = 0.0
    ends: float | None = None
    jitter: float | None = None
    slow_down: tuple[tuple[float, float], ...] = ()
    targets: tuple[TargetChange, ...] = ()
    difficulty: tuple[tuple[float, float], ...] = ()

    def difficulty_at(self, time: float) -> float:
        """Return the difficulty of its pictures at a time, 1 as at calibration."""
        return next((value for at, value in reversed(self.difficulty) if at <= time), 1.0)

    def slow_down_at(self, time: float) -> float:
        """Return the factor of its latency at a time."""
        passed = [change for change in self.slow_down if change[0] <= time]
        return max(passed)[1] if passed else 1.0

    def target_at(self, time: float) -> Target | None:
        """Return the target in force at a time, or none."""
        passed = [change for change in self.targets if change.at <= time]
        return max(passed, key=lambda change: change.at).target if passed else None


@dataclass(frozen=True)
class ServerScript:
    """Applications that take turns on each processor, as the scheduler of that name says."""

    name: str
    scheduler: str
    applications: tuple[str, ...]


@dataclass(frozen=True)
class OtherLoad:
    """
    Load that is not ours, from `at` to `until`.

    `load` is work, 0..1 of each domain at its highest clock. Programs that wait by `polling` keep
    that share of it busy at every clock.
    """

    at: float
    until: float
    load: Mapping[str, float]
    polling: bool = False


@dataclass(frozen=True)
class Cooling:
    """A change of what surrounds the board: degrees Celsius, K/W; none: stays."""

    at: float
    ambient: float | None
    resistance: float | None


@dataclass(frozen=True)
class HeldClock:
    """A domain that somebody else holds at a frequency, Hz, from `at` on; nobody else sets it."""

    at: float
    domain: str
    hertz: float


@dataclass(frozen=True)
class Sensor:
    """Standard deviation of single readings and a constant error, as shares of what is read."""

    noise: float = 0.0
    bias: float = 0.0


@dataclass(frozen=True)
class Sensors:
    """
    How the readings that a manager gets depart from the truth.

    `delay` and its standard deviation `delay_jitter` in seconds; `drop_out` share of the
    samples that are lost; none comes within the times of `silent`. `temperature` errs by kelvins.
    """

    delay: float = 0.0
    delay_jitter: float = 0.0
    drop_out: float = 0.0
    silent: tuple[tuple[float, float], ...] = ()
    load: Sensor = Sensor()
    latency: Sensor = Sensor()
    power: Sensor = Sensor()
    temperature: Sensor = Sensor()


@dataclass(frozen=True)
class Delays:
    """
    Seconds from a decision to its effect.

    `decision` until clocks change and an application hears of its switch, `switch` until the next
    sub-network is prepared; the old one serves meanwhile.
    """

    decision: float = 0.003
    switch: float = 0.02


@dataclass(frozen=True)
class Scenario:
    """
    A whole scenario. Figures are taken from `measured_from` to `duration`, seconds.

    `scale` multiplies parameters of the board's model, by name. Applications of no server share
    the board at once, as processes of their own do.
    """

    name: str
    board: str
    duration: float
    applications: tuple[ApplicationScript, ...]
    power_mode: str = ''
    scale: Mapping[str, float] = field(default_factory=dict)
    measured_from: float = 0.0
    seed: int = 0
    other_load: tuple[OtherLoad, ...] = ()
    cooling: tuple[Cooling, ...] = ()
    power_modes: tuple[tuple[float, str], ...] = ()
    held_clocks: tuple[HeldClock, ...] = ()
    sensors: Sensors = Sensors()
    delays: Delays = Delays()
    servers: tuple[ServerScript, ...] = ()

    def scheduled(self, scheduler: str) -> Scenario:
        """
        Return the same scenario with another scheduler.

        :param scheduler: of all servers, or of one server of all applications where there is none
        """
        servers = tuple(replace(server, scheduler=scheduler) for server in self.servers)
        return replace(self, servers=servers or (self._one_server(scheduler),))

    def _one_server(self, scheduler: str) -> ServerScript:
        return ServerScript('server', scheduler, tuple(script.id for script in self.applications))

    def other_load_at(self, time: float, polling: bool = False) -> dict[str, float]:
        """
        Return the load that is not ours at a time, summed where it overlaps, at most 1.

        :param polling: of programs that wait by polling, or of all others
        """
        total: dict[str, float] = {}
        for entry in self.other_load:
            if entry.at <= time < entry.until and entry.polling is polling:
                for domain, share in entry.load.items():
                    total[domain] = min(total.get(domain, 0.0) + share, 1.0)
        return total

    def held_clocks_at(self, time: float) -> dict[str, float]:
        """Return the frequency, Hz, of each domain that somebody else holds at a time."""
        begun = sorted((e for e in self.held_clocks if e.at <= time), key=lambda e: e.at)
        return {entry.domain: entry.hertz for entry in begun}

    def stretches(self) -> tuple[tuple[float, float], ...]:
        """Return the stretches of time in which nothing changes, as (begin, end)."""
        times = {0.0, self.duration}
        for application in self.applications:
            times.add(application.starts)
            times.add(self.duration if application.ends is None else application.ends)
            times.update(change.at for change in application.targets)
            times.update(time for time, _ in application.camera.changes)
            times.update(time for time, _ in application.slow_down)
            times.update(time for time, _ in application.difficulty)
        for entry in self.other_load:
            times.update((entry.at, entry.until))
        times.update(change.at for change in self.cooling)
        times.update(time for time, _ in self.power_modes)
        times.update(entry.at for entry in self.held_clocks)
        inside = sorted(time for time in times if time <= self.duration)
        return tuple(pairwise(inside))

    @classmethod
    def from_mapping(cls, mapping: Any, where: object = 'scenario') -> Scenario:
        """
        Build a scenario from the data of a YAML file.

        :param where: named in errors, the file usually
        :raises ScenarioError: naming the field, what is wrong with it, and the remedy
        """
        check_mapping(mapping, SCHEMA, where)
        platform = mapping['platform']
        duration = float(mapping['duration'])
        sensors = mapping.get('sensors', {})
        scenario = cls(
            name=mapping.get('name') or str(where),
            board=platform['board'],
            power_mode=platform.get('power_mode', ''),
            scale=platform.get('scale', {}),
            duration=duration,
            measured_from=float(mapping.get('measured_from', 0.0)),
            seed=int(mapping.get('seed', 0)),
            applications=tuple(
                _application(entry, f'{where}: applications[{index}]')
                for index, entry in enumerate(mapping['applications'])
            ),
            other_load=tuple(
                OtherLoad(
                    entry['at'],
                    entry.get('until', duration),
                    {name: entry[name] for name in ('cpu', 'gpu', 'memory') if name in entry},
                    entry.get('polling', False),
                )
                for entry in mapping.get('other_load', ())
            ),
            cooling=tuple(
                Cooling(entry['at'], entry.get('ambient'), entry.get('resistance'))
                for entry in mapping.get('cooling', ())
            ),
            power_modes=tuple(
                (entry['at'], entry['mode']) for entry in _of(mapping, 'power_modes')
            ),
            held_clocks=tuple(HeldClock(**entry) for entry in _of(mapping, 'held_clocks')),
            sensors=Sensors(
                delay=float(sensors.get('delay', 0.0)),
                delay_jitter=float(sensors.get('delay_jitter', 0.0)),
                drop_out=float(sensors.get('drop_out', 0.0)),
                silent=tuple((s['at'], s['until']) for s in sensors.get('silent', ())),
                load=Sensor(**sensors.get('load', {})),
                latency=Sensor(**sensors.get('latency', {})),
                power=Sensor(**sensors.get('power', {})),
                temperature=Sensor(**sensors.get('temperature', {})),
            ),
            delays=Delays(**mapping.get('delays', {})),
            servers=tuple(
                ServerScript(
                    entry['name'],
                    entry.get('scheduler', DEFAULT_SCHEDULER),
                    tuple(entry['applications']),
                )
                for entry in _of(mapping, 'servers')
            ),
        )
        if 'scheduler' in mapping:
            if scenario.servers:
                raise ScenarioError(
                    f'{where}: scheduler',
                    'stands beside servers, which name their own',
                    "Leave out one: 'scheduler' is for one server of all applications",
                )
            scenario = scenario.scheduled(mapping['scheduler'])
        scenario._agree(where)
        return scenario

    @classmethod
    def from_file(cls, path: Path) -> Scenario:
        """
        Read a scenario.

        :raises ScenarioError: when the file cannot be read or is no scenario
        """
        return cls.from_mapping(read_scenario(path), path)

    def _agree(self, where: object) -> None:
        """Check what no schema can: times against each other, names that occur twice."""
        names = [application.id for application in self.applications]
        for name in names:
            if names.count(name) > 1:
                raise ScenarioError(
                    where, f'{names.count(name)} applications have the id {name!r}', _UNIQUE
                )
        if self.measured_from >= self.duration:
            raise ScenarioError(
                f'{where}: measured_from = {self.measured_from}',
                f'is not before the end, duration = {self.duration}',
                'Measure at least a part of the time',
            )
        for application in self.applications:
            if application.ends is not None and application.ends <= application.starts:
                raise ScenarioError(
                    f'{where}: {application.id}: ends = {application.ends}',
                    f'is not after its start at {application.starts}',
                    'Give a later time, or leave it out',
                )
        self._agree_on_servers(where, names)
        for index, entry in enumerate(self.other_load):
            if entry.until <= entry.at:
                raise ScenarioError(
                    f'{where}: other_load[{index}].until = {entry.until}',
                    f'is not after at = {entry.at}',
                    'Give a later time, or leave it out: to the end',
                )
            if not entry.load:
                raise ScenarioError(
                    f'{where}: other_load[{index}]',
                    'names no domain',
                    'Give at least one of cpu, gpu, memory',
                )

    def _agree_on_servers(self, where: object, applications: Sequence[str]) -> None:
        """Check that servers have known schedulers, and each application is of one at most."""
        served: list[str] = []
        names = [server.name for server in self.servers]
        for server in self.servers:
            place = f'{where}: servers: {server.name}'
            if names.count(server.name) > 1:
                raise ScenarioError(place, 'is there twice', _UNIQUE)
            if server.scheduler not in scheduler_names():
                raise ScenarioError(
                    f'{place}: scheduler {server.scheduler!r}',
                    'is unknown',
                    f'Choose of: {", ".join(scheduler_names())}',
                )
            for name in server.applications:
                if name not in applications:
                    raise ScenarioError(
                        f'{place}: {name!r}',
                        'is no application',
                        f'Choose of: {", ".join(applications)}',
                    )
                if name in served:
                    raise ScenarioError(
                        f'{place}: {name!r}', 'is named twice', 'Give it one server'
                    )
                served.append(name)


_UNIQUE = 'Give each its own'


def read_scenario(path: Path) -> Any:
    """
    Return the data of a file, of whatever kind of scenario.

    :raises ScenarioError: when it cannot be read
    """
    try:
        return read_yaml(path)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ScenarioError(path, f'cannot be read ({error})', 'Give a YAML file') from error


def _of(mapping: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = mapping.get(name, ())
    return found


def check_mapping(mapping: Any, schema: Mapping[str, Any], where: object) -> None:
    """
    Check the data of a YAML file against a schema.

    :param where: named in errors, the file usually
    :raises ScenarioError: naming the field, what is wrong with it, and the remedy
    """
    unbounded = _unbounded(mapping, '')
    if unbounded is not None:
        # Comparisons with it are all false, so the schema lets it pass.
        raise ScenarioError(f'{where}: {unbounded}', 'is not a number', 'Give a finite one')
    error = jsonschema.exceptions.best_match(
        jsonschema.Draft7Validator(schema).iter_errors(mapping)
    )
    if error is None:
        return
    place = ''.join(
        f'[{part}]' if isinstance(part, int) else f'.{part}' for part in error.absolute_path
    ).lstrip('.')
    remedy = 'docs/scenarios.md has every field'
    if error.validator == 'additionalProperties':
        known = ', '.join(sorted(error.schema['properties']))
        remedy = f'Known here are: {known}'
    raise ScenarioError(f'{where}: {place}' if place else where, error.message, remedy)


def _unbounded(value: Any, place: str) -> str | None:
    """Return where the first number stands that is infinite or NaN, and it; none: none is."""
    parts: Iterable[tuple[str, Any]] = ()
    if isinstance(value, float) and not math.isfinite(value):
        return f'{place} = {value}'
    if isinstance(value, Mapping):
        parts = ((f'{place}.{name}'.lstrip('.'), part) for name, part in value.items())
    elif isinstance(value, list):
        parts = ((f'{place}[{index}]', part) for index, part in enumerate(value))
    return next(filter(None, (_unbounded(part, inner) for inner, part in parts)), None)


def _application(entry: Mapping[str, Any], where: str) -> ApplicationScript:
    camera = entry['camera']
    network = entry['network']
    if len({'bundle', 'levels', 'measured', 'sub_networks'} & set(network)) != 1:
        raise ScenarioError(
            f'{where}.network',
            f'names {len(set(network) - {"only"})} networks',
            'Give one of bundle, levels, measured, sub_networks',
        )
    targets = []
    for index, change in enumerate(entry.get('targets', ())):
        limits = {name: value for name, value in change.items() if name not in ('at', 'clear')}
        if 'clear' in change and limits:
            raise ScenarioError(
                f'{where}.targets[{index}]',
                'clears the target and sets one',
                "Leave out 'clear', or the limits",
            )
        objective = limits.pop('objective', 'minimum_energy')
        late_frames = limits.pop('late_frames', 'serve')
        try:
            target = Target(
                entry['id'],
                **limits,
                objective=Objective[objective.upper()],
                late_frames=LateFrames[late_frames.upper()],
                sender='scenario',
            )
        except TargetError as error:
            raise ScenarioError(
                f'{where}.targets[{index}].{error.field} = {error.value!r}',
                error.problem,
                error.remedy,
            ) from error
        targets.append(
            TargetChange(float(change.get('at', 0.0)), None if 'clear' in change else target)
        )
    return ApplicationScript(
        id=entry['id'],
        network=network,
        camera=Camera(
            float(camera['rate']),
            float(camera.get('jitter', 0.0)),
            float(camera.get('phase', 0.0)),
            tuple((float(c['at']), float(c['rate'])) for c in camera.get('changes', ())),
        ),
        sub_network=entry.get('sub_network', ''),
        starts=float(entry.get('starts', 0.0)),
        ends=float(entry['ends']) if 'ends' in entry else None,
        jitter=entry.get('jitter'),
        slow_down=tuple((float(s['at']), float(s['factor'])) for s in entry.get('slow_down', ())),
        targets=tuple(targets),
        difficulty=tuple(
            sorted((float(d['at']), float(d['value'])) for d in entry.get('difficulty', ()))
        ),
    )
