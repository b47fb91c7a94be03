# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What becomes a bundle with exits: choose, calibrate thresholds, measure, test, write."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from dynamic_dnn_ros.bundles.graphs import GRAPH_SUFFIX
from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork, SuperNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, Tensors, Weights
from dynamic_dnn_ros.bundles.responses import RESPONSES_NAME
from dynamic_dnn_ros.bundles.writer import (
    MODEL_CARD_NAME,
    placed_bundle,
    weights_content,
)
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.engines.automatic import open_engine
from dynamic_dnn_ros.engines.contract import Engine, PreparedSubNetwork
from dynamic_dnn_ros.engines.verification import write_recorded_bundle
from dynamic_dnn_ros.exits.calibration import MARGIN
from dynamic_dnn_ros.exits.card import EXITS as EXITS_TITLE
from dynamic_dnn_ros.exits.card import with_section
from dynamic_dnn_ros.exits.errors import ExitError
from dynamic_dnn_ros.exits.exit_entries import exit_entry, exit_identifier
from dynamic_dnn_ros.exits.exit_report import TITLES, MadeExits, how
from dynamic_dnn_ros.exits.exit_settings import ExitSettings
from dynamic_dnn_ros.exits.heads import LAST
from dynamic_dnn_ros.exits.mixtures import Answers, Judge
from dynamic_dnn_ros.exits.report import Made, rows
from dynamic_dnn_ros.exits.selection import Cascade, calibrated, leaving
from dynamic_dnn_ros.exits.stage_times import StageTimes, stage_times
from dynamic_dnn_ros.exits.writing import name_of
from dynamic_dnn_ros.networks.contract import DynamicNetwork
from dynamic_dnn_ros.platforms.hardware import hardware_name
from dynamic_dnn_ros.training.pictures import Pictures

#: Share of the accuracy in the bundle that a sub-network has to reach on the pictures.
LEAST_FIT = 0.5

_TRIAL = 'with_all_exits'


@dataclass(frozen=True)
class ExitPictures:
    """
    Labelled pictures of three kinds, each used for one thing.

    :param training: heads are trained on them
    :param calibration: thresholds are chosen by them; none that the network was trained on
    :param test: accuracy is measured on them
    """

    training: Pictures
    calibration: Pictures
    test: Pictures


