# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What a decision of the manager takes, on the operating points of a simulated Xavier NX.

All frequencies of CPU, GPU and memory, twelve sub-networks an application, in processor time of
one thread. Each decision is another random problem: targets, rates, slow-downs and foreign load.
`choice` is the search among all settings and sub-networks, with what is in force weighed against
it, each for another problem. `decision` is what passes before switches and settings are sent
(`Manager.choose`): with a new target and other foreign load before each, and in steady operation,
where frames jitter by a tenth and nothing else changes. `reports` come after what is sent.

*With placement*, each sub-network may run on the GPU or either DLA of a simulated Orin NX. Four
networks were measured there. Each application has one of them and eleven smaller ones, which are
taken to need an equal share less of time and energy on each processor.

The resident memory is that of a `manager_node` that has such applications and decides for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
import gc
import itertools
import time
from typing import Any

import numpy as np
from report import Figure, Report, figure
import yaml

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.profile import OperatingPoints
from dynamic_dnn_ros.management.assessment import Demand, Problem, ResourceSettings
from dynamic_dnn_ros.management.decisions import Decision
from dynamic_dnn_ros.management.estimator import SlowDownFilter
from dynamic_dnn_ros.management.manager import Manager
from dynamic_dnn_ros.management.observations import (
    SWITCH_APPLIED,
    Application,
    ApplicationState,
    DomainLoad,
    Load,
    Status,
    StatusEvent,
)
from dynamic_dnn_ros.management.resource_level import ResourceLevel
from dynamic_dnn_ros.management.tables import JointTable, application_table, join
from dynamic_dnn_ros.management.targets import Objective, Target
from dynamic_dnn_ros.msg import Application as ApplicationMessage
from dynamic_dnn_ros.msg import ManagerStatus, PerformanceTarget, TargetStatus
from dynamic_dnn_ros.msg import SubNetwork as SubNetworkMessage
from dynamic_dnn_ros.networks.published_levels import published_levels
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.platforms.board_model import BoardModel, load_board
from dynamic_dnn_ros.profiling.simulated import simulated_profile
from dynamic_dnn_ros.simulation.workloads import workload
from support.deployment import deployment
from support.scripted_application import ScriptedApplication
from support.shared_data import REPOSITORY

RUNS = 3
SUB_NETWORKS = 12
COUNTS = (1, 2, 3, 4, 8)
"""Numbers of applications."""

DECISIONS = {1: 900, 2: 2100, 3: 900, 4: 900, 8: 600}
"""In each run, a third of them of each kind; by the number of applications."""

MANAGED = 120
"""Whole decisions in each run, of each kind."""

FRAMES = 15
"""Frames that each application serves between two decisions in steady operation."""

JITTER = 0.1
"""Standard deviation of a frame's latency, as a share of it."""

KINDS = ('feasible', 'tight', 'infeasible')
WITH_PLACEMENT = 'decision, each with a new target, with placement'
BARS = {2: '<= 0.001', 8: '<= 0.01'}
PLACED_BARS = {2: '<= 0.005', 8: '<= 0.02'}
"""Of a decision with a new target, where processors are chosen too."""

PLACES = ['gpu', 'dla0', 'dla1']
SMALLEST = 0.4
"""Latency of the smallest sub-network that is placed, as a share of the measured one's."""

SEED = 20


