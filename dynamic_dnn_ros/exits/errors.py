# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong when cascades and exits are made."""

from __future__ import annotations


class ExitError(ValueError):
    """A cascade or an exit cannot be made; names the input, the problem and the remedy."""
