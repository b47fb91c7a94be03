# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Candidates by accuracy and cost, each measured once."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from typing import Any

import numpy as np
from tqdm import tqdm

from dynamic_dnn_ros.search.accuracy import Pool
from dynamic_dnn_ros.search.cost import CostMeter
from dynamic_dnn_ros.search.errors import SearchError
from dynamic_dnn_ros.search.evolution import Objectives
from dynamic_dnn_ros.search.journal import Journal
from dynamic_dnn_ros.search.pareto import Values
from dynamic_dnn_ros.search.space import Genes, SearchSpace
from dynamic_dnn_ros.training.tasks.contract import TrainingData


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """
    A sub-network, measured.

    :param accuracy: 0..1, by the metric of the task on the held-out pictures, after recalibration.
    :param cost: seconds or joules of one picture; while a search goes on, a share of what the
        control costs.
    """

    configuration: Any
    accuracy: float
    cost: float


class Evaluator:
    """
    Measures generations: accuracies on all cores, then, with the cores idle, costs.

    What the journal has is not measured again. The largest sub-network takes part in every turn
    as a control, and a cost is the median over the turns of its ratio to the control's: so costs
    compare that were measured while the machine was slower, or did other work too.
    """

    def __init__(
        self,
        space: SearchSpace,
        pool: Pool,
        meter: CostMeter,
        journal: Journal,
        calibration: TrainingData,
        held_out: TrainingData,
        turns: int,
        quiet: bool = False,
    ) -> None:
        self._space = space
        self._pool = pool
        self._meter = meter
        self._journal = journal
        self._calibration = calibration
        self._held_out = held_out
        self._turns = turns
        self._quiet = quiet
        self._control = space.simplest(space.network.largest())
        #: All candidates, in the order in which they were asked for.
        self.evaluations: list[Evaluation] = []
        #: What the control's cost is in the unit of the evaluations' costs.
        self._control_cost = 1.0

    def objectives(self, generation: Sequence[Genes]) -> Objectives:
        """Return for each sub-network the share of wrong answers and the logarithm of its cost."""
        configurations = [self._space.decode(genes) for genes in generation]
        # The control comes first, so that a disturbed start does not leave it without statistics.
        self._measure_accuracies(list(dict.fromkeys([self._control, *configurations])))
        self._measure_costs(configurations)
        rows = []
        for configuration in configurations:
            mapping = configuration.to_mapping()
            accuracy = self._journal.accuracy(mapping)
            cost = self._journal.cost(mapping, self._meter.conditions)
            assert accuracy is not None and cost is not None
            self.evaluations.append(Evaluation(configuration, accuracy, cost))
            rows.append((1.0 - accuracy, np.log(cost)))
        return np.array(rows)

    def refine(self, indices: Sequence[int], turns: int) -> None:
        """
        Measure the costs of some evaluations again, all in turns with each other.

        Then costs are seconds or joules, of all evaluations, by what the control costs now.
        """
        chosen = [self.evaluations[index].configuration for index in indices]
        ratios, control = self._costs(chosen, turns)
        known = dict(zip(indices, ratios))
        self.evaluations = [
            dataclasses.replace(
                each, cost=float(known.get(index, each.cost / self._control_cost) * control)
            )
            for index, each in enumerate(self.evaluations)
        ]
        self._control_cost = control

    def _measure_accuracies(self, configurations: Sequence[Any]) -> None:
        measure_accuracies(
            self._pool,
            self._journal,
            configurations,
            self._calibration,
            self._held_out,
            self._quiet,
        )

    def _measure_costs(self, configurations: Sequence[Any]) -> None:
        conditions = self._meter.conditions
        new = [
            configuration
            for configuration in configurations
            if self._journal.cost(configuration.to_mapping(), conditions) is None
        ]
        if new:
            ratios, _ = self._costs(new, self._turns)
            for configuration, ratio in zip(new, ratios):
                self._journal.record_cost(configuration.to_mapping(), float(ratio), conditions)

    def _costs(self, configurations: Sequence[Any], turns: int) -> tuple[Values, float]:
        """
        Return the ratio of each cost to the control's, and what the control costs.

        :raises SearchError: where no turn of one could be measured, as when a power rail fails.
        """
        measured = self._meter.measure(
            [
                (configuration, self._journal.statistics(configuration.to_mapping()))
                for configuration in (self._control, *configurations)
            ],
            turns,
            self._quiet,
        )
        # A turn in which the rail gave nothing has no cost.
        measured = np.where(np.isfinite(measured) & (measured > 0.0), measured, np.nan)
        control = measured[:, :1]
        ratios = measured[:, 1:] / control
        if np.isnan(ratios).all(axis=0).any():
            raise SearchError(
                f'{self._meter.name} could not be measured in any of {turns} turns: '
                f'{self._meter.conditions}. See that it can be read, and run the command again '
                'to continue'
            )
        return np.nanmedian(ratios, axis=0), float(np.nanmedian(control))


def measure_accuracies(
    pool: Pool,
    journal: Journal,
    configurations: Sequence[Any],
    calibration: TrainingData,
    held_out: TrainingData,
    quiet: bool = False,
) -> None:
    """Recalibrate configurations and measure their accuracy, those that the journal lacks."""
    mappings = [
        mapping
        for mapping in (configuration.to_mapping() for configuration in configurations)
        if journal.accuracy(mapping) is None
    ]
    measured = pool.recalibrated(mappings, calibration, held_out)
    for index, accuracy, statistics in tqdm(
        measured,
        desc='  accuracy',
        total=len(mappings),
        disable=quiet or not mappings,
        leave=False,
    ):
        journal.record_accuracy(mappings[index], accuracy, statistics)
