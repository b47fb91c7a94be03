# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a misspelt name was probably meant to be, said alike by commands, nodes and files."""

from __future__ import annotations

from collections.abc import Iterable
import difflib


def suggestion(given: object, known: Iterable[str]) -> str:
    """Return the question that follows a wrong name, empty where no known one is near."""
    found = difflib.get_close_matches(str(given), list(known), 1)
    return f' (did you mean {found[0]!r}?)' if found else ''
