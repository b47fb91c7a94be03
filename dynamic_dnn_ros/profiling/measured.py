# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The profile of a bundle on this computer, measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
import hashlib
import json
from pathlib import Path
import time

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.profile import OperatingPoints
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import Engine
from dynamic_dnn_ros.platforms.contract import DomainLimits, Platform, PlatformError
from dynamic_dnn_ros.platforms.hardware import hardware_name
from dynamic_dnn_ros.platforms.registry import PlatformOptions, make_platform
from dynamic_dnn_ros.profiling.clocks import Clocks
from dynamic_dnn_ros.profiling.drift import (
    BUSY_ABOVE,
    foreign_utilisation,
    notices,
    temperature_rises,
)
from dynamic_dnn_ros.profiling.journal import Journal
from dynamic_dnn_ros.profiling.plan import ROUNDS, MeasurementPlan, Visit, VisitKind
from dynamic_dnn_ros.profiling.points import operating_points
from dynamic_dnn_ros.profiling.recorder import has_rail
from dynamic_dnn_ros.profiling.sweep import Sweep
from dynamic_dnn_ros.profiling.timing import Clock, timed_runs, workload


@dataclass(frozen=True)
class Options:
    """
    How a profile is measured.

    `settings` is the number of settings of the frequency domains, None for all, 0 for the
    present clocks, which are left alone then. `seconds` is for one point, `idle_seconds` for one
    look at the idle board. `picture` is the size of camera frames, width and height; None for
    pictures of each sub-network's own resolution.
    """

    threads: int = 1
    settings: int | None = None
    seconds: float = 2.0
    idle_seconds: float = 1.0
    picture: tuple[int, int] | None = None
    seed: int = 0
    sysfs_root: str = '/'
    work_folder: Path | None = None
    restart: bool = False
    resume: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class Measurement:
    """A measured profile, what is to be said about the device, and the journal of all runs."""

    profile: OperatingPoints
    notices: tuple[str, ...]
    journal: Path


def default_work_folder(bundle: Bundle) -> Path:
    """Return where journals lie: beside the bundle, wherever the command is called."""
    folder = bundle.folder.resolve()
    return folder.with_name(f'{folder.name}.profiling')


def computer(name: str, options: Options, clock: Clock = time.perf_counter) -> Platform:
    """
    Return the platform of a name, ready to have its clocks set.

    :raises PlatformError: for an unknown name
    """
    return make_platform(
        name, clock(), PlatformOptions(options.sysfs_root, manage_cpu=options.settings != 0)
    )


