# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Listening to a robot while somebody looks, and not otherwise."""

from __future__ import annotations

from collections.abc import Mapping
import math
import os
import threading
from typing import Any

from dynamic_dnn_ros.cli.system.listening import System
from dynamic_dnn_ros.cli.view.model import WINDOW, page_data
from dynamic_dnn_ros.cli.view.pictures import Pictures
from dynamic_dnn_ros.cli.view.requests import carry_out
from dynamic_dnn_ros.client import TargetClient
from dynamic_dnn_ros.pictures.scaling import PictureError

KEPT = 2048
"""Rows of each kind that are kept of an application: a minute at 34 Hz; twice that at most."""

SENDER = 'dynamic-dnn view'


class Session:
    """
    Hears a running system between `open` and `close`, any number of times.

    Its methods block for a moment, and may be called from any thread.
    """

    def __init__(self, namespace: str, timeout: float) -> None:
        """
        Hear nothing yet.

        :param namespace: parameter `manager_namespace` of the nodes
        :param timeout: s to wait for the manager's answers
        """
        self._namespace = namespace
        self._timeout = timeout
        self._lock = threading.Lock()
        self._client: TargetClient | None = None
        self._system: System | None = None
        self._pictures: Pictures | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether it listens."""
        return self._client is not None

    def open(self) -> None:
        """Begin to listen, if it does not yet."""
        with self._lock:
            if self._client is None:
                client = TargetClient(
                    manager_namespace=self._namespace, sender=SENDER, timeout=self._timeout
                )
                self._system = System(client, KEPT)
                self._pictures = Pictures(client.node)
                self._client = client

    def close(self) -> None:
        """Listen no more, and forget what was heard."""
        with self._lock:
            client, self._client = self._client, None
            self._system = self._pictures = None
            if client is not None:
                client.close()

    def clock(self) -> float:
        """Return the time in s since it began to listen; 0: it does not."""
        system = self._system
        return system.now if system is not None else 0.0

    def data(self, since: float, until: float) -> dict[str, Any]:
        """Return what the page shows, see `page_data`."""
        with self._lock:
            system, pictures = self._system, self._pictures
            if system is None or pictures is None:
                return {'whole': since == -math.inf, 'now': 0.0, 'applications': []}
            reports = system.reports if system.has_manager else {}
            with system.lock:
                data = page_data(system, reports, since, until)
                there = list(system.observations)
            pictures.follow(there)
        for application in data['applications']:
            application['picture'] = pictures.sequence(application['id'])
        data['window'] = WINDOW
        data['notice'] = '' if system.is_there else self._nothing_heard()
        return data

    def picture(self, application: str) -> tuple[int, bytes]:
        """
        Return the newest picture of an application as JPEG, with its number.

        :raises PictureError: when there is none
        """
        pictures = self._pictures
        if pictures is None:
            raise PictureError('nobody looks at the page')
        return pictures.newest(application)

    def request(self, action: str, application: str, form: Mapping[str, Any]) -> dict[str, Any]:
        """Set, ask about or clear a target, see `carry_out`."""
        self.open()
        client = self._client
        assert client is not None
        return carry_out(client, action, application, form)

    def _nothing_heard(self) -> str:
        domain = os.environ.get('ROS_DOMAIN_ID', '0')
        return (
            f'Nothing is heard yet under {self._namespace} (ROS_DOMAIN_ID={domain}): no '
            'application, no manager, no platform. Start them with "ros2 launch dynamic_dnn_ros '
            'dynamic_dnn.launch.py", or give dynamic-dnn view their domain and --namespace.'
        )
