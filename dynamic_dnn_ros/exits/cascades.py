# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a bundle to one with cascades: sub-networks whose stages are others, small ones first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dynamic_dnn_ros.bundles.locking import exclusive
from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.bundles.writer import check_place
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.datasets.labelled_set import LabelledSet
from dynamic_dnn_ros.engines.automatic import open_engine
from dynamic_dnn_ros.engines.contract import Engine, PreparedSubNetwork
from dynamic_dnn_ros.exits.asking import ask, measured_latencies
from dynamic_dnn_ros.exits.calibration import MARGIN
from dynamic_dnn_ros.exits.entries import cascade_entry
from dynamic_dnn_ros.exits.errors import ExitError
from dynamic_dnn_ros.exits.mixtures import Judge
from dynamic_dnn_ros.exits.report import Made, MadeCascades
from dynamic_dnn_ros.exits.selection import Cascade, calibrated, fastest, leaving, spent_in_turn
from dynamic_dnn_ros.exits.settings import CascadeSettings, candidate_stages
from dynamic_dnn_ros.exits.writing import written
from dynamic_dnn_ros.platforms.hardware import hardware_name

#: Pictures below which a threshold says nothing of others.
LEAST_PICTURES = 100


#: Share of the accuracy that a bundle says of its best sub-network which that has to reach.
LEAST_FIT = 0.5


def make_cascades(
    bundle: Bundle,
    settings: CascadeSettings,
    calibration: LabelledSet[Any],
    test: LabelledSet[Any],
    output: Path | None = None,
    command: str = '',
    say: Callable[[str], None] = print,
    quiet: bool | None = None,
) -> MadeCascades:
    """
    Add cascades to a bundle; one that is there under the same id is replaced.

    :param calibration: pictures that thresholds are chosen by; none that were trained on
    :param test: others, that accuracy is measured on
    :param output: folder of the bundle to write; None: the bundle itself
    :param command: that was given, for the model card
    :param say: is told what is left out
    :param quiet: show no progress; None: only where nobody looks
    :raises BundleError: when the bundle cannot be written
    :raises DataError: when the pictures cannot be used
    :raises EngineError: when a sub-network cannot be run
    :raises ExitError: when the settings do not fit the bundle, or no cascade keeps the promise
    """
    folder = bundle.folder if output is None else output
    entries = candidate_stages(bundle.manifest, settings.stages, say)
    if len(calibration) < LEAST_PICTURES:
        raise DataError(
            f'{calibration.files.path} gives {len(calibration)} pictures to calibrate with: at '
            f'least {LEAST_PICTURES} are needed for a threshold that holds for others'
        )
    with exclusive(folder):
        check_place(folder, bundle if output is None else None)
        engine = open_engine(settings.engine, bundle, settings.threads, say=say)
        with _prepared(engine, entries) as prepared:
            latencies = measured_latencies(prepared, settings.turns, quiet)
            _check_order(latencies, settings.stages)
            answers = ask(prepared, bundle.manifest, calibration, quiet)
        judge = Judge(bundle.manifest.make_task(), bundle.manifest.labels, answers)
        _check_fit(judge, entries[-1], str(calibration.files.path))
        if not any((found > 0).any() for found in answers.confidences.values()):
            raise ExitError(
                f'bundle {bundle.manifest.name!r}: its task {bundle.manifest.task.name!r} does '
                'not say how sure an answer to these pictures is, so none can leave early. See '
                'docs/tasks.md for what gives a confidence'
            )
        chosen = _chosen(judge, latencies, entries, settings, say, quiet)
        used = {name for cascade in chosen.values() for name in cascade.stages}
        with _prepared(engine, [each for each in entries if each.id in used]) as prepared:
            tested = Judge(
                bundle.manifest.make_task(),
                bundle.manifest.labels,
                ask(prepared, bundle.manifest, test, quiet),
            )
        made = _made(bundle.manifest, chosen, tested)
        conditions = (
            f'engine {engine.name} on {engine.processors[0]}, {settings.threads} thread(s), '
            f'{hardware_name()}'
        )
        found = MadeCascades(
            bundle, made, latencies[entries[-1].id], conditions, len(calibration), len(test)
        )
        return replace(found, bundle=written(found, folder, output is None, command))


