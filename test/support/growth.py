# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What something that is done again and again leaves behind."""

from __future__ import annotations

from collections.abc import Callable
import gc
import tracemalloc


def growth(act: Callable[[int], object], warm_up: int, times: int) -> float:
    """
    Return the bytes of Python objects that one time leaves behind, in the mean.

    :param act: is given a number that rises
    :param warm_up: times after which all that is bounded has reached its bound
    """
    tracemalloc.start()
    try:
        for number in range(warm_up):
            act(number)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for number in range(warm_up, warm_up + times):
            act(number)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / times
