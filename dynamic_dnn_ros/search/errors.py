# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in a search."""

from __future__ import annotations


class SearchError(ValueError):
    """A search that cannot start or go on; names the input, the problem and the remedy."""
