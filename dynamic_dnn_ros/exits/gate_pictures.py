# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the choices of a gate answer to pictures, kept so that a killed command goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from dynamic_dnn_ros.exits.gate_training import Told
from dynamic_dnn_ros.networks.contract import Arrays, DynamicNetwork, statistics_of
from dynamic_dnn_ros.networks.cutting import Part, as_tuple
from dynamic_dnn_ros.networks.gate_stages import squeezed
from dynamic_dnn_ros.storage import write_whole
from dynamic_dnn_ros.training.augmentation import make_augmentation
from dynamic_dnn_ros.training.batches import (
    Normalisation,
    TrainingBatches,
    plain_batches,
    use_channels_last,
)
from dynamic_dnn_ros.training.configuration import TrainingConfiguration
from dynamic_dnn_ros.training.evaluation import recalibrate
from dynamic_dnn_ros.training.pictures import Pictures

_BATCH = 250

#: The sets of pictures: those that gates learn from, those that choose, those that test.
TRAIN, HELD, TEST = 'train', 'held', 'test'

_PREFIX = 'statistics.'


class ChoiceAnswers:
    """Runs each choice over all pictures once."""

    def __init__(
        self,
        network: DynamicNetwork[Any],
        configuration: TrainingConfiguration,
        pictures: tuple[Pictures, Pictures, Pictures],
        count: int,
        work: Path,
        weights: str,
        quiet: bool | None = None,
        views: int = 1,
    ) -> None:
        """
        Take what all choices have in common.

        :param pictures: to train with, held out, and to test on
        :param count: of the pictures to train with, altered as the training alters them
        :param views: ways in which each of these is altered
        :param work: folder for what is done
        :param weights: names the weights, so that those of others are not taken
        """
        self._network = network
        self._configuration = configuration
        training, self._held, self._test = pictures
        self._calibration = training.first(configuration.recalibration_pictures)
        order = np.random.default_rng(configuration.seed).permutation(len(training))
        self._training = training.take(order[:count])
        self._normalisation = Normalisation(configuration.mean, configuration.standard_deviation)
        self._work = work
        self._made_from = [weights, count, views, configuration.seed, list(map(len, pictures))]
        self._quiet = quiet
        self._views = views

    def of(
        self, choice: Any, place: int, trains: bool = True
    ) -> tuple[dict[str, np.ndarray], Arrays]:
        """
        Return what a choice answers, and its recalibrated statistics.

        :param place: after which its features are squeezed
        :param trains: whether it is asked of the pictures to train with, too
        :return: arrays by set and `features`, `logits` or `labels`, as `train.logits`
        """
        sets = (TRAIN, HELD, TEST) if trains else (HELD, TEST)

        def asked() -> dict[str, np.ndarray]:
            found, statistics = self._asked(choice, place, sets)
            return {**found, **{f'{_PREFIX}{name}': each for name, each in statistics.items()}}

        arrays = self._kept([choice.to_mapping(), place, trains], asked)
        statistics = {
            name.removeprefix(_PREFIX): each
            for name, each in arrays.items()
            if name.startswith(_PREFIX)
        }
        return {n: each for n, each in arrays.items() if not n.startswith(_PREFIX)}, statistics

    def right_of(self, configuration: Any, statistics: Arrays) -> dict[str, np.ndarray]:
        """
        Return of which pictures a sub-network as it is in the bundle is right, by set.

        :param statistics: of batch normalisation, its own
        """

        @torch.inference_mode()
        def asked() -> dict[str, np.ndarray]:
            self._network.activate(configuration)
            if statistics:
                self._network.load_batch_norm_statistics(statistics)
            module = self._network.extract(configuration)
            use_channels_last(module)
            found = {}
            for name, batches, count in self._sets(configuration, (HELD, TEST)):
                bar = tqdm(batches, f'  {name}', count, disable=self._quiet, leave=False)
                parts = [(module(images).argmax(1) == truth).numpy() for images, truth in bar]
                found[name] = np.concatenate(parts)
            return found

        return self._kept([configuration.to_mapping(), 'as it is'], asked)

    def _kept(
        self, key: Sequence[Any], make: Callable[[], dict[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """Return what was made before of the same, or is made now."""
        text = json.dumps([*self._made_from, *key])
        path = self._work / f'{hashlib.sha256(text.encode()).hexdigest()[:16]}.npz'
        if not path.exists():
            content = io.BytesIO()
            np.savez(content, **make())  # type: ignore[arg-type]
            write_whole(path, content.getvalue())
        with np.load(path) as stored:
            return {name: stored[name] for name in stored.files}

    @torch.inference_mode()
    def _asked(
        self, choice: Any, place: int, sets: Sequence[str]
    ) -> tuple[dict[str, np.ndarray], Arrays]:
        steps = self._network.extract_steps(choice)
        module = Part(steps).eval()
        use_channels_last(module)
        recalibrate(_FirstOutput(module), self._calibration, choice.size, self._normalisation)
        end = [step.place for step in steps].index(list(self._network.places(choice))[place]) + 1
        first, rest = Part(steps[:end]).eval(), Part(steps[end:]).eval()
        found: dict[str, np.ndarray] = {}
        for name, batches, count in self._sets(choice, sets):
            features, logits, labels = [], [], []
            bar = tqdm(batches, f'  {name}', count, unit='batch', disable=self._quiet, leave=False)
            for images, truth in bar:
                middle = as_tuple(first(images))
                features.append(squeezed(middle[0]).numpy())
                logits.append(rest(*middle)[0].numpy())
                labels.append(truth.numpy())
            for what, parts in (('features', features), ('logits', logits), ('labels', labels)):
                found[f'{name}.{what}'] = np.concatenate(parts)
        return found, statistics_of(module)

    def _sets(self, choice: Any, names: Sequence[str]) -> Iterator[tuple[str, Iterator[Any], int]]:
        augmentation = make_augmentation(self._configuration.augmentation)
        altered = TrainingBatches(self._training, augmentation, _BATCH)
        images = (
            (self._normalisation(images), labels)
            for view in range(self._views)
            for images, labels in altered.batches(self._configuration.seed + view)
        )
        if TRAIN in names:
            yield TRAIN, images, self._views * len(altered)
        for name, pictures in ((HELD, self._held), (TEST, self._test)):
            batches = plain_batches(pictures, choice.size, self._normalisation, _BATCH)
            yield name, batches, -(-len(pictures) // _BATCH)


class _FirstOutput(nn.Module):
    def __init__(self, part: Part) -> None:
        super().__init__()
        self.part = part

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.part(images)[0]


def told_of(found: Sequence[dict[str, np.ndarray]], name: str) -> Told:
    """
    Return what all choices answer to one set of pictures.

    :param found: of each choice, from `ChoiceAnswers.of`; the features are those of the first
    """
    first = found[0]
    return Told(
        torch.from_numpy(first[f'{name}.features']),
        torch.from_numpy(np.stack([each[f'{name}.logits'] for each in found], 1)),
        torch.from_numpy(first[f'{name}.labels']).long(),
    )


def answers_of_all(
    ask: ChoiceAnswers,
    choices: Sequence[Any],
    place: int,
    say: Callable[[str], None],
    last_trains: bool = True,
) -> tuple[list[dict[str, np.ndarray]], list[Arrays]]:
    """
    Return what each choice answers, and its statistics, the first one's features at a place.

    :param last_trains: whether the last one is asked of the pictures to train with, too
    """
    found, statistics = [], []
    for index, choice in enumerate(choices):
        say(f'choice {index + 1} of {len(choices)}')
        # Features of the others are not asked for: theirs are at the first place.
        trains = last_trains or index + 1 < len(choices)
        answers, own = ask.of(choice, place if index == 0 else 0, trains)
        found.append(answers)
        statistics.append(own)
    return found, statistics
