# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Switches of the manager: which are taken, which are refused, and the answer to each."""

from __future__ import annotations

from collections.abc import Callable
import threading
import time
from typing import NamedTuple

from rclpy.impl.rcutils_logger import RcutilsLogger

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.msg import InferenceStatus, SubNetworkSwitch
from dynamic_dnn_ros.nodes.inference.served_bundle import ServedBundle
from dynamic_dnn_ros.serving.exchange import Overtaken

#: Answers that leave the one to the newest switch standing.
_BESIDE_THE_POINT = (
    InferenceStatus.SWITCH_REFUSED_APPLICATION,
    InferenceStatus.SWITCH_REFUSED_SEQUENCE,
)


_WORDS = {
    InferenceStatus.SWITCH_REFUSED_APPLICATION: "another application's",
    InferenceStatus.SWITCH_REFUSED_SUB_NETWORK: 'sub-network refused',
    InferenceStatus.SWITCH_REFUSED_PROCESSOR: 'processor refused',
    InferenceStatus.SWITCH_REFUSED_SEQUENCE: 'sequence number refused',
}

#: s after which a manager's sequence numbers begin anew, whatever the last one was: a switch in
#: its name that is not its own locks it out for no longer.
FORGOTTEN_AFTER = 5.0

#: Most by which they grow from one switch to the next within that time.
LARGEST_STEP = 1000


class SwitchAnswer(NamedTuple):
    """What the last switch that arrived was answered; `result` as in `InferenceStatus.msg`."""

    manager: str = ''
    sequence: int = 0
    result: int = InferenceStatus.SWITCH_NONE
    problem: str = ''


class SwitchReceiver:
    """Carries out the switches that reach one application, and answers each of them."""

    def __init__(
        self,
        application: str,
        served: ServedBundle,
        processors: Callable[[], tuple[str, ...]],
        exchanged: Callable[[], None],
        publish_answer: Callable[[], None],
        applied: Callable[[SubNetworkSwitch], None],
        logger: RcutilsLogger,
        leave_out: Callable[[str, str], None],
    ) -> None:
        """
        Begin with no switch.

        :param application: id of the application
        :param processors: returns those that a switch may name
        :param exchanged: called right after an exchange, from any thread
        :param publish_answer: called when `answer` is to be published, from any thread
        :param applied: called once an exchange is answered, from any thread
        :param leave_out: called with the reason, in few words and in full, of each switch that is
            refused as it arrives
        """
        self.answer = SwitchAnswer()
        # Manager and sequence number of the newest switch, which may not be answered yet.
        self._newest = ('', 0)
        self._newest_came = 0.0
        # Switches arrive in one thread and are told of in another, in the order of this lock.
        self._order = threading.RLock()
        self._application = application
        self._served = served
        self._processors = processors
        self._on_exchanged = exchanged
        self._publish_answer = publish_answer
        self._on_applied = applied
        self._logger = logger
        self._leave_out = leave_out

    def receive(self, message: SubNetworkSwitch) -> None:
        """
        Carry out a switch, or refuse it.

        One that waits for its sub-network to be prepared is answered then; so is each with which
        a manager asks again meanwhile.
        """
        with self._order:
            self._take(message)

    def _take(self, message: SubNetworkSwitch) -> None:
        if message.application != self._application:
            # Its sequence number is another application's.
            self._refuse(
                message,
                InferenceStatus.SWITCH_REFUSED_APPLICATION,
                f'a switch for {message.application!r} arrived at {self._application!r}. '
                f'Send it to {message.application}/sub_network_switch.',
            )
            return
        manager, sequence = self._newest
        now = time.monotonic()
        recent = now - self._newest_came < FORGOTTEN_AFTER
        if message.sequence and message.manager == manager:
            if message.sequence == sequence:
                if (self.answer.manager, self.answer.sequence) == self._newest:
                    self._publish_answer()
                return
            problem = ''
            if recent and message.sequence < sequence:
                problem = 'is older than'
            elif recent and message.sequence > sequence + LARGEST_STEP:
                problem = 'is far beyond'
            if problem:
                self._refuse(
                    message,
                    InferenceStatus.SWITCH_REFUSED_SEQUENCE,
                    f'switch {message.sequence} {problem} switch {sequence} of the same '
                    'manager. Count the sequence number up.',
                )
                return
        self._newest = (message.manager, message.sequence)
        self._newest_came = now
        refusal = self._refusal(message)
        if refusal is not None:
            self._refuse(message, *refusal)
            return
        self._served.exchange.request(
            message.sub_network,
            self._served.engine_processor(message.processor or self._served.processor),
            lambda _: self._exchanged(message),
            lambda error: self._failed(message, error),
        )

    def serving_fails(self, problem: str) -> None:
        """
        Take back the answer to the last switch: what it put in force gives no results.

        Nothing is said while a newer one is on its way, or where nobody has switched.
        """
        with self._order:
            manager, sequence, result, _ = self.answer
            applied = result == InferenceStatus.SWITCH_APPLIED
            if not applied or (manager, sequence) != self._newest:
                return
            self._logger.error(f'What switch {sequence} put in force fails: {problem}')
            self.answer = SwitchAnswer(manager, sequence, InferenceStatus.SWITCH_FAILED, problem)
            self._publish_answer()

    def _refusal(self, message: SubNetworkSwitch) -> tuple[int, str] | None:
        refused = self._served.refused.get(message.sub_network)
        if refused is not None:
            return InferenceStatus.SWITCH_REFUSED_SUB_NETWORK, refused
        try:
            self._served.bundle.manifest.sub_network(message.sub_network)
        except BundleError as error:
            return InferenceStatus.SWITCH_REFUSED_SUB_NETWORK, str(error)
        known = self._processors()
        if message.processor and message.processor not in known:
            return (
                InferenceStatus.SWITCH_REFUSED_PROCESSOR,
                f'processor {message.processor!r} is not here. Name one of: {", ".join(known)}, '
                'or none.',
            )
        return None

    def _exchanged(self, message: SubNetworkSwitch) -> None:
        # A newer one that arrives meanwhile waits, or it has come already: never in between.
        with self._order:
            newest = (message.manager, message.sequence) == self._newest
            if newest:
                if message.processor:
                    self._served.processor = message.processor
                self._on_exchanged()
            self._respond(message, InferenceStatus.SWITCH_APPLIED, '', newest)
            if newest:
                self._on_applied(message)

    def _failed(self, message: SubNetworkSwitch, error: Exception) -> None:
        problem = str(error)
        if isinstance(error, Overtaken):
            self._logger.info(f'Switch {message.sequence} is not applied: {problem}')
        else:
            problem = f'{message.sub_network!r}: {problem}'
            self._logger.error(f'Switch {message.sequence} is not applied: {problem}')
        with self._order:
            self._respond(message, InferenceStatus.SWITCH_FAILED, problem)

    def _refuse(self, message: SubNetworkSwitch, result: int, problem: str) -> None:
        self._leave_out(_WORDS[result], f'Switch {message.sequence} is not applied: {problem}')
        self._respond(message, result, problem)

    def _respond(
        self, message: SubNetworkSwitch, result: int, problem: str, newest: bool = True
    ) -> None:
        previous = self.answer
        self.answer = SwitchAnswer(message.manager, message.sequence, result, problem)
        self._publish_answer()
        if result in _BESIDE_THE_POINT or not newest:
            self.answer = previous
