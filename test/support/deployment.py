# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Nodes as processes of their own, outside of a test: for benchmarks and for what they share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from support.domain import Domain
from support.graph import Graph
from support.process import NodeProcess


@contextmanager
def deployment() -> Iterator[tuple[Graph, Callable[..., NodeProcess]]]:
    """
    Give a graph in a ROS domain of its own and a function that starts installed nodes there.

    All of them end with the context.

    :raises TimeoutError: where one is raised inside, together with what the nodes said
    """
    nodes: list[NodeProcess] = []
    with Domain() as domain:
        graph = Graph(domain.id)

        def start(name: str, **options: Any) -> NodeProcess:
            nodes.append(NodeProcess(name, domain.id, **options))
            return nodes[-1]

        try:
            yield graph, start
        except TimeoutError as error:
            said = '\n'.join(node.log for node in nodes)
            raise TimeoutError(f'{error}; the nodes said:\n{said}') from error
        finally:
            for node in reversed(nodes):
                node.close()
            graph.close()