def measure_profile(
    bundle: Bundle,
    engine: Engine,
    platform: Platform,
    options: Options,
    say: Callable[[str], None] = lambda text: None,
    clock: Clock = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> Measurement:
    """
    Measure every sub-network of a bundle on this computer, on each processor of an engine.

    The journal in the work folder keeps each step, so the same call goes on where an earlier one
    was ended. It stays there until `set_aside`, for the case that the bundle cannot be written.

    :param say: told what is about to happen
    :param clock: of platform and latencies, s
    :raises EngineError: when a sub-network cannot be prepared, or fails
    :raises PlatformError: when the clocks are in other hands, or cannot be restored
    :raises JournalError: when the journal is of another measurement, or cannot be written
    """
    prepared = [
        engine.prepare(entry, processor)
        for processor in engine.processors
        for entry in bundle.manifest.sub_networks
    ]
    preprocessing = bundle.manifest.preprocessing
    workloads = {
        (entry.processor, entry.sub_network.id): workload(entry, preprocessing, options.picture)
        for entry in prepared
    }
    with Clocks(platform, options.sysfs_root, clock) as clocks:
        plan = _plan(bundle, engine, platform, clocks, options, say, clock)
        latencies = {
            key: float(timed_runs(run, _once, clock)[0]) for key, run in workloads.items()
        }
        say(f'{_announcement(plan)}: about {plan.duration(latencies):.0f} s')
        work_folder = options.work_folder or default_work_folder(bundle)
        say(f'each step is kept in {work_folder}')
        journal = Journal(
            work_folder / f'{platform.id}.jsonl',
            {**_subject(bundle, engine, options), **plan.to_mapping()},
            options.restart,
            options.resume,
        )
        try:
            if journal.visits:
                say(f'{len(journal.visits)} steps are taken from {journal.path}')
            sweep = Sweep(plan, platform, clocks, workloads, journal, clock, sleep, options.quiet)
            visits = sweep.run()
        finally:
            journal.close()
    found = notices(plan, visits)
    governors = '/'.join(row.governor for row in platform.read(clock()).domains if row.governor)
    description = '; '.join(
        (
            _how(engine, options, visits),
            *(() if plan.domains else (f'at the clocks of that moment{_by(governors)}',)),
            *_circumstances(visits),
            *found,
        )
    )
    profile = replace(
        operating_points(plan, visits, description),
        engine=engine.name,
        precision=engine.precision.value,
    )
    return Measurement(profile, found, journal.path)


def _plan(
    bundle: Bundle,
    engine: Engine,
    platform: Platform,
    clocks: Clocks,
    options: Options,
    say: Callable[[str], None],
    clock: Clock,
) -> MeasurementPlan:
    """Return what is to be measured, and say which clocks are left alone, and why."""
    domains: tuple[DomainLimits, ...] = ()
    refusals: tuple[str, ...] = ('the clocks are left alone, as asked for',)
    if options.settings != 0:
        domains, refusals = clocks.settable()
    check_number(options.settings, domains)
    for refusal in refusals:
        say(refusal)
    return MeasurementPlan.of(
        domains,
        options.settings or None,
        platform=platform.id,
        hardware=hardware_name(options.sysfs_root),
        sub_networks=tuple(entry.id for entry in bundle.manifest.sub_networks),
        processors=engine.processors,
        seconds=options.seconds,
        idle_seconds=options.idle_seconds,
        rail=has_rail(platform.read(clock())),
        seed=options.seed,
    )


def _once(runs: int, seconds: float) -> bool:
    return runs >= 1


def set_aside(journal: Path) -> Path:
    """Rename the journal of a profile that is in its bundle, and return where it lies now."""
    return journal.replace(journal.with_suffix('.finished.jsonl'))


def check_number(number: int | None, domains: Sequence[DomainLimits]) -> None:
    """
    Refuse a number of settings from which the others cannot be computed.

    :raises PlatformError: with the least number
    """
    least = len(domains) + 2
    if number and len(domains) and number < least:
        raise PlatformError(
            f'--settings {number}',
            f'is too few to compute the others from, with {len(domains)} frequency domain(s)',
            f'Give at least {least}, better {4 * least}, or all',
        )


def _made_of(entry: SubNetwork) -> dict[str, object]:
    """Return what its latency depends on: its configuration, and its stages where it has some."""
    stages = [[stage.name, stage.sub_network] for stage in entry.stages]
    return {**entry.configuration, **({'stages': stages} if stages else {})}


def _subject(bundle: Bundle, engine: Engine, options: Options) -> dict[str, object]:
    """Return what, besides the plan, makes two measurements the same."""
    entries = [
        [entry.id, _made_of(entry), list(entry.size)] for entry in bundle.manifest.sub_networks
    ]
    return {
        'bundle': bundle.manifest.name,
        'weights_sha256': bundle.manifest.weights_sha256,
        'configurations_sha256': hashlib.sha256(
            json.dumps(entries, sort_keys=True).encode()
        ).hexdigest(),
        'engine': engine.name,
        'precision': engine.precision.value,
        'threads': options.threads,
        'picture': options.picture,
    }


def _announcement(plan: MeasurementPlan) -> str:
    settings = 'the present clocks'
    if plan.domains:
        settings = (
            f'{len(plan.settings)} of {len(plan.grid)} settings of {", ".join(plan.domains)}'
        )
    return (
        f'measuring {len(plan.sub_networks)} sub-networks on {", ".join(plan.processors)} of '
        f'{plan.hardware} at {settings}, in {ROUNDS} rounds'
    )


def _how(engine: Engine, options: Options, visits: Sequence[Visit]) -> str:
    runs: dict[object, int] = {}
    for visit in visits:
        if visit.place.kind is VisitKind.RUN:
            runs[visit.place] = runs.get(visit.place, 0) + len(visit.latencies)
    picture = "pictures of the sub-network's size, nothing scaled"
    if options.picture is not None:
        picture = f'frames of {options.picture[0]}x{options.picture[1]}, scaling included'
    return (
        f'measured with {engine.name} in {engine.precision.value}, {options.threads} thread(s); '
        f'{picture}; {ROUNDS} rounds in random order, {min(runs.values())} to '
        f'{max(runs.values())} runs a point, none discarded'
    )


def _by(governors: str) -> str:
    return f' (governor {governors})' if governors else ''


def _circumstances(visits: Sequence[Visit]) -> list[str]:
    """Return what idle means here, and how warm it became."""
    loads = ', '.join(
        f'{load:.0%} of {name!r}'
        for name, load in foreign_utilisation(visits).items()
        if load <= BUSY_ABOVE  # otherwise there is a notice of it
    )
    rises = temperature_rises(visits)
    warmest = max(rises, key=lambda zone: rises[zone][1], default='')
    sentences = [f'others used {loads} while nothing ran here'] if loads else []
    if warmest:
        first, highest = rises[warmest]
        sentences.append(f'{warmest} {first:.0f} to {highest:.0f} degrees Celsius')
    return sentences
