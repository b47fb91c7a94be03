# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""CPUs of different kinds as processors of their own: what runs on one keeps to its CPUs."""

from __future__ import annotations

from collections.abc import Callable, Collection
import os
import sys
from typing import Any, TypeVar

from dynamic_dnn_ros.platforms.linux import cpu_domains
from dynamic_dnn_ros.platforms.sysfs import Sysfs

CallableT = TypeVar('CallableT', bound=Callable[..., Any])

Clusters = dict[str, frozenset[int]]
"""CPUs by the name of the cluster, which is that of its frequency domain: `cpu0`, `cpu4`."""


def clusters_here(root: str = '/') -> Clusters:
    """
    Return the clusters that this process may run on, none where all CPUs are of one kind.

    A cluster is as the platform `linux` has it: a frequency domain of CPUs of one capacity.

    :param root: folder below which the kernel's files lie
    """
    if sys.platform != 'linux':
        return {}
    allowed = os.sched_getaffinity(0)
    found = {
        domain.name: frozenset(domain.processors or ()) & allowed
        for domain in cpu_domains(Sysfs(root), managed=False)
    }
    known = {name: cpus for name, cpus in found.items() if cpus}
    return known if len(known) > 1 else {}


def kept_on(cpus: Collection[int] | None, call: CallableT) -> CallableT:
    """
    Return what does the same while its thread keeps to some CPUs; None: to any.

    Threads that it starts keep to them for good. Afterwards the calling thread may run where it
    might before.
    """
    if cpus is None:
        return call

    def kept(*arguments: Any, **named: Any) -> Any:
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cpus)
        try:
            return call(*arguments, **named)
        finally:
            os.sched_setaffinity(0, before)

    return kept  # type: ignore[return-value]