class ExitMaker(abc.ABC):
    """
    Chooses exits and thresholds of one sub-network, measures and writes.

    :param bundle: that gets more sub-networks
    :param entry: the sub-network that promises are made against
    :param network: with all exits, and the weights that are written
    :param names: of the stages up to each exit to choose of, and of the last one
    """

    def __init__(
        self,
        bundle: Bundle,
        entry: SubNetwork,
        network: DynamicNetwork[Any],
        names: Sequence[str],
        settings: ExitSettings,
        say: Callable[[str], None],
        quiet: bool,
    ) -> None:
        self.bundle = bundle
        self.entry = entry
        self.network = network
        self.names = tuple(names)
        self.settings = settings
        self.say = say
        self.quiet = quiet

    @abc.abstractmethod
    def answers(self, pictures: Pictures) -> Answers:
        """Return the answers after each stage, by its name."""

    @abc.abstractmethod
    def configuration_of(self, stages: Sequence[str]) -> Any:
        """Return the configuration of the sub-network that leaves after some stages only."""

    @abc.abstractmethod
    def options(
        self, spent: Sequence[float]
    ) -> Iterator[tuple[tuple[str, ...], tuple[float, ...]]]:
        """
        Yield each choice of exits, and about what it spends until each of its stages has run.

        :param spent: what has been spent after each stage where all exits are there
        """

    @abc.abstractmethod
    def statistics_of(self, entry: SubNetwork) -> Tensors:
        """Return the batch-norm statistics of a sub-network of the bundle, or a new one."""

    def own_entry(self, entry: SubNetwork) -> SubNetwork:
        """Return a sub-network of the bundle with the fields that configurations have now."""
        return entry

    def without_unused(
        self, entries: Sequence[SubNetwork], replaces: bool
    ) -> Sequence[SubNetwork]:
        """
        Leave out of the network what no sub-network uses; return the sub-networks of what is left.

        :param replaces: whether the bundle is written in place of the one given
        """
        return entries

    @property
    def against(self) -> str:
        """Return the name in the answers of what promises are made against; empty: the last."""
        return ''

    def make(
        self, pictures: ExitPictures, folder: Path, replaces: bool, command: str, report: str
    ) -> MadeExits:
        """Choose, measure, test and write."""
        manifest = self.bundle.manifest
        task = manifest.make_task()
        judge = Judge(task, manifest.labels, self.answers(pictures.calibration), self.against)
        self._check_fit(judge)
        everything, _ = self._timed({_TRIAL: self.names})
        chosen = self._chosen(judge, everything)
        times, conditions = self._timed(
            {f'promise_{index}': each.stages for index, each in enumerate(chosen.values())}
        )
        tested = Judge(task, manifest.labels, self.answers(pictures.test), self.against)
        made: list[Made] = []
        for index, (at_most, cascade) in enumerate(chosen.items()):
            spent = times.spent[f'promise_{index}']
            made.append(self._made(at_most, cascade, spent, tested, made))
        found = MadeExits(
            bundle=self.bundle,
            backbone=self.entry,
            made=tuple(made),
            latency=times.whole,
            conditions=conditions,
            calibrated_on=len(pictures.calibration),
            tested_on=len(pictures.test),
            training=report,
            alone={
                name: tested.accuracy([name], np.zeros(len(tested.answers), np.int64))
                for name in self.names
            },
            without_others=self.settings.alone,
        )
        return replace(found, bundle=self._written(found, folder, replaces, command))

    def _check_fit(self, judge: Judge) -> None:
        answers = judge.answers
        found = judge.accuracy([LAST], np.zeros(len(answers), np.int64))
        expected = self.entry.accuracy_for_targets
        if found <= 0 or found < LEAST_FIT * expected:
            raise DataError(
                f'the accuracy of {self.entry.id!r} is {found:.1%} on the pictures to calibrate '
                f'with, and {expected:.1%} by the bundle. Give pictures of its classes, with the '
                'right labels'
            )

    def _trial_entry(self, identifier: str, stages: Sequence[str]) -> SubNetwork:
        count = len(stages)
        return exit_entry(
            self.network,
            self.configuration_of(stages),
            identifier,
            stages,
            [0.5] * (count - 1),
            [(index + 1) / count for index in range(count)],
            [1 / count] * count,
            self.entry.accuracy_for_targets,
        )

    def _timed(self, stages: dict[str, Sequence[str]]) -> tuple[StageTimes, str]:
        """Return what stages take with the engine that is to serve, and the conditions."""
        settings = self.settings
        entries = [self._trial_entry(name, names) for name, names in stages.items()]
        whole = self.own_entry(self.entry)
        manifest, content = self._content([whole, *entries], alone=True)
        trial = placed_bundle(self.bundle.folder, manifest, content)
        engine = open_engine(settings.engine, trial, settings.threads, say=self.say)
        prepared: list[PreparedSubNetwork] = []
        try:
            for each in (whole, *entries):
                prepared.append(engine.prepare(each, engine.processors[0]))
            times = stage_times(prepared[0], prepared[1:], settings.turns, self.quiet or None)
        finally:
            for one in prepared:
                one.close()
        return times, _conditions(engine, settings.threads)

    def _chosen(self, judge: Judge, times: StageTimes) -> dict[float, Cascade]:
        """
        Return exits and thresholds for each promise that some keep.

        :raises ExitError: where there are none for any of them
        """
        options = dict(self.options(times.spent[_TRIAL]))
        chosen: dict[float, Cascade] = {}
        problems: list[str] = []
        for at_most in dict.fromkeys(self.settings.at_most_below):
            bar = tqdm(
                options.items(), desc='calibrating', unit='choice', disable=self.quiet or None
            )
            found = [calibrated(judge, spent, stages, at_most) for stages, spent in bar]
            worthy = [each for each in found if each is not None and each.time < 1.0]
            if worthy:
                chosen[at_most] = min(worthy, key=lambda each: each.time)
                continue
            problems.append(
                f'no exits of {self.entry.id!r} after {", ".join(self.names[:-1])} are faster '
                f'than it and at most {at_most:.2%} below it on {len(judge.answers)} pictures, '
                f'with a margin of {MARGIN:g} standard errors. Promise less (--at-most-below), '
                'train longer (--epochs), or give more pictures to calibrate with'
            )
        if not chosen:
            raise ExitError(problems[-1])
        for problem in problems:
            self.say(f'not made: {problem}')
        return chosen

    def _made(
        self,
        at_most: float,
        cascade: Cascade,
        spent: Sequence[float],
        tested: Judge,
        before: Sequence[Made],
    ) -> Made:
        taken = leaving(tested.answers, cascade.stages, cascade.thresholds)
        below = tested.loss(cascade.stages, taken).mean
        entry = self.entry
        accuracy = tested.accuracy(cascade.stages, taken)
        if entry.accuracy_is_known:
            # Where a mixture does better than the whole, that is chance or these pictures.
            accuracy = max(0.0, entry.accuracy - max(0.0, below))
        known = {one.id for one in self.bundle.manifest.sub_networks}
        known |= {one.entry.id for one in before}
        made = exit_entry(
            self.network,
            self.configuration_of(cascade.stages),
            exit_identifier(entry.id, cascade.thresholds, known),
            cascade.stages,
            cascade.thresholds,
            [value / spent[-1] for value in spent],
            cascade.taken,
            accuracy,
        )
        shares = np.bincount(taken, minlength=len(spent)) / len(taken)
        return Made(made, cascade, at_most, below, float((shares * np.array(spent)).sum()))

    def _content(self, entries: Sequence[SubNetwork], alone: bool) -> tuple[Manifest, bytes]:
        """Return a manifest of sub-networks, and the content of its weights file."""
        network = self.network
        statistics = {each.id: self.statistics_of(each) for each in entries if not each.is_cascade}
        manifest = replace(
            self.bundle.manifest,
            source=SuperNetwork(network.family, network.layout_mapping()),
            sub_networks=tuple(entries),
        )
        weights = Weights(network.state(), statistics)
        return manifest, weights_content(weights, number_of(self.bundle))

    def _written(self, found: MadeExits, folder: Path, replaces: bool, command: str) -> Bundle:
        bundle = self.bundle
        old = [self.own_entry(each) for each in bundle.manifest.sub_networks]
        if self.settings.alone:
            old = [each for each in old if each.id == self.entry.id]
        new = [each.entry for each in found.made]
        entries = sorted([*old, *new], key=lambda each: each.accuracy_for_targets)
        manifest, content = self._content(
            self.without_unused(entries, replaces), self.settings.alone
        )
        name = bundle.manifest.name if replaces else name_of(folder, bundle.manifest.name)
        files = {
            key: value
            for key, value in bundle.other_files.items()
            # Graphs name the weights that they were made with, and there are more now.
            if not key.endswith(GRAPH_SUFFIX) and key != RESPONSES_NAME
        }
        card = files.get(MODEL_CARD_NAME, f'# {bundle.manifest.name}\n'.encode()).decode()
        if name != bundle.manifest.name:
            card = card.replace(f'# {bundle.manifest.name}\n', f'# {name}\n', 1)
        card = with_section(card, EXITS_TITLE, TITLES, rows(found.made), how(found, command))
        files[MODEL_CARD_NAME] = card.encode()
        if bundle.profiles:
            self.say(
                'left out, since they were made with other weights: the profiles of '
                f'{", ".join(profile.platform for profile in bundle.profiles)}'
            )
        return write_recorded_bundle(
            folder,
            replace(manifest, name=name),
            content,
            other_files=files,
            replaces=bundle if replaces else None,
        )


def number_of(bundle: Bundle) -> type[np.floating]:
    """Return the type of the numbers in a bundle's weights file."""
    half = any(a.dtype == np.float16 for a in bundle.weight_views().network.values())
    return np.float16 if half else np.float32


def _conditions(engine: Engine, threads: int) -> str:
    return (
        f'engine {engine.name} on {engine.processors[0]}, {threads} thread(s), {hardware_name()}'
    )
