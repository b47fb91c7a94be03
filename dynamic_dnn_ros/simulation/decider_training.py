# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Train a decider that learns, by running a scenario again and again in simulation.

Each episode is one run of the scenario with another seed. After each the file is written, with all
that it takes to go on: a training that was stopped gives the same as one that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynamic_dnn_ros.management.baselines import ztt
from dynamic_dnn_ros.management.baselines.q_learning import QLearner
from dynamic_dnn_ros.management.baselines.weights_file import (
    DeciderFileError,
    restore_decider,
    write_decider,
)
from dynamic_dnn_ros.simulation.figures import energy, figures
from dynamic_dnn_ros.simulation.runner import boards_of
from dynamic_dnn_ros.simulation.scenario import Scenario
from dynamic_dnn_ros.simulation.workload import Workload
from dynamic_dnn_ros.simulation.world import World

LEARNERS: Mapping[str, Callable[[int], QLearner]] = {ztt.NAME: ztt.learner}
"""What learns in each decider that is trained, made of a seed."""


@dataclass(frozen=True)
class Training:
    """
    What is trained, and in what.

    :ivar fingerprint: of the scenario, so that a training of another one is not gone on with
    :ivar governors: by domain, in place of the board's own
    """

    decider: str
    scenario: Scenario
    workloads: Mapping[str, Workload]
    fingerprint: str
    seed: int = 0
    governors: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Episode:
    """One run: its number from 1 on, the share of late frames, and mean power, W."""

    number: int
    late: float
    power: float


def train(training: Training, output: Path, episodes: int) -> Iterator[Episode]:
    """
    Run episodes until the file has had so many; yield each that was run, the file written.

    :raises DeciderFileError: for a file that is there and of another training
    :raises OSError: when it cannot be written
    """
    learner = LEARNERS[training.decider](training.seed)
    done = _restore(training, output, learner) if output.exists() else 0
    scenario, boards = training.scenario, boards_of(training.scenario)
    for number in range(done + 1, episodes + 1):
        learner.reseed(training.seed, number)
        run = World(
            scenario,
            boards,
            training.workloads,
            ztt.Ztt('training', trained=learner),
            training.decider,
            training.governors,
            scenario.seed + number,
        ).run()
        about = {**_asked(training), 'episodes': number, 'name': scenario.name}
        write_decider(output, training.decider, about, learner.arrays())
        late = max(each.late for each in figures(run))
        span = scenario.duration - scenario.measured_from
        yield Episode(number, late, energy(run, run.total_rail) / span)


def _asked(training: Training) -> dict[str, Any]:
    return {'scenario': training.fingerprint, 'seed': training.seed}


def _restore(training: Training, output: Path, learner: QLearner) -> int:
    """Go on where a file ends; return how many episodes it had."""
    about = restore_decider(output, training.decider, learner)
    for name, value in _asked(training).items():
        if about.get(name) != value:
            raise DeciderFileError(
                output,
                f'is of a training with another {name}',
                'Give another --output, or remove it to begin anew',
            )
    done = about.get('episodes')
    if not isinstance(done, int) or done < 0:
        raise DeciderFileError(output, f'is of no use (episodes = {done!r})')
    return done
