# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Give a backbone a head at every place: trained, measured, and kept for a search that goes on."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any
import zipfile

import numpy as np
import torch

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.networks.contract import Arrays, DynamicNetwork
from dynamic_dnn_ros.networks.exit_heads import HeadLayout
from dynamic_dnn_ros.networks.exits import EXITS, ExitConfiguration, ExitNetwork
from dynamic_dnn_ros.networks.registry import create
from dynamic_dnn_ros.platforms.board_model import NetworkCost
from dynamic_dnn_ros.search.errors import SearchError
from dynamic_dnn_ros.search.joint.counting import trunk_costs
from dynamic_dnn_ros.search.joint.designs import Backbone
from dynamic_dnn_ros.search.joint.exit_answers import ExitAnswers
from dynamic_dnn_ros.search.joint.settings import JointSettings
from dynamic_dnn_ros.search.joint.stage_meter import StageMeter
from dynamic_dnn_ros.search.results import stored_type
from dynamic_dnn_ros.search.space import key_of
from dynamic_dnn_ros.storage import write_whole
from dynamic_dnn_ros.training.batches import Normalisation
from dynamic_dnn_ros.training.configuration import TrainingConfiguration
from dynamic_dnn_ros.training.heads import HeadsAlone, heads_phase, train_heads
from dynamic_dnn_ros.training.tasks.contract import TrainingData

#: Share of the trunk before which, and after which, an exit saves or decides too little.
_FIRST, _LAST = 0.1, 0.9
#: Of the convolutions of a head.
_WIDTHS = (128,)
_LEARNING_RATE = 0.02
_HEADS = f'{EXITS}.'


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedHeads:
    """
    A network with heads at all places of one backbone.

    :param configuration: with all of them
    """

    network: ExitNetwork
    configuration: ExitConfiguration

    @property
    def tensors(self) -> Arrays:
        """Return the weights of the heads, by their names in the network."""
        state = self.network.state()
        return {name: array for name, array in state.items() if name.startswith(_HEADS)}