def _check_fit(judge: Judge, last: SubNetwork, where: str) -> None:
    """
    Check that the pictures are of the kind that the bundle was made for.

    :raises DataError: where its best sub-network is lost on them: any answer is as good there, so
        a threshold would let all of them leave early
    """
    found = judge.accuracy([last.id], leaving(judge.answers, [last.id], ()))
    expected = last.accuracy_for_targets
    if found <= 0 or found < LEAST_FIT * expected:
        raise DataError(
            f'{where}: the accuracy of {last.id!r} is {found:.1%} on these pictures, and '
            f'{expected:.1%} by the bundle. Give pictures of its classes, with the right labels'
        )


def _check_order(latencies: dict[str, float], stages: Sequence[str]) -> None:
    """
    Check that stages that were named get slower.

    :raises ExitError: naming the pair that does not
    """
    for first, second in pairwise(stages):
        if latencies[first] >= latencies[second]:
            raise ExitError(
                f'stages {",".join(stages)}: {second!r} takes {latencies[second] * 1e3:.3g} ms '
                f'here, and {first!r} before it {latencies[first] * 1e3:.3g} ms. Name the '
                'fastest first'
            )


def _chosen(
    judge: Judge,
    latencies: dict[str, float],
    entries: Sequence[SubNetwork],
    settings: CascadeSettings,
    say: Callable[[str], None],
    quiet: bool | None,
) -> dict[float, Cascade]:
    """
    Return the cascade for each promise that one keeps.

    :raises ExitError: where there is none for any of them
    """
    names = tuple(entry.id for entry in entries)
    chosen: dict[float, Cascade] = {}
    problems = []
    for at_most in dict.fromkeys(settings.at_most_below):
        if settings.stages:
            spent = spent_in_turn(latencies, names)
            found = calibrated(judge, spent, names, at_most)
        else:

            def bar(to_try: list[tuple[str, ...]]) -> Iterable[tuple[str, ...]]:
                return tqdm(to_try, desc='calibrating', unit='cascade', disable=quiet)

            found = fastest(judge, latencies, names[-1], at_most, settings.longest, bar)
        if found is None or found.time >= 1.0:
            problems.append(_none_found(judge, names, at_most, found, bool(settings.stages)))
        else:
            chosen[at_most] = found
    if not chosen:
        raise ExitError(problems[-1])
    for problem in problems:
        say(f'not made: {problem}')
    return chosen


def _none_found(
    judge: Judge, names: Sequence[str], at_most: float, found: Cascade | None, named: bool
) -> str:
    what = f'cascade of {", ".join(names)}' if named else f'cascade that ends in {names[-1]}'
    remedy = (
        'Promise less (--at-most-below), give more pictures to calibrate with, or '
        f'{"name other stages" if named else "add a faster sub-network to the bundle"}'
    )
    if found is not None:
        return (
            f'the {what} keeps at most {at_most:.2%} below, and takes {found.time:.2f} times as '
            f'long as {names[-1]} alone: nothing is won. {remedy}'
        )
    return (
        f'no {what} is faster than that and at most {at_most:.2%} below it on '
        f'{len(judge.answers)} pictures, with a margin of {MARGIN:g} standard errors. {remedy}'
    )


def _made(manifest: Manifest, chosen: dict[float, Cascade], tested: Judge) -> tuple[Made, ...]:
    made: list[Made] = []
    for at_most, cascade in chosen.items():
        taken = leaving(tested.answers, cascade.stages, cascade.thresholds)
        below = tested.loss(cascade.stages, taken).mean
        accuracy = tested.accuracy(cascade.stages, taken)
        entry = cascade_entry(manifest, cascade, [each.entry.id for each in made], accuracy, below)
        if all(each.entry.id != entry.id for each in made):
            made.append(Made(entry, cascade, at_most, below, cascade.time))
    return tuple(made)


@contextmanager
def _prepared(engine: Engine, entries: Sequence[SubNetwork]) -> Iterator[list[PreparedSubNetwork]]:
    prepared: list[PreparedSubNetwork] = []
    try:
        for entry in entries:
            prepared.append(engine.prepare(entry, engine.processors[0]))
        yield prepared
    finally:
        for each in prepared:
            each.close()
