# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is heard of all applications, the manager and the platform of a running system."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import threading
import time
from typing import Any

from dynamic_dnn_ros.cli.demo.run_record import RunRecord
from dynamic_dnn_ros.cli.observation import Observation
from dynamic_dnn_ros.client import ApplicationSummary, TargetClient, TargetReport
from dynamic_dnn_ros.management.targets import is_application_id
from dynamic_dnn_ros.msg import (
    Application,
    Classification,
    Detections,
    InferenceStatus,
    ManagerStatus,
    Segmentation,
    SubNetworkSwitch,
    SystemLoad,
)
from dynamic_dnn_ros.nodes.common import qos

KEPT = 512
"""Rows of each kind that are kept of an application."""

FRESH = 3.0
"""Seconds after which what was heard of a manager or a platform counts as gone."""


class System:
    """
    Listens by the node of a client, whose thread it is called in.

    `lock` is held while something is taken; hold it to read.
    """

    def __init__(self, client: TargetClient, keep: int = KEPT) -> None:
        """
        Begin to listen.

        :param keep: rows of each kind that are kept of an application
        """
        self.lock = threading.RLock()
        self.observations: dict[str, Observation] = {}
        self._client = client
        self._keep = keep
        self._own: dict[str, list[Any]] = {}
        """Subscriptions of what an application has for itself, by its id."""
        self._began = time.monotonic()
        self._platform = Observation('', self._clock, keep)
        self._status: ManagerStatus | None = None
        self._heard = {'manager': -FRESH, 'platform': -FRESH}
        namespace = client.manager_namespace
        for message_type, name, callback, profile in (
            (Application, 'application', self._on_application, qos.APPLICATION_SUBSCRIPTION),
            (InferenceStatus, 'inference_status', self._on_status, qos.INFERENCE_STATUS),
            (SystemLoad, 'system_load', self._on_load, qos.SYSTEM_LOAD),
            (ManagerStatus, 'manager_status', self._on_manager, qos.MANAGER_STATUS),
        ):
            client.node.create_subscription(
                message_type, f'{namespace}/{name}', self._locked(callback), profile
            )

    @property
    def now(self) -> float:
        """Return the seconds since it began to listen."""
        return self._clock()

    @property
    def is_there(self) -> bool:
        """Tell whether anything was heard at all."""
        return bool(self.observations) or self.has_manager or self.has_platform

    @property
    def has_heard_all(self) -> bool:
        """Tell whether everybody who is found has spoken."""
        count, namespace = self._client.node.count_publishers, self._client.manager_namespace
        # These are waited for, and the thread that hears them waits for the lock.
        applications = self.applications
        with self.lock:
            return (
                len(self.observations) >= count(f'{namespace}/application')
                and self.observations.keys() >= applications.keys()
                and self.has_manager >= bool(count(f'{namespace}/manager_status'))
                and self.has_platform >= bool(count(f'{namespace}/system_load'))
            )

    @property
    def has_seen_frames(self) -> bool:
        """Tell whether each application that is known has served a frame since."""
        with self.lock:
            return all(each.run.frames for each in self.observations.values())

    @property
    def has_manager(self) -> bool:
        """Tell whether a manager speaks."""
        return self.now - self._heard['manager'] < FRESH

    @property
    def has_platform(self) -> bool:
        """Tell whether a platform node speaks."""
        return self.now - self._heard['platform'] < FRESH

    @property
    def manager(self) -> ManagerStatus | None:
        """Return what the manager said last, while it speaks."""
        return self._status if self.has_manager else None

    @property
    def reports(self) -> Mapping[str, TargetReport]:
        """Return how the target of each application stands, while a manager speaks."""
        return self._client.targets() if self.has_manager else {}

    @property
    def applications(self) -> Mapping[str, ApplicationSummary]:
        """Return the applications that are there."""
        return self._client.applications()

    @property
    def board(self) -> RunRecord:
        """Return what is known of the platform."""
        return self._platform.run

    def _clock(self) -> float:
        return time.monotonic() - self._began

    def _locked(self, callback: Callable[[Any], None]) -> Callable[[Any], None]:
        def take(message: Any) -> None:
            with self.lock:
                callback(message)

        return take

    def _on_application(self, message: Application) -> None:
        if not is_application_id(message.id):
            return  # no topic can lie under such a name
        if message.state == Application.STATE_DEPARTED:
            self.observations.pop(message.id, None)
            for subscription in self._own.pop(message.id, ()):
                self._client.node.destroy_subscription(subscription)
            return
        observation = self.observations.get(message.id)
        if observation is None:
            observation = Observation(message.id, self._clock, self._keep)
            self.observations[message.id] = observation
            self._listen(message.id, observation)
        observation.on_application(message)

    def _listen(self, name: str, observation: Observation) -> None:
        """Hear the topics that an application has for itself."""
        self._own[name] = [
            self._client.node.create_subscription(
                message_type, f'{name}/{topic}', self._locked(callback), profile
            )
            for message_type, topic, callback, profile in (
                (
                    SubNetworkSwitch,
                    'sub_network_switch',
                    observation.on_switch,
                    qos.SUB_NETWORK_SWITCH,
                ),
                (Classification, 'classification', observation.on_classification, qos.RESULT),
                (Detections, 'detections', observation.on_detections, qos.RESULT),
                (Segmentation, 'segmentation', observation.on_segmentation, qos.RESULT),
            )
        ]

    def _on_status(self, message: InferenceStatus) -> None:
        observation = self.observations.get(message.application)
        if observation is not None:
            observation.on_status(message)

    def _on_load(self, message: SystemLoad) -> None:
        self._heard['platform'] = self.now
        self._platform.on_load(message)

    def _on_manager(self, message: ManagerStatus) -> None:
        self._heard['manager'] = self.now
        self._status = message
        for observation in self.observations.values():
            observation.on_manager(message)