class BackboneMaker:
    """
    Trains heads of backbones and measures what they come to.

    What has been done is read from its folder, so that a search that was killed goes on.
    """

    def __init__(
        self,
        bundle: Bundle,
        network: DynamicNetwork[Any],
        configuration: TrainingConfiguration,
        settings: JointSettings,
        meter: StageMeter | None,
        training: TrainingData,
        held_out: TrainingData,
        folder: Path,
    ) -> None:
        """
        Take what all backbones have in common.

        :param meter: of latencies; None: none are measured
        :param training: pictures for heads
        :param held_out: others, that thresholds are chosen by
        :param folder: for what has been done
        """
        self._bundle = bundle
        self._network = network
        self._configuration = configuration
        self._settings = settings
        self._meter = meter
        drawn = np.random.default_rng(configuration.seed).permutation(len(training))
        self._training = training.take(drawn[: settings.head_pictures or len(training)])
        self._held_out = held_out
        self._folder = folder
        self._stored = stored_type(bundle)
        #: By the configuration of the backbone.
        self.heads: dict[Any, TrainedHeads] = {}

    def make(self, configuration: Any, statistics: Arrays) -> Backbone:
        """
        Return a backbone with a head at every place.

        :param statistics: of its batch-norm layers
        :raises SearchError: where it has no place, or what was kept of it is damaged
        """
        heads = self._with_heads(configuration, statistics)
        places = tuple(heads.network.exits_of(heads.configuration))
        folder = self._folder / self._key(configuration)
        self._train(heads, folder)
        answers = self._answers(heads, self._held_out, folder / 'answers.npz')
        seconds = self._seconds(heads, statistics, folder / 'seconds.json')
        network = self._network
        steps = network.extract_steps(configuration)
        trunk = trunk_costs(steps, places, configuration.size)
        shapes = network.places(configuration)
        classes = len(self._bundle.manifest.labels)
        costs = []
        for number in heads.network.exits_of(heads.configuration).values():
            layout = heads.network.heads[number]
            rows = list(layout.costs(shapes[layout.after], classes))
            costs.append(NetworkCost(sum(r[0] for r in rows), len(rows), sum(r[1] for r in rows)))
        return Backbone(configuration, places, trunk, tuple(costs), seconds, answers)

    def test(self, configuration: Any, pictures: TrainingData) -> ExitAnswers:
        """Return what a backbone that was made answers to the test pictures."""
        path = self._folder / self._key(configuration) / 'tested.npz'
        return self._answers(self.heads[configuration], pictures, path)

    def _key(self, configuration: Any) -> str:
        """Return a name for a backbone and all that its heads depend on."""
        settings = self._settings
        depends = [settings.head_epochs, settings.head_pictures, list(_WIDTHS), settings.places]
        digest = hashlib.sha256(json.dumps(depends).encode()).hexdigest()[:8]
        return f'{key_of(configuration.to_mapping())}-{digest}'

    def _with_heads(self, configuration: Any, statistics: Arrays) -> TrainedHeads:
        network = self._network
        shapes = network.places(configuration)
        chosen = spread_places(
            list(shapes),
            trunk_costs(network.extract_steps(configuration), list(shapes), configuration.size),
            self._settings.places,
        )
        if not chosen:
            raise SearchError(
                f'{configuration.to_mapping()} of family {network.family!r} has no place for an '
                'exit: search without --joint, or make cascades with dynamic-dnn cascade'
            )
        layouts = [HeadLayout.at(each, shapes[each], _WIDTHS).to_mapping() for each in chosen]
        torch.manual_seed(self._configuration.seed)
        made = create(network.family, {**network.layout_mapping(), EXITS: layouts})
        assert isinstance(made, ExitNetwork)
        made.load_state({**made.state(), **network.state()})
        with_all = ExitConfiguration(configuration, (1,) * len(chosen))
        made.activate(with_all)
        made.load_batch_norm_statistics(statistics)
        heads = TrainedHeads(made, with_all)
        self.heads[configuration] = heads
        return heads

    def _train(self, heads: TrainedHeads, folder: Path) -> None:
        settings = self._settings
        phase = heads_phase(settings.head_epochs, _LEARNING_RATE)
        train_heads(
            heads.network,
            heads.configuration,
            self._configuration,
            phase,
            self._training,
            folder,
            quiet=True,
        )
        if self._stored == np.float16:
            # So what is measured is what a bundle stores.
            with torch.no_grad():
                for parameter in heads.network.exits.parameters():
                    parameter.copy_(parameter.half())

    def _answers(self, heads: TrainedHeads, pictures: TrainingData, path: Path) -> ExitAnswers:
        if path.exists():
            try:
                with np.load(path) as kept:
                    return ExitAnswers(kept['confidences'], kept['right'])
            except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
                raise SearchError(
                    f'{path} is damaged ({error}): remove it, and run the command again'
                ) from error
        answers = answers_of(heads, pictures, self._normalisation)
        np.savez(path, confidences=answers.confidences, right=answers.right)
        return answers

    @property
    def _normalisation(self) -> Normalisation:
        preprocessing = self._bundle.manifest.preprocessing
        return Normalisation(preprocessing.mean, preprocessing.standard_deviation)

    def _seconds(self, heads: TrainedHeads, statistics: Arrays, path: Path) -> tuple[float, ...]:
        if self._meter is None:
            return ()
        if path.exists():
            return tuple(json.loads(path.read_text()))
        seconds = self._meter.seconds(heads.network, heads.configuration, statistics)
        write_whole(path, json.dumps(seconds).encode())
        return seconds


def spread_places(places: Sequence[str], costs: Sequence[NetworkCost], most: int) -> list[str]:
    """
    Return so many of a backbone's places, evenly spread over its multiply-adds.

    :param costs: up to each place, then of the whole
    """
    whole = costs[-1].multiply_adds
    shares = {name: each.multiply_adds / whole for name, each in zip(places, costs)}
    usable = [name for name in places if _FIRST <= shares[name] <= _LAST]
    chosen: list[str] = []
    for goal in np.linspace(_FIRST, _LAST, most + 2)[1:-1].tolist():
        distances = {name: abs(shares[name] - goal) for name in usable if name not in chosen}
        if distances:
            chosen.append(min(distances, key=distances.__getitem__))
    return [name for name in places if name in chosen]


@torch.inference_mode()
def answers_of(
    heads: TrainedHeads, pictures: TrainingData, normalisation: Normalisation
) -> ExitAnswers:
    """Return what each exit and the whole network answer; the confidence is that of the best."""
    module = HeadsAlone(heads.network, heads.configuration).eval()
    labels = np.asarray(pictures.labels)  # type: ignore[attr-defined]
    confidences: list[list[np.ndarray[Any, Any]]] = []
    chosen: list[list[np.ndarray[Any, Any]]] = []
    size = heads.configuration.size
    for images in pictures.inputs(size, normalisation, torch.device('cpu')):
        scores = [answer.float().softmax(1) for answer in module.answers(images)]
        best = [each.max(1) for each in scores]
        confidences.append([each.values.numpy() for each in best[:-1]])
        chosen.append([each.indices.numpy() for each in best])
    sure = np.concatenate([np.stack(rows) for rows in confidences], axis=1)
    found = np.concatenate([np.stack(rows) for rows in chosen], axis=1)
    return ExitAnswers(sure.astype(np.float64), found == labels[None])
