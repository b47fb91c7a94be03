# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a bundle to one with early exits: train heads, calibrate thresholds, measure all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from dynamic_dnn_ros.bundles.graphs import GRAPH_SUFFIX
from dynamic_dnn_ros.bundles.locking import exclusive
from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork, SuperNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, Tensors, Weights
from dynamic_dnn_ros.bundles.responses import RESPONSES_NAME
from dynamic_dnn_ros.bundles.writer import (
    MODEL_CARD_NAME,
    check_place,
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
from dynamic_dnn_ros.exits.heads import (
    LAST,
    answers_of,
    default_places,
    equipped,
    network_with_weights,
    stage_names,
)
from dynamic_dnn_ros.exits.mixtures import Answers, Judge
from dynamic_dnn_ros.exits.report import Made, rows
from dynamic_dnn_ros.exits.selection import Cascade, calibrated, leaving
from dynamic_dnn_ros.exits.stage_times import StageTimes, stage_times
from dynamic_dnn_ros.exits.writing import name_of
from dynamic_dnn_ros.networks.contract import DynamicNetwork
from dynamic_dnn_ros.networks.exits import EXITS, ExitConfiguration, ExitNetwork
from dynamic_dnn_ros.platforms.hardware import hardware_name
from dynamic_dnn_ros.training.configuration import TrainingConfiguration
from dynamic_dnn_ros.training.heads import heads_phase, train_heads
from dynamic_dnn_ros.training.pictures import Pictures

#: Pictures below which a threshold says nothing of others.
LEAST_PICTURES = 100

#: Share of the accuracy in the bundle that a sub-network has to reach on the pictures.
LEAST_FIT = 0.5

#: Exits to choose of at most, and exits of one sub-network: every choice of so many is looked at.
MOST_EXITS, MOST_USED = 8, 3

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


def make_exits(
    bundle: Bundle,
    settings: ExitSettings,
    training: TrainingConfiguration,
    pictures: ExitPictures,
    work: Path,
    output: Path | None = None,
    command: str = '',
    say: Callable[[str], None] = print,
    quiet: bool = False,
) -> MadeExits:
    """
    Add early exits to a sub-network of a bundle; killed and called again, the training goes on.

    :param training: augmentation, batches, optimizer and seed of the training of heads
    :param work: folder of the training's checkpoint
    :param output: folder of the bundle to write; None: the bundle itself
    :param command: that was given, for the model card
    :param say: is told what is left out
    :raises BundleError: when the bundle cannot be written, or has no super-network
    :raises CheckpointError: when the work folder cannot be used
    :raises DataError: when the pictures cannot be used
    :raises EngineError: when a sub-network cannot be run
    :raises ExitError: when the settings do not fit the bundle, or no exits keep the promise
    """
    manifest = bundle.manifest
    folder = bundle.folder if output is None else output
    check_kind(manifest)
    entry = _backbone(manifest, settings.sub_network)
    _check_pictures(pictures)
    network, configuration, trains = _network(bundle, entry, settings)
    with exclusive(folder):
        check_place(folder, bundle if output is None else None)
        report = ''
        if trains:
            trainer = train_heads(
                network,
                configuration,
                training,
                heads_phase(settings.epochs, settings.learning_rate),
                pictures.training,
                work,
                settings.views,
                quiet,
            )
            report = f'{trainer.epochs} epochs in {trainer.seconds / 60:.0f} minutes'
        _round_as_stored(network, bundle)
        maker = _Maker(bundle, entry, network, configuration, settings, say, quiet)
        return maker.make(pictures, folder, output is None, command, report)


def check_kind(manifest: Manifest) -> None:
    """
    Check that a bundle is of a kind that can have exits.

    :raises ExitError: naming what can be done instead
    """
    if not isinstance(manifest.source, SuperNetwork):
        raise ExitError(
            f'bundle {manifest.name!r} is of separate models, and no family says where these can '
            "be cut. 'dynamic-dnn cascade' makes cascades of them"
        )
    if manifest.task.name != 'classification':
        raise ExitError(
            f'bundle {manifest.name!r} is for {manifest.task.name}, and heads are trained for '
            "classification only: a detector's answer needs features of all strides, the coarsest "
            "of which its last stage gives. 'dynamic-dnn cascade' works for every task"
        )


def _backbone(manifest: Manifest, identifier: str) -> SubNetwork:
    if identifier:
        entry = manifest.sub_network(identifier)
        if entry.stages:
            raise ExitError(
                f'sub-network {identifier!r} has stages itself: name one of one piece, of '
                f'{", ".join(e.id for e in manifest.sub_networks if not e.stages)}'
            )
        return entry
    whole = [entry for entry in manifest.sub_networks if not entry.stages]
    return max(whole, key=lambda entry: entry.accuracy_for_targets)


def _check_pictures(pictures: ExitPictures) -> None:
    if len(pictures.calibration) < LEAST_PICTURES:
        raise DataError(
            f'there are {len(pictures.calibration)} pictures to calibrate with: at least '
            f'{LEAST_PICTURES} are needed for a threshold that holds for others'
        )


def _network(
    bundle: Bundle, entry: SubNetwork, settings: ExitSettings
) -> tuple[ExitNetwork, ExitConfiguration, bool]:
    """Return the network, the sub-network with all exits to choose of, and whether they train."""
    network = network_with_weights(bundle)
    given = network.configuration(entry.configuration)
    trains = True
    if isinstance(network, ExitNetwork):
        given = given.network
    if isinstance(network, ExitNetwork) and (not settings.after or not settings.epochs):
        # Heads that lie in the bundle were trained with it.
        flags = network.possible(given, [1] * len(network.heads))
        configuration = ExitConfiguration(given, flags)
        if not any(flags):
            raise ExitError(
                f'no head of bundle {bundle.manifest.name!r} fits sub-network {entry.id!r}: name '
                'the places of new ones (--after)'
            )
        trains = False
    elif not settings.epochs:
        raise ExitError(
            f'bundle {bundle.manifest.name!r} has no heads, so they have to be trained: give '
            'epochs above 0'
        )
    else:
        places = settings.after or default_places(network, given, settings.exits)
        network, configuration = equipped(network, given, places, settings.widths)
        heads = [network.exits[number] for number in network.exits_of(configuration).values()]
        # Where the features at a place are an answer, there is nothing to train.
        trains = any(True for head in heads for _ in head.parameters())
    if sum(configuration.exits) > MOST_EXITS:
        raise ExitError(
            f'{sum(configuration.exits)} exits: name at most {MOST_EXITS}, each choice of some of '
            'them is looked at'
        )
    network.activate(configuration)
    network.load_batch_norm_statistics(bundle.weights().batch_norm_statistics[entry.id])
    return network, configuration, trains


def _round_as_stored(network: ExitNetwork, bundle: Bundle) -> None:
    """Give weights the values that the bundle's file will have, so that what is measured stays."""
    number = _number_of(bundle)
    network.load_state(
        {name: array.astype(number).astype(np.float32) for name, array in network.state().items()}
    )


def _number_of(bundle: Bundle) -> type[np.floating]:
    half = any(a.dtype == np.float16 for a in bundle.weight_views().network.values())
    return np.float16 if half else np.float32


class _Maker:
    """Chooses exits and thresholds of one sub-network whose heads are trained."""

    def __init__(
        self,
        bundle: Bundle,
        entry: SubNetwork,
        network: ExitNetwork,
        configuration: ExitConfiguration,
        settings: ExitSettings,
        say: Callable[[str], None],
        quiet: bool,
    ) -> None:
        self._bundle = bundle
        self._entry = entry
        self._network = network
        self._configuration = configuration
        self._settings = settings
        self._say = say
        self._quiet = quiet
        self._names = stage_names(network, configuration)

    def make(
        self, pictures: ExitPictures, folder: Path, replaces: bool, command: str, report: str
    ) -> MadeExits:
        """Choose, measure, test and write."""
        manifest = self._bundle.manifest
        task = manifest.make_task()
        judge = Judge(task, manifest.labels, self._answers(pictures.calibration))
        self._check_fit(judge)
        everything, _ = self._timed({_TRIAL: self._names})
        chosen = self._chosen(judge, everything)
        times, conditions = self._timed(
            {f'promise_{index}': each.stages for index, each in enumerate(chosen.values())}
        )
        tested = Judge(task, manifest.labels, self._answers(pictures.test))
        made: list[Made] = []
        for index, (at_most, cascade) in enumerate(chosen.items()):
            spent = times.spent[f'promise_{index}']
            made.append(self._made(at_most, cascade, spent, tested, made))
        found = MadeExits(
            bundle=self._bundle,
            backbone=self._entry,
            made=tuple(made),
            latency=times.whole,
            conditions=conditions,
            calibrated_on=len(pictures.calibration),
            tested_on=len(pictures.test),
            training=report,
            alone={
                name: tested.accuracy([name], np.zeros(len(tested.answers), np.int64))
                for name in self._names
            },
            without_others=self._settings.alone,
        )
        return replace(found, bundle=self._written(found, folder, replaces, command))

    def _answers(self, pictures: Pictures) -> Answers:
        return answers_of(
            self._network,
            self._configuration,
            self._bundle.manifest,
            pictures,
            self._quiet or None,
        )

    def _check_fit(self, judge: Judge) -> None:
        answers = judge.answers
        found = judge.accuracy([LAST], np.zeros(len(answers), np.int64))
        expected = self._entry.accuracy_for_targets
        if found <= 0 or found < LEAST_FIT * expected:
            raise DataError(
                f'the accuracy of {self._entry.id!r} is {found:.1%} on the pictures to calibrate '
                f'with, and {expected:.1%} by the bundle. Give pictures of its classes, with the '
                'right labels'
            )

    def _subset(self, stages: Sequence[str]) -> ExitConfiguration:
        """Return the sub-network with the exits of some stages only."""
        numbers = list(self._network.exits_of(self._configuration).values())
        kept = {n for name, n in zip(self._names, numbers) if name in stages}
        flags = tuple(int(index in kept) for index in range(len(self._network.heads)))
        return replace(self._configuration, exits=flags)

    def _trial_entry(self, identifier: str, stages: Sequence[str]) -> SubNetwork:
        count = len(stages)
        return exit_entry(
            self._network,
            self._subset(stages),
            identifier,
            [0.5] * (count - 1),
            [(index + 1) / count for index in range(count)],
            [1 / count] * count,
            self._entry.accuracy_for_targets,
        )

    def _timed(self, stages: dict[str, Sequence[str]]) -> tuple[StageTimes, str]:
        """Return what stages take with the engine that is to serve, and the conditions."""
        settings = self._settings
        entries = [self._trial_entry(name, names) for name, names in stages.items()]
        whole = self._own_entry(self._entry)
        manifest, content = self._content([whole, *entries], alone=True)
        trial = placed_bundle(self._bundle.folder, manifest, content)
        engine = open_engine(settings.engine, trial, settings.threads, say=self._say)
        prepared: list[PreparedSubNetwork] = []
        try:
            for each in (whole, *entries):
                prepared.append(engine.prepare(each, engine.processors[0]))
            times = stage_times(prepared[0], prepared[1:], settings.turns, self._quiet or None)
        finally:
            for one in prepared:
                one.close()
        return times, _conditions(engine, settings.threads)

    def _chosen(self, judge: Judge, times: StageTimes) -> dict[float, Cascade]:
        """
        Return exits and thresholds for each promise that some keep.

        :raises ExitError: where there are none for any of them
        """
        options = dict(self._options(times.spent[_TRIAL]))
        chosen: dict[float, Cascade] = {}
        problem = ''
        for at_most in dict.fromkeys(self._settings.at_most_below):
            bar = tqdm(
                options.items(), desc='calibrating', unit='choice', disable=self._quiet or None
            )
            found = [calibrated(judge, spent, stages, at_most) for stages, spent in bar]
            worthy = [each for each in found if each is not None and each.time < 1.0]
            if worthy:
                chosen[at_most] = min(worthy, key=lambda each: each.time)
                continue
            problem = (
                f'no exits of {self._entry.id!r} after {", ".join(self._names[:-1])} are faster '
                f'than it and at most {at_most:.2%} below it on {len(judge.answers)} pictures, '
                f'with a margin of {MARGIN:g} standard errors. Promise less (--at-most-below), '
                'train longer (--epochs), or give more pictures to calibrate with'
            )
            if chosen:
                self._say(f'not made: {problem}')
        if not chosen:
            raise ExitError(problem)
        return chosen

    def _options(
        self, spent: Sequence[float]
    ) -> Iterator[tuple[tuple[str, ...], tuple[float, ...]]]:
        """
        Yield each choice of exits, and about what it spends until each of its stages has run.

        What exits cost beside the whole is taken to be the same for each of them.
        """
        exits = self._names[:-1]
        each = max(spent[-1] - 1.0, 0.0) / len(exits)
        base = [value - each * (index + 1) for index, value in enumerate(spent[:-1])]
        for count in range(1, min(len(exits), MOST_USED) + 1):
            for some in combinations(range(len(exits)), count):
                own = [base[place] + each * (nth + 1) for nth, place in enumerate(some)]
                stages = (*(exits[place] for place in some), LAST)
                yield stages, tuple(np.maximum.accumulate([*own, 1.0 + each * count]).tolist())

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
        entry = self._entry
        accuracy = tested.accuracy(cascade.stages, taken)
        if entry.accuracy_is_known:
            # Where a mixture does better than the whole, that is chance or these pictures.
            accuracy = max(0.0, entry.accuracy - max(0.0, below))
        known = {one.id for one in self._bundle.manifest.sub_networks}
        known |= {one.entry.id for one in before}
        made = exit_entry(
            self._network,
            self._subset(cascade.stages),
            exit_identifier(entry.id, cascade.thresholds, known),
            cascade.thresholds,
            [value / spent[-1] for value in spent],
            cascade.taken,
            accuracy,
        )
        shares = np.bincount(taken, minlength=len(spent)) / len(taken)
        return Made(made, cascade, at_most, below, float((shares * np.array(spent)).sum()))

    def _own_entry(self, entry: SubNetwork) -> SubNetwork:
        """Return a sub-network of the bundle with the fields that configurations have now."""
        if entry.is_cascade:
            return entry
        flags = list(entry.configuration.get(EXITS, ()))
        flags += [0] * (len(self._network.heads) - len(flags))
        return replace(entry, configuration={**entry.configuration, EXITS: flags})

    def _content(self, entries: Sequence[SubNetwork], alone: bool) -> tuple[Manifest, bytes]:
        """Return a manifest of sub-networks, and the content of its weights file."""
        network: DynamicNetwork[Any] = self._network
        old = self._bundle.weights().batch_norm_statistics
        own = old[self._entry.id]
        statistics: dict[str, Tensors] = {
            each.id: old.get(each.id, own) for each in entries if not each.is_cascade
        }
        manifest = replace(
            self._bundle.manifest,
            source=SuperNetwork(network.family, network.layout_mapping()),
            sub_networks=tuple(entries),
        )
        weights = Weights(network.state(), statistics)
        return manifest, weights_content(weights, _number_of(self._bundle))

    def _written(self, found: MadeExits, folder: Path, replaces: bool, command: str) -> Bundle:
        bundle = self._bundle
        old = [self._own_entry(each) for each in bundle.manifest.sub_networks]
        if self._settings.alone:
            old = [each for each in old if each.id == self._entry.id]
        new = [each.entry for each in found.made]
        entries = sorted([*old, *new], key=lambda each: each.accuracy_for_targets)
        manifest, content = self._content(entries, self._settings.alone)
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
            self._say(
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


def _conditions(engine: Engine, threads: int) -> str:
    return (
        f'engine {engine.name} on {engine.processors[0]}, {threads} thread(s), {hardware_name()}'
    )