def run(runs: int) -> Report:
    """Decide the same problems in every run, each run other ones."""
    applications = make_applications(max(COUNTS))
    times: dict[tuple[int, str], list[list[float]]] = {}
    managed: dict[tuple[int, str], list[list[float]]] = {}
    preparation: dict[int, list[float]] = {count: [] for count in COUNTS}
    for seed in range(SEED, SEED + runs):
        for count in COUNTS:
            begun = time.process_time()
            joint = join([application_table(one) for one in applications[:count]])
            preparation[count].append(time.process_time() - begun)
            for kind in KINDS:
                taken = choices(joint, kind, DECISIONS[count] // len(KINDS), seed)
                times.setdefault((count, kind), []).append(taken)
            for name, steady in (('each with a new target', False), ('steady', True)):
                chosen, reported = decisions(applications[:count], MANAGED, seed, steady)
                managed.setdefault((count, f'decision, {name}'), []).append(chosen)
                managed.setdefault((count, f'reports, {name}'), []).append(reported)
    placed = placed_applications(max(COUNTS))
    for seed in range(SEED, SEED + runs):
        for count in COUNTS:
            chosen, _ = decisions(placed[:count], MANAGED, seed, steady=False)
            managed.setdefault((count, WITH_PLACEMENT), []).append(chosen)
    figures: list[Figure] = []
    medians = {}
    for count in COUNTS:
        mixed = [
            list(itertools.chain(*parts)) for parts in zip(*(times[count, kind] for kind in KINDS))
        ]
        named = {f'choice, {count} applications, all problems': mixed} | {
            f'choice, {count} applications, {kind}': times[count, kind] for kind in KINDS
        }
        named |= {
            f'{name}, {count} applications': found
            for (managing, name), found in managed.items()
            if managing == count
        }
        medians[count] = [_quantile(one, 0.5) for one in mixed]
        for name, found in named.items():
            bars = PLACED_BARS if name.startswith(WITH_PLACEMENT) else BARS
            bar = None if name.startswith('reports') else bars.get(count)
            figures.append(figure(f'{name}, p50', [_quantile(t, 0.5) for t in found], 's'))
            figures.append(figure(f'{name}, p99', [_quantile(t, 0.99) for t in found], 's', bar))
    for fewer, more in itertools.pairwise(COUNTS):
        ratios = [(b / a) ** (1 / (more - fewer)) for a, b in zip(medians[fewer], medians[more])]
        name = f'choice, p50, per application more, from {fewer} to {more}'
        figures.append(figure(name, ratios, 'ratio', '<= 1.5'))
    for count in COUNTS:
        name = f'preparation of tables, {count} applications'
        figures.append(figure(name, preparation[count], 's', '<= 0.2'))
    for count, bar in ((2, '<= 100'), (8, None)):
        name = f'manager_node with {count} applications: resident memory'
        memory = [resident_memory(applications[:count]) for _ in range(runs)]
        figures.append(figure(name, [each / 1e6 for each in memory], 'MB', bar))
    configuration = {
        'settings': len(joint.settings),
        'sub_networks': SUB_NETWORKS,
        'decisions': DECISIONS,
        'whole_decisions': MANAGED,
        'seed': SEED,
        'clock': 'processor time of one thread',
    }
    return Report('decision', 'measured', configuration, figures)


def make_applications(count: int) -> list[Application]:
    """Return applications with twelve sub-networks each, profiled at all frequencies."""
    generator = np.random.default_rng(SEED)
    mapping = yaml.safe_load((REPOSITORY / 'config' / 'platforms' / 'xavier_nx.yaml').read_text())
    # A mode that forbids nothing: what the board can do in all of its modes together.
    everything = {
        name: [min(entry['frequencies']['value']), max(entry['frequencies']['value'])]
        for name, entry in mapping['domains'].items()
    }
    mapping['power_modes']['modes']['everything'] = {'cores': 6, **everything}
    board = BoardModel(mapping, 'xavier_nx.yaml', 'everything')
    applications = []
    for index in range(count):
        size = np.sort(generator.uniform(0.0, 1.0, SUB_NETWORKS))
        networks = [
            SubNetwork(
                f's{i:02d}',
                {},
                Size(224, 224),
                float(0.66 + 0.11 * share**0.6),
                int(2.4e8 + 4.9e8 * share),
                int(5.3e6 + 4.4e6 * share),
                int(54 + 36 * share),
            )
            for i, share in enumerate(size)
        ]
        points = _noisy(simulated_profile(board, 'xavier_nx_simulated', networks), generator)
        accuracies = {network.id: network.accuracy for network in networks}
        applications.append(_serving(index, points, accuracies))
    return applications


def placed_applications(count: int) -> list[Application]:
    """Return applications whose twelve sub-networks may run on a GPU and two DLAs."""
    generator = np.random.default_rng(SEED)
    board = load_board('orin_nx_simulated')
    shares = np.linspace(SMALLEST, 1.0, SUB_NETWORKS)
    names = [f's{index:02d}' for index in range(SUB_NETWORKS)]
    applications = []
    for index, network in zip(range(count), itertools.cycle(board.networks)):
        entry = {'measured': network, 'processors': PLACES}
        measured = workload(entry, board, REPOSITORY, network, published_levels).points
        rows = len(measured.latency_mean)
        spread = np.repeat(shares, rows)
        scaled = {
            name: np.tile(getattr(measured, name), SUB_NETWORKS) * spread
            for name in ('latency_mean', 'latency_p50', 'latency_p95', 'latency_p99', 'energy')
        }
        repeated = {
            name: np.tile(getattr(measured, name), SUB_NETWORKS)
            for name in ('processor', 'power', 'idle_power', 'interpolated')
        }
        points = replace(
            measured,
            sub_networks=tuple(names),
            sub_network=np.repeat(np.arange(SUB_NETWORKS), rows),
            frequencies=np.tile(measured.frequencies, (SUB_NETWORKS, 1)),
            **scaled,
            **repeated,
        )
        accuracies = dict(zip(names, (0.66 + 0.11 * shares**0.6).tolist()))
        applications.append(_serving(index, _noisy(points, generator), accuracies))
    return applications


def _serving(index: int, points: OperatingPoints, accuracies: Mapping[str, float]) -> Application:
    """Return an application that serves the last of its sub-networks on the GPU."""
    return Application(
        f'/camera_{index}/inference_node',
        f'instance {index}',
        index + 1,
        ApplicationState.ACTIVE,
        points,
        accuracies,
        points.sub_networks[-1],
        'gpu',
    )


class Presented(ScriptedApplication):
    """One of the applications, as a node of its own that serves frames."""

    def __init__(self, graph: Any, one: Application) -> None:
        self._one = one
        super().__init__(graph, one.id, one.operating_points)

    def _presentation(self) -> ApplicationMessage:
        message = super()._presentation()
        message.sub_networks = [
            SubNetworkMessage(id=name, accuracy=accuracy)
            for name, accuracy in self._one.accuracies.items()
        ]
        message.sub_network, message.processor = self._one.sub_network, self._one.processor
        return message

    def _latency(self) -> float:
        return 0.02


def resident_memory(applications: list[Application]) -> float:
    """Return what a manager node takes once it has decided for some applications, bytes."""
    with deployment() as (graph, start):
        platform = start('platform_node', parameters={'platform': 'xavier_nx_simulated'})
        manager = start('manager_node')
        for node in (platform, manager):
            graph.wait_for_state(node.full_name, 'active')
        statuses = graph.collect(ManagerStatus, '/dynamic_dnn/manager_status')
        targets = graph.publisher(PerformanceTarget, '/dynamic_dnn/performance_target')
        graph.wait_for_subscriptions(targets)
        for one in applications:
            Presented(graph, one)
            targets.publish(PerformanceTarget(application=one.id, latency=0.5))
        answered = (TargetStatus.STATE_MET, TargetStatus.STATE_MISSED)
        statuses.wait_for(
            lambda status: sum(t.state in answered for t in status.targets) == len(applications),
            60.0,
        )
        return float(manager.resident_memory())


def _noisy(points: OperatingPoints, generator: np.random.Generator) -> OperatingPoints:
    """Return a profile as measuring leaves it: every figure is a little off by itself."""

    def off(figure: np.ndarray, share: float) -> np.ndarray:
        return figure * (1 + share * generator.standard_normal(len(figure)))

    mean = off(points.latency_mean, 0.01)
    spread = off(points.latency_p95 - points.latency_p50, 0.1)
    power = off(points.power, 0.005)
    return replace(
        points,
        latency_mean=mean,
        latency_p50=mean,
        latency_p95=mean + spread,
        latency_p99=mean + 1.5 * spread,
        power=power,
        energy=power * mean,
    )


def random_problem(joint: JointTable, kind: str, generator: np.random.Generator) -> Problem:
    """Return a problem of one kind: targets that are loose, tight, or partly beyond reach."""
    count = len(joint.tables)
    fastest = np.array([np.nanmin(table.mean) for table in joint.tables])
    low, high = {'feasible': (0.1, 0.45), 'tight': (0.4, 0.8), 'infeasible': (0.4, 1.2)}[kind]
    loads = generator.dirichlet(np.full(count, 5.0)) * generator.uniform(low, high)
    beyond = generator.random(count) < 0.4
    beyond[generator.integers(count)] = True
    demands = []
    for a, table in enumerate(joint.tables):
        slow_down = SlowDownFilter()
        slow_down.mean = float(generator.uniform(0.8, 1.4))
        slow_down.variance = float(generator.uniform(1e-5, 2e-3))
        service = fastest[a] * slow_down.mean
        rate = float(loads[a] / service)
        shared = service * (1 + loads.sum() - loads[a])
        loose, tight = {'feasible': (2.5, 6.0), 'tight': (1.15, 2.5)}.get(kind, (1.2, 4.0))
        factor = generator.uniform(loose, tight)
        least = float(np.quantile(table.accuracy, generator.uniform(0.0, 0.6)))
        if kind == 'infeasible' and beyond[a]:
            factor = generator.uniform(0.3, 0.95)
        target = Target(
            table.application,
            latency=float(shared * factor),
            latency_quantile=float(generator.choice([0.9, 0.95, 0.99])),
            accuracy=least if generator.random() < 0.6 else 0.0,
            rate=rate if generator.random() < 0.3 else 0.0,
            priority=int(generator.integers(4)),
            objective=Objective(int(generator.choice(3, p=[0.6, 0.25, 0.15]))),
        )
        shares = np.tile(
            [0.3 if name != 'gpu' else 0.8 for name in joint.domains], (len(table.options), 1)
        )
        demands.append(
            Demand(
                target,
                target.priority,
                slow_down,
                rate,
                float(generator.uniform(0.0, 0.002)),
                float(generator.uniform(0.0, 0.0005)),
                np.ones(len(table.options), dtype=bool),
                shares,
            )
        )
    foreign = {}
    if generator.random() < 0.5:
        foreign = {'cpu': generator.uniform(0.05, 0.6) * 1.9e9}
        if generator.random() < 0.3:
            foreign['gpu'] = generator.uniform(0.05, 0.3) * 1.1e9
    settings = np.arange(len(joint.settings), dtype=np.int64)
    return Problem(joint, settings, tuple(demands), foreign)


def choices(joint: JointTable, kind: str, count: int, seed: int) -> list[float]:
    """Return how long each of some choices takes, s."""
    generator = np.random.default_rng([seed, len(joint.tables), KINDS.index(kind)])
    level = ResourceLevel(ResourceSettings())
    incumbent = None
    taken = []
    gc.collect()
    for number in range(count + 3):
        problem = random_problem(joint, kind, generator)
        begun = time.process_time()
        plan = level.decide(problem, incumbent, float(number), number % 2 == 0)
        taken.append(time.process_time() - begun)
        incumbent = (plan.setting, [plan.option(a) for a in range(len(joint.tables))])
    # The first ones pay for what is prepared on first use.
    return taken[3:]


def decisions(
    applications: list[Application], count: int, seed: int, steady: bool
) -> tuple[list[float], list[float]]:
    """
    Return how long each of some whole decisions takes, and its reports, s.

    :param steady: nothing but frames between two of them, else a target and load that change
    """
    generator = np.random.default_rng([seed, len(applications)])
    joint = join([application_table(one) for one in applications])
    columns = (joint.settings.T * 1e3).tolist()
    domains = [(name, sorted(set(values))) for name, values in zip(joint.domains, columns)]
    manager = Manager('benchmark')
    for one in applications:
        manager.add_application(one, 0.0)
    now, chosen, reported = 0.0, [], []
    problem = random_problem(joint, KINDS[0], generator)
    decision = None
    settling = 6 if steady else 3
    for number in range(count + settling):
        now += 0.5
        if not steady:
            problem = random_problem(joint, KINDS[number % len(KINDS)], generator)
        rows = tuple(
            DomainLoad(
                name,
                tuple(available),
                available[0],
                available[-1],
                available[-1],
                utilisation_foreign=problem.foreign.get(name, 0.0) / available[-1],
            )
            for name, available in domains
        )
        manager.observe_load(Load('board', 'boot', 0.5, rows, monotonic_time=now), now)
        for one in applications:
            manager.observe(
                Status(one.id, one.instance, StatusEvent.HEARTBEAT, one.sub_network, 'gpu'), now
            )
        if steady and decision is not None:
            serve(manager, joint, decision, number, now, generator)
        changed = [int(generator.integers(len(applications)))]
        if steady:
            changed = list(range(len(applications))) if number == 0 else []
        for index in changed:
            manager.set_target(problem.demands[index].target, round(now * 1e9))
        begun = time.process_time()
        decision = manager.choose(now)
        between = time.process_time()
        decision = manager.reported(decision)
        reported.append(time.process_time() - between)
        chosen.append(between - begun)
        for switch in decision.switches:
            one = next(one for one in applications if one.id == switch.application)
            answer = Status(
                one.id,
                one.instance,
                StatusEvent.SWITCH,
                switch.sub_network,
                switch.processor,
                switch_manager=manager.instance,
                switch_sequence=switch.sequence,
                switch_result=SWITCH_APPLIED,
            )
            manager.observe(answer, now)
    return chosen[settling:], reported[settling:]


def serve(
    manager: Manager,
    joint: JointTable,
    decision: Decision,
    number: int,
    now: float,
    generator: np.random.Generator,
) -> None:
    """Let each application serve frames at what was decided: as profiled, but for jitter."""
    instances = {table.application: f'instance {a}' for a, table in enumerate(joint.tables)}
    for report in decision.reports:
        table = next(t for t in joint.tables if t.application == report.application)
        option = table.option(report.decision.sub_network, report.decision.processor)
        row = table.nearest_row(dict(report.decision.frequencies))
        assert option is not None
        mean = float(table.mean[option, row])
        for frame in range(FRAMES):
            service = mean * (1 + JITTER * float(generator.standard_normal()))
            served = number * FRAMES + frame + 1
            status = Status(
                report.application,
                instances[report.application],
                StatusEvent.SERVED,
                *table.options[option],
                preprocessing=0.0,
                inference=max(service, 0.1 * mean),
                total=max(service, 0.1 * mean),
                received=served,
                served=served,
            )
            manager.observe(status, now - 0.5 + 0.5 * frame / FRAMES)


def _quantile(values: list[float], quantile: float) -> float:
    return float(np.quantile(values, quantile))
