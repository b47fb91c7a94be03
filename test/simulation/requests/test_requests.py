# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Requests from traces: what is read, what is drawn, and what a schedule comes to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from dynamic_dnn_ros.files import share_folder
from dynamic_dnn_ros.scheduling.registry import create_scheduler
from dynamic_dnn_ros.simulation.requests.compare import cells, choices, jobs, make, run_job, table
from dynamic_dnn_ros.simulation.requests.loop import Known, requests, run
from dynamic_dnn_ros.simulation.requests.synthetic import NETWORKS, patterns, synthetic_trace
from dynamic_dnn_ros.simulation.requests.traces import Trace, read_trace, sanger_latency
from dynamic_dnn_ros.simulation.requests.workload import RequestWorkload
from dynamic_dnn_ros.simulation.scenario import ScenarioError

FAST = Trace('fast', '', np.array([[1.0, 1.0], [3.0, 1.0]]), np.array([[0.2, 0.5], [0.6, 0.5]]))
SLOW = Trace('slow', '', np.full((1, 4), 5.0), np.full((1, 4), 0.5))


def workload(**changes: Any) -> RequestWorkload:
    data = {'name': 'two', 'traces': (FAST, SLOW), 'rates': (0.1,), 'count': 60, **changes}
    return RequestWorkload(**data)


def write(folder: Path, columns: str, *rows: str) -> Path:
    path = folder / 'trace.csv'
    path.write_text('\n'.join((columns, *rows)) + '\n')
    return path


def test_traces_are_read_in_the_published_schema(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        ',batch-indx,layer-indx,overall-sparsity,sim_lat',
        '0,7,1,0.5,0.004',
        '1,7,0,0.75,0.002',
        '2,9,0,0.25,0.003',
        '3,9,1,0.5,0.001',
    )
    trace = read_trace(path, 'resnet50', 'block')
    assert (trace.network, trace.pattern) == ('resnet50', 'block')
    np.testing.assert_array_equal(trace.latency, [[0.002, 0.004], [0.003, 0.001]])
    np.testing.assert_array_equal(trace.density, [[0.25, 0.5], [0.75, 0.5]])
    assert trace.isolated == pytest.approx(0.005)
    path = write(tmp_path, 'batch-indx,layer-indx,overall-sparsity,50%-skip', '0,0,0.3,0.8')
    trace = read_trace(path, 'bert')
    assert trace.density[0, 0] == 0.3  # of Sanger it is what is not zero
    assert trace.latency[0, 0] == pytest.approx(float(sanger_latency(0.3, 0.8)))


def test_latency_on_sanger_is_that_of_the_formula() -> None:
    # By hand: 0.88 ms for query, key and value, 0.295 ms x share, 768 rows through two pipelines.
    share, rows = 0.375, 768.0
    linear = 512 * 768 * 768 * 2 / 2048e9
    attention = rows / 64 * (768 + 64 + rows + 64) * 8 / 1e9
    expected = 3 * linear + linear * share + attention
    assert float(sanger_latency(0.3, 0.8)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ('columns', 'rows', 'said'),
    [
        ('batch-indx,layer-indx,sim_lat', ['0,0,1'], 'overall-sparsity'),
        ('batch-indx,layer-indx,overall-sparsity', ['0,0,1'], '50%-skip'),
        ('batch-indx,layer-indx,overall-sparsity,sim_lat', [], 'no rows'),
        ('batch-indx,layer-indx,overall-sparsity,sim_lat', ['0,0,0.5,fast'], 'row 2'),
        ('batch-indx,layer-indx,overall-sparsity,sim_lat', ['0,0,0.5,1', '0,2,0.5,1'], 'layers'),
        ('batch-indx,layer-indx,overall-sparsity,sim_lat', ['0,0,0.5,1', '0,0,0.5,1'], 'once'),
        ('batch-indx,layer-indx,overall-sparsity,sim_lat', ['0,0,0.5,-1'], 'cannot be'),
        ('batch-indx,layer-indx,overall-sparsity,sim_lat', ['0,0,nan,1'], 'cannot be'),
    ],
)
def test_what_is_wrong_with_a_trace_is_said(
    tmp_path: Path, columns: str, rows: list[str], said: str
) -> None:
    with pytest.raises(ScenarioError, match=said):
        read_trace(write(tmp_path, columns, *rows), 'x')


@pytest.mark.parametrize('network', NETWORKS)
def test_synthetic_traces_are_the_same_each_time(network: str) -> None:
    for pattern in patterns(network):
        trace, again = (synthetic_trace(network, pattern, inputs=50) for _ in range(2))
        np.testing.assert_array_equal(trace.latency, again.latency)
        assert (trace.latency > 0).all() and ((trace.density > 0) & (trace.density <= 1)).all()
        # How dense the first half of the layers is tells of the second.
        half = trace.density.shape[1] // 2
        relative = trace.density / trace.density.mean(axis=0)
        first, second = relative[:, :half].mean(axis=1), relative[:, half:].mean(axis=1)
        assert np.corrcoef(first, second)[0, 1] > 0.7
    assert synthetic_trace(network, pattern, seed=1).isolated != trace.isolated


def test_the_processor_is_loaded_as_the_module_says() -> None:
    for file, rates in (('attention_requests', (30, 40)), ('cnn_requests', (3, 4))):
        shipped = shipped_workload(file)
        mean = np.mean([trace.isolated for trace in shipped.traces])
        assert [rate * mean for rate in rates] == pytest.approx([0.8, 1.07], abs=0.04)
        assert shipped.rates == rates and shipped.count == 1000


def shipped_workload(name: str) -> RequestWorkload:
    path = share_folder() / 'config' / 'scenarios' / f'{name}.yaml'
    return RequestWorkload.from_mapping(yaml.safe_load(path.read_text()), path)


