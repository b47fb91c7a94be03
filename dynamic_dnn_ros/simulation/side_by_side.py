# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs side by side, in processes of their own where that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Job = TypeVar('Job')
Run = TypeVar('Run')


def side_by_side(
    run: Callable[[Job], Run], jobs: Sequence[Job], processes: int = 1, backend: str = 'loky'
) -> list[Run]:
    """
    Make runs, in the order given.

    :param processes: at once; 1: in this process
    :param backend: of joblib, e.g. `ray` for a cluster, once it is registered
    """
    if processes == 1:
        return [run(job) for job in jobs]
    # Imported here: joblib is an extra, and a single run does without.
    from joblib import Parallel, delayed

    return list(Parallel(n_jobs=processes, backend=backend)(delayed(run)(job) for job in jobs))
