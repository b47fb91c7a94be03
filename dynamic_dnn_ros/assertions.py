# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the suites share that check tasks, engines and platforms."""

from __future__ import annotations

from collections.abc import Callable


def refused(
    call: Callable[[], object], error: type[Exception], what: str, names: str = ''
) -> None:
    """
    Check that a call is refused with an error whose text names something.

    :param error: the class that it has
    :param what: is refused, in words
    :param names: what the text holds
    :raises AssertionError: when it is not refused, otherwise, or without naming it
    """
    said = None
    try:
        call()
    except error as problem:
        said = str(problem)
    except Exception as problem:
        raise AssertionError(
            f'{what} is refused with {error.__name__}, not {type(problem).__name__}: {problem}'
        ) from problem
    assert said is not None, f'{what} is refused with {error.__name__}'
    assert names in said, f'the error of {what} names {names!r}: {said}'
