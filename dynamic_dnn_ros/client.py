# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What a robot's program imports to set, ask about and watch targets.

    from dynamic_dnn_ros.client import Objective, TargetClient

    with TargetClient(sender='docking') as client:
        answer = client.ask_target('/front/inference_node', latency=0.025, accuracy=0.85)
        print(answer.expected.name, answer.message)
        client.set_target(
            '/front/inference_node',
            latency=0.025,
            accuracy=0.85,
            objective=Objective.MINIMUM_ENERGY,
        )
        report = client.wait_until_met('/front/inference_node', timeout=10.0)
        print(report.decision.sub_network, report.decision.latency)

All quantities are SI: seconds, hertz, joules, watts; accuracy in 0..1, by the metric that the
application names. A limit that is None is none. Every call may be made from any thread, from a
callback of the caller's node too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
import itertools
import os
import queue
import threading
import time
import traceback
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypedDict

import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from dynamic_dnn_ros.management.decisions import (
    Constraint,
    Prediction,
    TargetReport,
    TargetState,
)
from dynamic_dnn_ros.management.expectation import Expectation
from dynamic_dnn_ros.management.observations import ApplicationState
from dynamic_dnn_ros.management.targets import (
    LateFrames,
    Objective,
    Target,
    TargetError,
    is_application_id,
)
from dynamic_dnn_ros.msg import Application, ManagerStatus
from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.common.log_folder import provide_log_folder
from dynamic_dnn_ros.nodes.manager.messages import report_of, target_of
from dynamic_dnn_ros.srv import AskTarget, ClearTarget, SetTarget

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    'Answer',
    'ApplicationSummary',
    'ClientError',
    'Constraint',
    'Expectation',
    'LateFrames',
    'ManagerAbsentError',
    'NoAnswerError',
    'NotMetError',
    'Objective',
    'Prediction',
    'SubNetworkSummary',
    'Target',
    'TargetClient',
    'TargetFields',
    'TargetRefusedError',
    'TargetReport',
    'TargetState',
    'Watch',
]

DEFAULT_NAMESPACE = '/dynamic_dnn'

DEFAULT_TIMEOUT = 5.0
"""Seconds that a call waits for the manager."""

DISCOVERY = 4.0
"""Seconds after the start of a client within which it has found everybody that is there."""

SPIN_PERIOD = 0.1

_AWAY = (TargetState.WAITING, TargetState.REFUSED)

_numbers = itertools.count(1)


class ClientError(RuntimeError):
    """A call could not be carried out. The text names what is missing and the remedy."""


class ManagerAbsentError(ClientError):
    """There is no manager under the namespace."""


class NoAnswerError(ClientError):
    """The manager is there, but did not answer in time."""


class TargetRefusedError(ClientError):
    """The target was refused, nothing has changed. The text names the field and the remedy."""


class NotMetError(ClientError):
    """A target was not met in time; `report` is how it stood last, None if nothing was heard."""

    def __init__(self, text: str, report: TargetReport | None) -> None:
        super().__init__(text)
        self.report = report


class TargetFields(TypedDict, total=False):
    """What an application may be asked for; what is None, or not given, is no limit."""

    latency: float | None
    """s, arrival of the image to publication of its result, at most."""
    latency_quantile: float | None
    """0..1, share of frames that must keep `latency`; not given: 0.95."""
    accuracy: float | None
    """0..1, at least."""
    energy: float | None
    """J for one inference, at most."""
    rate: float | None
    """Hz, frames served, at least."""
    priority: int
    """0..255, the higher is met first when not all can be met; not given: 0."""
    objective: Objective
    """What to improve once all limits are met; not given: the least energy."""
    late_frames: LateFrames
    """What becomes of a frame that can no longer keep `latency`; not given: it is served."""


