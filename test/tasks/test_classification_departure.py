# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from dynamic_dnn_ros.tasks.classification import Classification, softmax

RESPONSE = np.arange(24, dtype=np.float32).reshape(8, 3) ** 2


def departure(found: np.ndarray, recorded: np.ndarray) -> float:
    return Classification().departure({'logits': found}, {'logits': recorded})


def test_departure_of_logits() -> None:
    assert departure(RESPONSE, RESPONSE) == 0.0
    assert departure(RESPONSE + np.float32(7), RESPONSE) == pytest.approx(0, abs=1e-6)
    assert departure(RESPONSE * np.float32(1.25), RESPONSE) == pytest.approx(0.25)
    assert departure(np.zeros_like(RESPONSE), RESPONSE) == pytest.approx(1.0)
    assert departure(RESPONSE, np.zeros_like(RESPONSE)) > 1e6
    assert departure(RESPONSE[:, :2], RESPONSE) == np.inf
    for value in (np.nan, np.inf):
        assert departure(np.where(RESPONSE > 100, value, RESPONSE), RESPONSE) == np.inf


def test_softmax_is_a_distribution_for_any_logits() -> None:
    for logits in ([0.0, 0.0], [1e4, -1e4], [-3.0, 2.0, 5.0]):
        probabilities = softmax(np.array(logits, np.float32))
        assert probabilities.sum() == pytest.approx(1.0)
        assert np.argmax(probabilities) == np.argmax(logits)
