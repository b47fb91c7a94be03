# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How targets stand by what was measured alone, for deciders that predict nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
import math

import numpy as np

from dynamic_dnn_ros.management.decisions import Prediction, TargetReport, TargetState
from dynamic_dnn_ros.management.observations import Status
from dynamic_dnn_ros.management.reports import beyond
from dynamic_dnn_ros.management.targets import TargetError, TargetStore

WINDOW = 100
"""Frames of one sub-network over which a latency is taken."""

ENOUGH = 20
"""Frames below which nothing is said of a latency."""


class Judge:
    """Compares targets with the frames that were served, and keeps refusals until the next one."""

    def __init__(self) -> None:
        """Begin with nothing measured."""
        self._frames: dict[str, deque[float]] = {}
        self._options: dict[str, tuple[str, str]] = {}
        self._refusals: dict[str, TargetError] = {}

    def frame(self, status: Status) -> None:
        """Take a served frame; another sub-network or processor begins anew."""
        name, option = status.application, (status.sub_network, status.processor)
        if self._options.get(name) != option:
            self._options[name] = option
            self._frames[name] = deque(maxlen=WINDOW)
        self._frames[name].append(status.total)

    def refuse(self, application: str, error: TargetError) -> None:
        """Note a target that was refused."""
        self._refusals[application] = error

    def accept(self, application: str) -> None:
        """Forget a refusal: another target was taken."""
        self._refusals.pop(application, None)

    def reports(
        self,
        serving: Mapping[str, tuple[str, str]],
        accuracies: Mapping[str, Mapping[str, float]],
        targets: TargetStore,
    ) -> tuple[TargetReport, ...]:
        """
        Return how each application's target stands.

        :param serving: sub-network and processor by application
        :param accuracies: 0..1 by application and sub-network
        """
        found = []
        for name, option in serving.items():
            refusal, target = self._refusals.get(name), targets.get(name)
            decision = Prediction(*option, accuracy=accuracies[name].get(option[0], math.nan))
            if refusal is not None:
                found.append(
                    TargetReport(
                        name, TargetState.REFUSED, decision=decision, message=str(refusal)
                    )
                )
                continue
            if target is None:
                found.append(TargetReport(name, TargetState.NO_TARGET, decision=decision))
                continue
            frames = self._frames.get(name, ())
            latency = math.nan
            if len(frames) >= ENOUGH:
                latency = float(np.quantile(np.array(frames), target.quantile))
            limits = target.limits()
            measured = {'latency': latency, 'accuracy': decision.accuracy}
            values = tuple(measured.get(key, math.nan) for key in limits)
            missed = tuple(
                beyond(key, limit, value) for (key, limit), value in zip(limits.items(), values)
            )
            state = TargetState.MISSED if any(by > 0 for by in missed) else TargetState.MET
            if math.isnan(latency):
                state = TargetState.PENDING
            found.append(
                TargetReport(
                    name,
                    state,
                    target,
                    tuple(limits),
                    tuple(limits.values()),
                    (math.nan,) * len(limits),
                    values,
                    missed,
                    decision=decision,
                    reason='chosen by a decider that gives no reasons',
                )
            )
        return tuple(found)
