# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of all tests; `support` says how they are used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from support.graph import Graph
    from support.process import NodeProcess


# A shell starts what runs in the background with SIGINT ignored, and the processes of tests would
# inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def domain_id() -> Iterator[int]:
    """Give the test a ROS domain of its own, seen by nobody outside of this machine."""
    from support.domain import Domain

    with Domain() as domain:
        yield domain.id


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Give a function that offers something by entry points, as an installed package does."""
    from dynamic_dnn_ros import extensions
    from support.packages import make_distribution

    monkeypatch.setattr(extensions, '_said', set())
    folders = iter(tmp_path / f'site_{number}' for number in range(10))

    def offered(group: str, source: str = '', **values: str) -> None:
        folder = next(folders)
        module = f'offers_{folder.name}'
        entries = {name: value.replace('HERE', module) for name, value in values.items()}
        make_distribution(folder, module, {group: entries}, {module: source})
        monkeypatch.syspath_prepend(folder)

    yield offered
    for module in [name for name in sys.modules if name.startswith('offers_')]:
        del sys.modules[module]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Let PyTorch compute on one thread."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def graph(domain_id: int) -> Iterator[Graph]:
    """Give the test a context, a node and an executor in its domain."""
    from support.graph import Graph

    graph = Graph(domain_id)
    yield graph
    graph.close()


@pytest.fixture
def start_node(
    domain_id: int, request: pytest.FixtureRequest
) -> Iterator[Callable[..., NodeProcess]]:
    """Start installed nodes in the test's domain; what still runs at the end is ended."""
    from support.process import NodeProcess

    processes: list[NodeProcess] = []

    def start(name: str, **options: Any) -> NodeProcess:
        process = NodeProcess(name, domain_id, **options)
        processes.append(process)
        return process

    yield start
    report = getattr(request.node, 'report_of_call', None)
    for process in reversed(processes):
        if report is not None and report.failed:
            print(f'--- {process.full_name} said:\n{process.log}\n---')
        process.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Let fixtures see whether their test failed."""
    outcome: Any = yield  # type: ignore[misc]
    report = outcome.get_result()
    if report.when == 'call':
        item.report_of_call = report  # type: ignore[attr-defined]
