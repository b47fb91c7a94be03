# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a search found, as report, picture, model card and bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np
from safetensors.numpy import load

from dynamic_dnn_ros.bundles.graphs import GRAPH_SUFFIX
from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, Weights
from dynamic_dnn_ros.bundles.writer import MODEL_CARD_NAME, weights_content
from dynamic_dnn_ros.engines.verification import write_recorded_bundle
from dynamic_dnn_ros.networks.contract import Arrays
from dynamic_dnn_ros.search.block_sums import Comparison
from dynamic_dnn_ros.search.card import updated_card
from dynamic_dnn_ros.search.cost import CostMeter
from dynamic_dnn_ros.search.evaluation import Evaluation
from dynamic_dnn_ros.search.pareto import Values
from dynamic_dnn_ros.search.picture import Plot, draw
from dynamic_dnn_ros.search.settings import SearchSettings
from dynamic_dnn_ros.tasks.contract import Metric
from dynamic_dnn_ros.training.configuration import TrainingConfiguration
from dynamic_dnn_ros.training.model_card import model_card
from dynamic_dnn_ros.training.tested import accuracy_data

PICTURE_NAME = 'front.png'


@dataclasses.dataclass(frozen=True)
class Kept:
    """A sub-network of the new bundle, with its test accuracy, and how it was evaluated."""

    entry: SubNetwork
    evaluation: Evaluation
    statistics: Arrays


@dataclasses.dataclass(frozen=True)
class Results:
    """
    What a search found.

    :param evaluations: all candidates.
    :param front: those that no other one dominates, the cheapest first, measured once more.
    :param kept: a part of the front, the cheapest first.
    :param comparison: of block sums with measured latencies, where that was possible.
    :param metric: what accuracies are.
    """

    configuration: TrainingConfiguration
    settings: SearchSettings
    meter: CostMeter
    evaluations: Sequence[Evaluation]
    front: Sequence[Evaluation]
    kept: Sequence[Kept]
    comparison: Comparison | None
    metric: Metric

    def picture(self) -> bytes:
        """Return the front as a PNG picture."""
        accuracies, costs = columns(self.evaluations)
        front_accuracies, front_costs = columns(self.front)
        kept_accuracies, kept_costs = columns([each.evaluation for each in self.kept])
        return draw(
            Plot(
                title=f'{self.configuration.name}: sub-networks found',
                caption=f'Measured: {self.meter.conditions}. '
                f'Accuracy on {self.configuration.data_name}.',
                metric=self.metric.title,
                cost_name=self.meter.name,
                cost_unit=f'm{self.meter.unit}',
                costs=costs,
                accuracies=accuracies,
                front=(front_costs, front_accuracies),
                chosen=(kept_costs, kept_accuracies),
                identifiers=[each.entry.id for each in self.kept],
                test_accuracies=np.array([each.entry.accuracy for each in self.kept]),
            )
        )

    def report(self) -> dict[str, Any]:
        """Return everything as JSON data; costs in seconds or joules."""
        comparison = self.comparison
        return {
            'kind': 'measured',
            'conditions': self.meter.conditions,
            'cost': {'name': self.meter.name, 'unit': self.meter.unit},
            'settings': {**vars(self.settings), 'objective': self.settings.objective.value},
            'kept': [
                {
                    'id': each.entry.id,
                    'test_accuracy': each.entry.accuracy,
                    **_row(each.evaluation),
                }
                for each in self.kept
            ],
            'cost_ratio': self.kept[-1].evaluation.cost / self.kept[0].evaluation.cost,
            'block_sums': None if comparison is None else dataclasses.asdict(comparison),
            'front': [_row(each) for each in self.front],
            'candidates': [_row(each) for each in self.evaluations],
        }

    def card(self, manifest: Manifest, old: str, command: str) -> str:
        """
        Return the model card.

        :param old: the one that the bundle has; empty where it has none.
        :param command: what the user called.
        """
        name, unit = self.meter.name, self.meter.unit
        evaluations = [each.evaluation for each in self.kept]
        card = model_card(
            manifest,
            self.configuration,
            training_report='',
            commands=[f'dynamic-dnn train {command}', f'dynamic-dnn search {command}'],
            figures={
                'held-out accuracy': [f'{each.accuracy * 100:.2f} %' for each in evaluations],
                name: [f'{each.cost * 1e3:.3g} m{unit}' for each in evaluations],
            },
            selection=f'Held-out accuracy: on {self.configuration.held_out} training pictures '
            'that the network was not trained on. By it and by measured cost NSGA-II searched: '
            f'{len(self.evaluations)} sub-networks evaluated, {len(self.front)} on the front, '
            f'{len(self.kept)} kept. Measured: {self.meter.conditions}; median, all in turns.\n\n'
            f'![Candidates, front and sub-networks kept]({PICTURE_NAME})',
        )
        return updated_card(old, card, ('Sub-networks', 'Command')) if old else card

    def write(self, bundle: Bundle, tested: int, command: str) -> Bundle:
        """
        Write the kept sub-networks into a bundle, in place of those that it has.

        Profiles and graphs are of the former ones, so they go.

        :param tested: test pictures.
        :param command: what the user called.
        """
        manifest = dataclasses.replace(
            bundle.manifest,
            sub_networks=tuple(each.entry for each in self.kept),
            accuracy_data=accuracy_data(self.configuration.data_name, tested),
        )
        card = self.card(manifest, bundle.other_files.get(MODEL_CARD_NAME, b'').decode(), command)
        statistics = {each.entry.id: each.statistics for each in self.kept}
        other_files = {
            name: content
            for name, content in bundle.other_files.items()
            if not name.endswith(GRAPH_SUFFIX)
        }
        return write_recorded_bundle(
            bundle.folder,
            manifest,
            weights_content(Weights(bundle.weights().network, statistics), stored_type(bundle)),
            other_files={
                **other_files,
                MODEL_CARD_NAME: card.encode(),
                PICTURE_NAME: self.picture(),
            },
            replaces=bundle,
        )


def columns(evaluations: Sequence[Evaluation]) -> tuple[Values, Values]:
    """Return accuracies and costs."""
    return (
        np.array([each.accuracy for each in evaluations]),
        np.array([each.cost for each in evaluations]),
    )


def _row(evaluation: Evaluation) -> Mapping[str, Any]:
    return {**vars(evaluation), 'configuration': evaluation.configuration.to_mapping()}


def stored_type(bundle: Bundle) -> type[np.floating[Any]]:
    """Return the type in which a bundle's weights are stored."""
    tensors = load(bundle.weights_content).values()
    return np.float16 if all(each.dtype == np.float16 for each in tensors) else np.float32