@dataclass(frozen=True)
class Answer:
    """
    What the manager answers to a target that is set, asked about or cleared.

    `replaced` is the target that was in force before, with its sender, None where there was
    none; `report` what was decided, or would be, None where there is nothing to say of it.
    """

    expected: Expectation
    message: str
    replaced: Target | None
    report: TargetReport | None


@dataclass(frozen=True)
class SubNetworkSummary:
    """A sub-network that an application can serve, with its accuracy, 0..1; NaN: not known."""

    id: str
    accuracy: float


@dataclass(frozen=True)
class ApplicationSummary:
    """
    An application as it presents itself.

    `task` is what its results are, `metric` what accuracy is; `sub_network` on `processor` is
    what serves now.
    """

    id: str
    state: ApplicationState
    bundle: str
    task: str
    metric: str
    engine: str
    sub_networks: tuple[SubNetworkSummary, ...]
    sub_network: str
    processor: str


ReportCallback = Callable[[TargetReport], None]


class Watch:
    """
    Reports on targets as they come, until it is stopped; also an iterator over them.

    A report comes for each application when something about it changes, and once a second.
    """

    def __init__(self, client: TargetClient, application: str, callback: ReportCallback) -> None:
        self._client = client
        self._application = application
        self._callback = callback

    def _take(self, report: TargetReport) -> None:
        if self._application in ('', report.application):
            self._callback(report)

    def stop(self) -> None:
        """End the reports."""
        self._client._watches.discard(self)

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class TargetClient:
    """
    Sets, asks about, clears and watches targets.

    It has a node of its own that a thread of its own spins, so that no call depends on whether,
    where and by whom the caller's node is spun: a call inside a callback waits for nobody but
    the manager. Without a node it also has a ROS context of its own, and rclpy need not be
    initialised. `close` it at the end, or use it in a `with` statement.

    >>> client = TargetClient()                                         # doctest: +SKIP
    >>> client.set_target('/front/inference_node', latency=0.05).message  # doctest: +SKIP
    'It is expected to be met.'
    """

    def __init__(
        self,
        node: Node | None = None,
        manager_namespace: str = DEFAULT_NAMESPACE,
        sender: str = '',
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        """
        Start listening.

        :param node: the caller's, whose context is used and whose name is the sender's; never
            spun. None: a context of the client's own, with the domain of the environment
        :param manager_namespace: as parameter `manager_namespace` of the nodes
        :param sender: who asks, in free text; empty: the node's fully qualified name
        :param timeout: s that a call waits for the manager
        """
        self.manager_namespace = manager_namespace.rstrip('/')
        self.timeout = timeout
        self._owned_context: Context | None = None
        if node is None:
            context = Context()
            provide_log_folder()
            rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
            self._owned_context = context
            name, namespace = f'dynamic_dnn_client_{os.getpid()}_{next(_numbers)}', '/'
        else:
            context = node.context
            name = f'{node.get_name()}_targets_{next(_numbers)}'
            namespace = node.get_namespace()
        self.sender = sender or (str(node.get_fully_qualified_name()) if node else f'/{name}')
        #: The client's own node, for further subscriptions; spun by the client's thread.
        self.node = Node(
            name,
            namespace=namespace,
            context=context,
            use_global_arguments=False,
            start_parameter_services=False,
            enable_rosout=False,
        )
        self._changed = threading.Condition()
        self._began = time.monotonic()
        self._status: ManagerStatus | None = None
        self._reports: dict[str, TargetReport] = {}
        self._applications: dict[str, ApplicationSummary] = {}
        self._asked: dict[str, Target] = {}
        self._watches: set[Watch] = set()
        self._clients = {
            service: self.node.create_client(service, self._name(name))
            for service, name in (
                (SetTarget, 'set_target'),
                (AskTarget, 'ask_target'),
                (ClearTarget, 'clear_target'),
            )
        }
        self.node.create_subscription(
            ManagerStatus, self._name('manager_status'), self._on_status, qos.MANAGER_STATUS
        )
        self.node.create_subscription(
            Application,
            self._name('application'),
            self._on_application,
            qos.APPLICATION_SUBSCRIPTION,
        )
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._spin, name='dynamic_dnn_client', daemon=True)
        self._thread.start()

    # What is asked.

    def set_target(self, application: str, **target: Unpack[TargetFields]) -> Answer:
        """
        Ask an application for something, in place of all that it was asked for before.

        An application that is not there keeps its target until it appears.

        :param application: fully qualified name of the inference node, and of its camera where
            that has a name
        :param target: by keyword, see `TargetFields`
        :raises TargetRefusedError: naming the field, its value and the remedy
        :raises ManagerAbsentError: nobody is there to answer
        :raises NoAnswerError: no answer came in time
        """
        response = self._request(SetTarget, application, target)
        answer = _answer_of(response)
        if answer.report is not None and answer.report.target is not None:
            self._asked[application] = answer.report.target
        return answer

    def ask_target(self, application: str, **target: Unpack[TargetFields]) -> Answer:
        """
        Ask what would become of a target if it were set; nothing is changed by it.

        Parameters and errors are those of `set_target`.
        """
        response = self._request(AskTarget, application, target)
        return _answer_of(response)

    def clear_target(self, application: str) -> Answer:
        """
        Withdraw an application's target; without one it is served by the default.

        :raises TargetRefusedError: when the name is none
        :raises ManagerAbsentError: nobody is there to answer
        :raises NoAnswerError: no answer came in time
        """
        request = ClearTarget.Request(application=application, sender=self.sender)
        response = self._call(ClearTarget, request)
        if not response.accepted:
            raise TargetRefusedError(response.message)
        self._asked.pop(application, None)
        return _answer_of(response)

    # What is watched.

    def targets(self) -> dict[str, TargetReport]:
        """
        Return how the target of each application stands, by the newest word of the manager.

        :raises ManagerAbsentError: when no manager says anything in time
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._status is not None, self.timeout):
                raise ManagerAbsentError(self._absent(f'topic {self._name("manager_status")}'))
            return dict(self._reports)

    def manager_status(self) -> ManagerStatus | None:
        """Return the newest `ManagerStatus`, None before the first."""
        return self._status

    def applications(self) -> dict[str, ApplicationSummary]:
        """
        Return the applications that are there, by id, whether there is a manager or not.

        Right after the start of the client, those that are found are waited for.
        """
        with self._changed:
            while not self._has_heard_applications():
                self._changed.wait(SPIN_PERIOD)
            return dict(self._applications)

    def _has_heard_applications(self) -> bool:
        """Tell whether there is nobody left to wait for."""
        if not self._is_alive:
            return True
        passed = time.monotonic() - self._began
        found = self.node.count_publishers(self._name('application'))
        if not found and not self._reports:
            return passed > min(DISCOVERY, self.timeout)
        served = {name for name, one in self._reports.items() if one.state not in _AWAY}
        there = self._applications.keys()
        heard = len(there) >= found and served <= there
        return heard or passed > max(DISCOVERY, self.timeout)

    def watch(self, callback: ReportCallback, application: str = '') -> Watch:
        """
        Call something with each report on a target, in the client's thread, until stopped.

        :param callback: must not block; calls of the client inside it would wait for ever
        :param application: only reports on this one; empty: on all
        """
        watch = Watch(self, application, callback)
        self._watches.add(watch)
        return watch

    def reports(
        self, application: str = '', timeout: float | None = None
    ) -> Iterator[TargetReport]:
        """
        Iterate over the reports on targets as they come.

        :param application: only reports on this one; empty: on all
        :param timeout: s without a report after which the iteration ends; None: never
        """
        waiting: queue.SimpleQueue[TargetReport] = queue.SimpleQueue()
        with self.watch(waiting.put, application):
            while True:
                try:
                    yield waiting.get(timeout=timeout)
                except queue.Empty:
                    return

    def wait_until_met(self, application: str, timeout: float) -> TargetReport:
        """
        Wait until an application's target is met by what is measured.

        The target that this client set last counts, or whatever is in force where it set none.

        :param timeout: s
        :raises NotMetError: when it is not met in time, or at once when it never will be:
            somebody else replaced or cleared it
        """
        asked = self._asked.get(application)
        end = time.monotonic() + timeout
        last, seen = None, False
        waiting: queue.SimpleQueue[TargetReport] = queue.SimpleQueue()
        with self.watch(waiting.put, application):
            # The manager repeats itself once a second only: what it said last may have been all.
            known = self._reports.get(application)
            if known is not None:
                waiting.put(known)
            while True:
                try:
                    report = waiting.get(timeout=max(0.0, end - time.monotonic()))
                except queue.Empty:
                    break
                current = report.target
                if asked is not None:
                    if (current is None and not seen) or _is_older(current, asked):
                        continue  # said before the manager knew of it
                    if current is None or not current.asks_the_same(asked):
                        raise NotMetError(_taken_away(application, current), report)
                    seen = True
                last = report
                if report.state is TargetState.MET:
                    return report
        raise NotMetError(self._why_not_met(application, timeout, last), last)

    def close(self) -> None:
        """End the client; a second time does nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._executor.wake()
        self._thread.join()
        self._executor.shutdown()
        self.node.destroy_node()
        if self._owned_context is not None:
            rclpy.try_shutdown(context=self._owned_context)

    def __enter__(self) -> TargetClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # How it is done.

    @property
    def _is_alive(self) -> bool:
        return not self._closing.is_set() and self.node.context.ok()

    def _name(self, name: str) -> str:
        return f'{self.manager_namespace}/{name}'

    def _spin(self) -> None:
        try:
            while not self._closing.is_set():
                self._executor.spin_once(timeout_sec=SPIN_PERIOD)
        except ExternalShutdownException:
            pass  # the caller has shut its context down

    def _on_status(self, message: ManagerStatus) -> None:
        reports = self._reports_of(message)
        with self._changed:
            self._status = message
            self._reports = {
                report.application: report
                for report in reports
                if report.state is not TargetState.ANSWERED
            }
            self._changed.notify_all()
        for watch in tuple(self._watches):
            for report in reports:
                if report.state is not TargetState.ANSWERED:
                    self._hand_over(watch, report)

    def _reports_of(self, message: ManagerStatus) -> list[TargetReport]:
        reports = []
        for row in message.targets:
            try:
                reports.append(report_of(row))
            except ValueError as error:
                self.node.get_logger().warning(
                    f'Left out what the manager says of {row.application}: {error}. Use one '
                    'release of dynamic_dnn_ros everywhere.',
                    throttle_duration_sec=10.0,
                )
        return reports

    def _hand_over(self, watch: Watch, report: TargetReport) -> None:
        try:
            watch._take(report)
        except Exception:
            watch.stop()
            self.node.get_logger().error(
                f'A callback of watch failed, and is not called again:\n{traceback.format_exc()}'
            )

    def _on_application(self, message: Application) -> None:
        summary = _summary_of(message)
        with self._changed:
            if summary.state is ApplicationState.DEPARTED:
                self._applications.pop(summary.id, None)
            else:
                self._applications[summary.id] = summary
            self._changed.notify_all()

    def _request(self, service: Any, application: str, fields: TargetFields) -> Any:
        unknown = sorted(fields.keys() - TargetFields.__annotations__.keys())
        if unknown:
            raise TypeError(
                f'a target has no field {", ".join(map(repr, unknown))}. Known are: '
                f'{", ".join(TargetFields.__annotations__)}'
            )
        given: dict[str, Any] = {
            name: value for name, value in fields.items() if value is not None
        }
        try:
            if given.get('latency_quantile') == 0:
                raise TargetError(
                    'latency_quantile', 0, 'lies outside (0, 1)', 'Give 0.95, or None for that'
                )
            target = Target(application, sender=self.sender, **given)
        except TargetError as error:
            raise TargetRefusedError(str(error)) from error
        except TypeError as error:
            raise TargetRefusedError(f'{error}. Give numbers: {given}.') from error
        request = service.Request(
            application=target.application,
            sender=target.sender,
            priority=int(target.priority),
            objective=int(target.objective),
            late_frames=int(target.late_frames),
            **{
                name: float(getattr(target, name))
                for name in ('latency', 'accuracy', 'energy', 'rate')
            },
        )
        if target.latency_quantile:
            request.latency_quantile = float(target.latency_quantile)
        response = self._call(service, request)
        if not response.accepted:
            raise TargetRefusedError(response.message)
        return response

    def _call(self, service: Any, request: Any) -> Any:
        if threading.current_thread() is self._thread:
            raise ClientError(
                'a call was made inside a callback of `watch`, whose thread would bring the '
                'answer. Hand it to another thread, or iterate over `reports`.'
            )
        client = self._clients[service]
        end = time.monotonic() + self.timeout
        while not (self._is_alive and client.service_is_ready()):
            if time.monotonic() >= end or not self._is_alive:
                raise ManagerAbsentError(self._absent(f'service {client.srv_name}'))
            time.sleep(0.01)
        done = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: done.set())
        if not done.wait(max(0.1, end - time.monotonic())):
            client.remove_pending_request(future)
            raise NoAnswerError(
                f'service {client.srv_name} did not answer within {self.timeout:g} s. Look at the '
                'log of manager_node, or give the client a longer timeout.'
            )
        return future.result()

    def _absent(self, missing: str) -> str:
        if not self._is_alive:
            return 'the client was closed, or its ROS context was shut down. Make a new client.'
        domain = os.environ.get('ROS_DOMAIN_ID', '0')
        return (
            f'there is no {missing}: no active manager_node works under '
            f'{self.manager_namespace} (ROS_DOMAIN_ID={domain}). Start one (`ros2 launch '
            'dynamic_dnn_ros dynamic_dnn.launch.py`), activate it, or name the '
            'manager_namespace that it has.'
        )

    def _why_not_met(self, application: str, timeout: float, last: TargetReport | None) -> str:
        if last is None:
            if self._status is None:
                return self._absent(f'topic {self._name("manager_status")}')
            return (
                f'the manager says nothing of {application}: no such application is there, and '
                'it has no target. Set one, or name one of: '
                f'{", ".join(sorted(self._reports)) or "none is there"}.'
            )
        said = f': {last.message}' if last.message else ''
        return (
            f'the target of {application} is {last.state.name.lower()} after {timeout:g} s{said}'
        )


def _is_older(current: Target | None, asked: Target) -> bool:
    return current is not None and current.stamp < asked.stamp


def _taken_away(application: str, current: Target | None) -> str:
    if current is None:
        return f'the target of {application} was cleared by somebody else.'
    return f'the target of {application} was replaced by {current.sender or "an unknown sender"}.'


def _answer_of(response: Any) -> Answer:
    """Return the answer of any of the three services."""
    report = None
    status = getattr(response, 'status', None)
    if status is not None and status.application:
        report = report_of(status)
    replaced = response.replaced
    return Answer(
        Expectation(getattr(response, 'expected', Expectation.UNKNOWN)),
        response.message,
        target_of(replaced) if is_application_id(replaced.application) else None,
        report,
    )


def _summary_of(message: Application) -> ApplicationSummary:
    return ApplicationSummary(
        id=message.id,
        state=ApplicationState(message.state),
        bundle=message.bundle,
        task=message.task,
        metric=message.metric,
        engine=message.engine,
        sub_networks=tuple(
            SubNetworkSummary(entry.id, entry.accuracy) for entry in message.sub_networks
        ),
        sub_network=message.sub_network,
        processor=message.processor,
    )
