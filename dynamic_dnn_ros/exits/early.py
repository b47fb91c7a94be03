# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a bundle to one with early exits: train heads, calibrate thresholds, measure all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from dynamic_dnn_ros.bundles.locking import exclusive
from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork, SuperNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, Tensors
from dynamic_dnn_ros.bundles.writer import check_place
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.exits.answering import AnswerMaker
from dynamic_dnn_ros.exits.errors import ExitError
from dynamic_dnn_ros.exits.exit_report import MadeExits
from dynamic_dnn_ros.exits.exit_settings import ExitSettings
from dynamic_dnn_ros.exits.heads import (
    LAST,
    answers_of,
    default_places,
    equipped,
    network_with_weights,
    stage_names,
    with_used_heads,
)
from dynamic_dnn_ros.exits.making import ExitMaker, ExitPictures, number_of
from dynamic_dnn_ros.exits.mixtures import Answers
from dynamic_dnn_ros.networks.exits import EXITS, ExitConfiguration, ExitNetwork
from dynamic_dnn_ros.training.configuration import TrainingConfiguration
from dynamic_dnn_ros.training.heads import heads_phase, train_heads
from dynamic_dnn_ros.training.pictures import Pictures

#: Pictures below which a threshold says nothing of others.
LEAST_PICTURES = 100

#: Exits to choose of at most, and exits of one sub-network: every choice of so many is looked at.
MOST_EXITS, MOST_USED = 8, 3


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
    if settings.answers_of:
        with exclusive(folder):
            check_place(folder, bundle if output is None else None)
            smaller = AnswerMaker(bundle, entry, settings, training, pictures, say, quiet)
            return smaller.make(pictures, folder, output is None, command, smaller.report)
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
            report = (
                f'Heads were trained for {trainer.epochs} epochs in '
                f'{trainer.seconds / 60:.0f} minutes while {entry.id} stayed as it is.'
            )
        _round_as_stored(network, bundle)
        maker = HeadMaker(bundle, entry, network, configuration, settings, say, quiet)
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
    number = number_of(bundle)
    network.load_state(
        {name: array.astype(number).astype(np.float32) for name, array in network.state().items()}
    )


class HeadMaker(ExitMaker):
    """Chooses of exits whose heads are trained."""

    network: ExitNetwork

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
        names = stage_names(network, configuration)
        super().__init__(bundle, entry, network, names, settings, say, quiet)
        self._configuration = configuration
        self._old = bundle.weights().batch_norm_statistics

    def answers(self, pictures: Pictures) -> Answers:
        """Return the answers at each exit, and the last one."""
        return answers_of(
            self.network,
            self._configuration,
            self.bundle.manifest,
            pictures,
            self.quiet or None,
        )

    def configuration_of(self, stages: Sequence[str]) -> ExitConfiguration:
        """Return the sub-network with the exits of some stages only."""
        numbers = list(self.network.exits_of(self._configuration).values())
        kept = {n for name, n in zip(self.names, numbers) if name in stages}
        flags = tuple(int(index in kept) for index in range(len(self.network.heads)))
        return replace(self._configuration, exits=flags)

    def options(
        self, spent: Sequence[float]
    ) -> Iterator[tuple[tuple[str, ...], tuple[float, ...]]]:
        """
        Yield each choice of exits; see the base class.

        What exits cost beside the whole is taken to be the same for each of them.
        """
        exits = self.names[:-1]
        each = max(spent[-1] - 1.0, 0.0) / len(exits)
        base = [value - each * (index + 1) for index, value in enumerate(spent[:-1])]
        for count in range(1, min(len(exits), MOST_USED) + 1):
            for some in combinations(range(len(exits)), count):
                own = [base[place] + each * (nth + 1) for nth, place in enumerate(some)]
                stages = (*(exits[place] for place in some), LAST)
                yield stages, tuple(np.maximum.accumulate([*own, 1.0 + each * count]).tolist())

    def own_entry(self, entry: SubNetwork) -> SubNetwork:
        """Return a sub-network of the bundle with the fields that configurations have now."""
        if entry.is_cascade:
            return entry
        flags = list(entry.configuration.get(EXITS, ()))
        flags += [0] * (len(self.network.heads) - len(flags))
        return replace(entry, configuration={**entry.configuration, EXITS: flags})

    def without_unused(
        self, entries: Sequence[SubNetwork], replaces: bool
    ) -> Sequence[SubNetwork]:
        """Leave out heads that no sub-network uses, but none that is in the bundle replaced."""
        own = self.bundle.manifest.super_network.layout.get(EXITS, ())
        kept = range(len(own)) if replaces else ()
        self.network, found = with_used_heads(self.network, entries, kept)
        return found

    def statistics_of(self, entry: SubNetwork) -> Tensors:
        """Return those of the sub-network that has the exits, or its own."""
        return self._old.get(entry.id, self._old[self.entry.id])
