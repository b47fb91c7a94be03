# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Exits that are the answers of smaller sub-networks, which were trained together with the whole.

The smallest runs to its end. Where its answer is not sure enough, the next one goes on from the
features up to which both begin alike, and so on. All are sub-networks of one super-network, so
there is nothing to train; what begins otherwise than before has its statistics measured anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, Tensors
from dynamic_dnn_ros.exits.errors import ExitError
from dynamic_dnn_ros.exits.exit_settings import ExitSettings
from dynamic_dnn_ros.exits.heads import LAST, collected, network_with_weights
from dynamic_dnn_ros.exits.making import ExitMaker, ExitPictures
from dynamic_dnn_ros.exits.mixtures import Answers
from dynamic_dnn_ros.networks.contract import ConfigurationError, DynamicNetwork, statistics_of
from dynamic_dnn_ros.networks.gate_layouts import GateConfiguration, GateLayout
from dynamic_dnn_ros.networks.gates import GateNetwork, with_gates
from dynamic_dnn_ros.networks.wrapped import WrappedNetwork
from dynamic_dnn_ros.training.batches import Normalisation
from dynamic_dnn_ros.training.configuration import TrainingConfiguration
from dynamic_dnn_ros.training.evaluation import recalibrate
from dynamic_dnn_ros.training.pictures import Pictures

#: Among the answers: those of the whole as it is in the bundle. No name of a stage has a space.
_WHOLE = 'the whole'


class AnswerMaker(ExitMaker):
    """Makes sub-networks that leave after the answers of smaller ones."""

    network: GateNetwork

    def __init__(
        self,
        bundle: Bundle,
        entry: SubNetwork,
        settings: ExitSettings,
        training: TrainingConfiguration,
        pictures: ExitPictures,
        say: Callable[[str], None],
        quiet: bool,
    ) -> None:
        """
        Put the sub-networks together; statistics are measured on some of the training pictures.

        :param training: how many pictures statistics are averaged over
        :raises BundleError: for an unknown id
        :raises ExitError: where the sub-networks cannot be put together
        """
        plain = network_with_weights(bundle)
        if isinstance(plain, WrappedNetwork):
            raise ExitError(
                f'bundle {bundle.manifest.name!r} has exits or gates inside of its network: give '
                'the bundle that it was made from'
            )
        entries = [bundle.manifest.sub_network(name) for name in settings.answers_of]
        choices = _choices(plain, [*entries, entry], settings.shared)
        layout = GateLayout(settings.shared - 1, 0, tuple(each.to_mapping() for each in choices))
        self._statistics = bundle.weights().batch_norm_statistics
        whole = plain.configuration(entry.configuration)
        plain.activate(whole)
        plain.load_batch_norm_statistics(self._statistics[entry.id])
        self._whole = plain.extract(whole)
        way = bundle.manifest.preprocessing
        normalisation = Normalisation(way.mean, way.standard_deviation)
        some = pictures.training.first(training.recalibration_pictures)
        found = [self._statistics[entries[0].id]]
        for choice in choices[1:]:
            module = plain.extract(choice)
            recalibrate(module, some, choice.size, normalisation)
            found.append(statistics_of(module))
        try:
            network = with_gates(type(plain))(plain, [layout])
        except ConfigurationError as error:
            raise ExitError(f'{", ".join(settings.answers_of)}, {entry.id}: {error}') from error
        names = [*settings.answers_of, LAST]
        super().__init__(bundle, entry, network, names, settings, say, quiet)
        self._together = network.together(network.gated(0), found)
        network.activate(network.gated(0))
        network.load_batch_norm_statistics(self._together)
        self.report = (
            f'The exits are the answers of {", ".join(settings.answers_of)}; what follows begins '
            f'as {entries[0].id} does, up to place {settings.shared} of these networks, and its '
            f'batch-norm statistics are of {len(some)} training pictures.'
        )

    @property
    def against(self) -> str:
        """Return the name of the whole, which does not begin as the smallest one does."""
        return _WHOLE

    @torch.no_grad()
    def answers(self, pictures: Pictures) -> Answers:
        """Return the answers of all, and of the whole as it is in the bundle."""
        parts = self.network.extract_stages(self.network.gated(0))

        def asked(images: torch.Tensor) -> list[torch.Tensor]:
            found, values = [], [images]
            for part in parts:
                answer, *values = part(*values)
                found.append(answer)
            return [*found, self._whole(images)]

        names = [*self.names, _WHOLE]
        size = self.entry.size
        return collected(names, asked, size, self.bundle.manifest, pictures, self.quiet or None)

    def configuration_of(self, stages: Sequence[str]) -> GateConfiguration:
        """Return the one that there is: all stages follow each other."""
        return self.network.gated(0)

    def options(
        self, spent: Sequence[float]
    ) -> Iterator[tuple[tuple[str, ...], tuple[float, ...]]]:
        """Yield the one choice: each goes on from what the first one ran."""
        yield self.names, tuple(spent)

    def statistics_of(self, entry: SubNetwork) -> Tensors:
        """Return those of a sub-network of the bundle, or of all together."""
        return self._statistics.get(entry.id, self._together)


def _choices(
    network: DynamicNetwork[Any], entries: Sequence[SubNetwork], shared: int
) -> list[Any]:
    """Return configurations that all begin as the first one."""
    for entry in entries:
        if entry.stages or entry.size != entries[-1].size:
            raise ExitError(
                f'sub-network {entry.id!r} has stages, or takes pictures of another size than '
                f'{entries[-1].id!r}: name others'
            )
    if len({entry.id for entry in entries}) < len(entries):
        raise ExitError(
            f'{", ".join(entry.id for entry in entries)}: name each once, and smaller ones than '
            f'{entries[-1].id!r}'
        )
    first, *others = (network.configuration(entry.configuration) for entry in entries)
    try:
        return [first, *(network.with_beginning(each, first, shared - 1) for each in others)]
    except ConfigurationError as error:
        raise ExitError(f'no sub-network can begin as {entries[0].id!r} does: {error}') from error
