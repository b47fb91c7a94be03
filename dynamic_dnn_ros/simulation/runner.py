# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Run a scenario under a manager of a name, and many of them side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from dynamic_dnn_ros.management.baselines.static import Static
from dynamic_dnn_ros.management.contract import Decider
from dynamic_dnn_ros.management.manager import ManagerSettings
from dynamic_dnn_ros.management.registry import (
    MANAGER,
    UnknownDeciderError,
    create_decider,
    decider_names,
)
from dynamic_dnn_ros.platforms.board_model import BoardModel, load_board
from dynamic_dnn_ros.simulation.figures import ACCURACY_TOLERANCE, energy, shortfall
from dynamic_dnn_ros.simulation.oracle import Oracle
from dynamic_dnn_ros.simulation.rails import with_power_of
from dynamic_dnn_ros.simulation.runs import Run
from dynamic_dnn_ros.simulation.scenario import Scenario, ScenarioError
from dynamic_dnn_ros.simulation.side_by_side import side_by_side
from dynamic_dnn_ros.simulation.without_profile import without_profile
from dynamic_dnn_ros.simulation.workload import Workload
from dynamic_dnn_ros.simulation.world import World

OURS = MANAGER
BEST_FIXED = 'best_fixed'
ORACLE = 'oracle'

GOVERNORS = {
    'schedutil': ('cpu',),
    'nvhost_podgov': ('gpu',),
    'simple_ondemand': ('gpu',),
    'performance': ('cpu', 'gpu'),
    'powersave': ('cpu', 'gpu'),
    'userspace': ('cpu', 'gpu'),
}
"""The domains that a governor is for where none is named."""


@dataclass(frozen=True, eq=False)
class Job:
    """
    One run to be made; plain data, so that it can be sent to another process.

    `rail` is the one whose power managers keep low, the module's if empty. With `profiled` false
    the manager is told what a node measures at start, in place of the profile. `decider_file` is
    for a decider that was trained.
    """

    scenario: Scenario
    workloads: Mapping[str, Workload]
    manager: str = OURS
    governors: Mapping[str, str] | None = None
    seed: int | None = None
    rail: str = ''
    profiled: bool = True
    decider_file: str = ''


def manager_names() -> tuple[str, ...]:
    """Return the names of all that can manage a run, deciders of other packages too."""
    return (*decider_names(), BEST_FIXED, ORACLE)


@lru_cache(maxsize=64)
def _board(name: str, mode: str, scale: tuple[tuple[str, float], ...]) -> BoardModel:
    return load_board(name, mode, scale=dict(scale))


def boards_of(scenario: Scenario) -> Callable[[str], BoardModel]:
    """Return the board of a scenario by power mode; the same objects for the same call."""
    scale = tuple(sorted(scenario.scale.items()))
    return lambda mode: _board(scenario.board, mode or scenario.power_mode, scale)


def parse_governors(text: str) -> dict[str, str]:
    """
    Return governors by domain of a text such as `schedutil+nvhost_podgov` or `cpu=performance`.

    :raises ScenarioError: for a governor that is not modelled
    """
    found: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.replace(',', '+').split('+'))):
        domain, _, name = part.rpartition('=')
        if name not in GOVERNORS or (domain and domain not in ('cpu', 'gpu', 'memory')):
            raise ScenarioError(
                f'governor {part!r}', 'is not modelled', f'Choose of: {", ".join(GOVERNORS)}'
            )
        found.update(dict.fromkeys([domain] if domain else GOVERNORS[name], name))
    return found


def run(job: Job) -> Run:
    """
    Make one run.

    :raises ScenarioError: for an unknown manager
    :raises PlatformError: for a rail that the board lacks
    """
    scenario = job.scenario
    seed = scenario.seed if job.seed is None else job.seed
    boards = boards_of(scenario)
    board = boards('')
    told = {name: with_power_of(each, board, job.rail) for name, each in job.workloads.items()}
    if not job.profiled:
        told = {n: without_profile(each, board, n, seed) for n, each in told.items()}
    if job.manager == BEST_FIXED:
        return best_fixed(job)
    if job.manager == ORACLE:
        manager: Decider = Oracle(scenario, boards, job.workloads, seed, job.rail)
    else:
        try:
            settings = ManagerSettings(decider_file=job.decider_file)
            manager = create_decider(job.manager, 'simulated', settings)
        except UnknownDeciderError as error:
            raise ScenarioError(
                f'manager {job.manager!r}', f'cannot be run ({error})', 'Choose another one'
            ) from error
    return World(scenario, boards, told, manager, job.manager, job.governors, seed).run()


def best_fixed(job: Job) -> Run:
    """
    Return the run of the sub-network that meets the targets for the least energy, never changed.

    The energy is that of the job's rail.

    Each one is tried under the governors on this very run, so no rule that chooses one beforehand
    does better. With several applications all take the one of the same place by accuracy, or the
    last one that they have. Where none meets all targets it is the one that misses them by least.
    """
    boards = boards_of(job.scenario)
    counts = {name: len(w.points.sub_networks) for name, w in job.workloads.items()}
    sizes = [
        {name: min(size, count - 1) for name, count in counts.items()}
        for size in range(max(counts.values()))
    ]
    # One that is not accurate enough is needed only if no other one meets the targets.
    sizes.sort(key=lambda each: not _accurate(job, each))
    best, worth = None, (float('inf'), float('inf'))
    for each in sizes:
        if worth[0] == 0.0 and not _accurate(job, each):
            break
        found = World(
            job.scenario,
            boards,
            job.workloads,
            Static(each),
            BEST_FIXED,
            job.governors,
            job.seed,
        ).run()
        value = (round(shortfall(found), 4), energy(found, job.rail or found.total_rail))
        if value < worth:
            best, worth = found, value
    assert best is not None
    return best


def _accurate(job: Job, sizes: Mapping[str, int]) -> bool:
    """Tell whether sub-networks have all accuracies that are asked for in the time measured."""
    start = job.scenario.measured_from
    for script in job.scenario.applications:
        workload = job.workloads[script.id]
        asked = [script.target_at(start)]
        asked += [change.target for change in script.targets if change.at > start]
        least = max((target.accuracy for target in asked if target is not None), default=0.0)
        accuracy = workload.accuracies[workload.by_size()[sizes[script.id]]]
        if accuracy < least * (1 - ACCURACY_TOLERANCE):
            return False
    return True


def sweep(jobs: Sequence[Job], processes: int = 1, backend: str = 'loky') -> list[Run]:
    """
    Make runs side by side, in the order given.

    :param processes: at once; 1: in this process
    :param backend: of joblib, e.g. `ray` for a cluster, once it is registered
    """
    return side_by_side(run, jobs, processes, backend)