def test_all_inputs_are_drawn_and_the_same_ones_at_each_multiple() -> None:
    shipped = shipped_workload('attention_requests')
    known = Known(shipped.traces, blind=False)
    drawn = requests(shipped, known, 30.0, 10.0, seed=1)
    assert len({id(request.latency) for request in drawn}) > 500  # published: 21
    later = requests(shipped, known, 30.0, 20.0, seed=1)
    assert [r.arrival for r in drawn] == [r.arrival for r in later]
    assert all(
        b.deadline - b.arrival == pytest.approx(2 * (a.deadline - a.arrival))
        for a, b in zip(drawn, later)
    )
    assert {request.priority for request in drawn} == {1, 3, 9}


def test_what_a_scheduler_knows_are_averages() -> None:
    known = Known((FAST, SLOW), blind=False)
    assert known.work(FAST).times == ((2.0,), (1.0,))
    random, block = (
        Trace('cnn', p, FAST.latency * f, FAST.density) for p, f in (('r', 1), ('b', 3))
    )
    assert Known((random, block), blind=False).work(block).times == ((6.0,), (3.0,))
    assert Known((random, block), blind=True).work(block).times == ((4.0,), (2.0,))


@pytest.mark.parametrize('name', choices())
def test_each_request_is_served_once_and_no_work_is_lost(name: str) -> None:
    found = run(workload(), make(name), 0.1)
    assert len(found.served) == 60
    busy = sum(each.isolated for each in found.served)
    assert max(each.finish for each in found.served) >= busy
    assert all(each.finish >= each.arrival + each.isolated - 1e-9 for each in found.served)
    assert found.normalised_turnaround >= 1.0 - 1e-9
    assert 0.0 <= found.violation_rate <= 1.0


def test_figures_are_those_of_a_schedule_by_hand() -> None:
    found = run(workload(count=1, traces=(SLOW,)), create_scheduler('first_come'), 0.1)
    (served,) = found.served
    assert served.finish == pytest.approx(served.arrival + 20.0)
    assert served.deadline == pytest.approx(served.arrival + 200.0)
    assert found.normalised_turnaround == pytest.approx(1.0)
    assert found.throughput == pytest.approx(1 / 20)
    assert (found.violation_rate, found.parked) == (0.0, 0)
    assert run(workload(count=1), create_scheduler('dysta'), 0.1, 0.01).violation_rate == 1.0


def test_parking_a_request_costs_what_was_said() -> None:
    free, dear = (
        run(workload(), create_scheduler('round_robin'), 0.1, switch_cost=cost)
        for cost in (0.0, 0.5)
    )
    assert free.parked > 10 and dear.parked > 10
    assert dear.normalised_turnaround > free.normalised_turnaround
    # Whole requests are parked never, so they cost nothing.
    free, dear = (
        run(workload(), create_scheduler('first_come'), 0.1, switch_cost=cost)
        for cost in (0.0, 0.5)
    )
    assert free.parked == dear.parked == 0 and free.served == dear.served


def test_the_oracle_knows_what_is_left() -> None:
    # Both inputs of one network are expected to take as long; only the oracle knows better.
    uneven = Trace('uneven', '', np.array([[1.0] * 3, [9.0] * 3]), np.full((2, 3), 0.5))
    asked = workload(traces=(uneven,), count=300)
    oracle, dysta = (run(asked, make(name), 0.06) for name in ('oracle', 'dysta'))
    assert oracle.normalised_turnaround < 0.8 * dysta.normalised_turnaround


def test_cells_and_their_table() -> None:
    asked = workload(rates=(0.05, 0.1), multiples=(2.0,))
    found = cells([run_job(job) for job in jobs(asked, ('dysta', 'first_come'), seeds=2)])
    assert [(c.scheduler, c.rate, len(c.violation_rate)) for c in found] == [
        (name, rate, 2) for rate in (0.05, 0.1) for name in ('dysta', 'first_come')
    ]
    assert table(found).count('\n') == 5
    assert '| 0.1 | x 2 | first_come |' in table(found)


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ({'networks': [{'synthetic': 'alexnet'}]}, 'mobilenet'),
        ({'networks': [{'synthetic': 'vgg16', 'pattern': 'rows'}]}, 'random, block, channel'),
        ({'networks': [{'synthetic': 'bert', 'pattern': 'block'}]}, 'leave it out'),
        ({'networks': [{}]}, 'synthetic'),
        ({'networks': [{'trace': 'absent.csv'}]}, 'absent.csv is absent'),
        ({'rates': []}, 'rates'),
        ({'rates': [0]}, 'rates'),
        ({'rates': [float('nan')]}, 'not a number'),
        ({'count': 0}, 'count'),
        ({'priorities': [256]}, 'priorities'),
        ({'rate': 3}, "'rate' was unexpected"),
    ],
)
def test_what_is_wrong_with_a_workload_is_said(change: dict[str, Any], said: str) -> None:
    data = {'requests': {'rates': [3], 'networks': [{'synthetic': 'bert'}], **change}}
    with pytest.raises(ScenarioError, match=said):
        RequestWorkload.from_mapping(data, Path('requests.yaml'))


def test_traces_by_path_are_relative_to_the_file(tmp_path: Path) -> None:
    write(tmp_path, 'batch-indx,layer-indx,overall-sparsity,sim_lat', '0,0,0.5,1')
    data = {'requests': {'rates': [3], 'networks': [{'trace': 'trace.csv', 'network': 'own'}]}}
    (trace,) = RequestWorkload.from_mapping(data, tmp_path / 'requests.yaml').traces
    assert trace.network == 'own' and trace.isolated == 1.0
