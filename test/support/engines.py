# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What tests ask of prepared sub-networks."""

from __future__ import annotations

import numpy as np

from dynamic_dnn_ros.engines.contract import PreparedSubNetwork


def logits(prepared: PreparedSubNetwork, picture: np.ndarray) -> np.ndarray:
    """Return what a classifier of a super-network says of one picture, shape (classes,)."""
    outputs = prepared.run(picture)
    assert list(outputs) == ['logits'] and len(outputs['logits']) == 1
    return outputs['logits'][0]
