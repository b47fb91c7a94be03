# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the nodes of this package share: a lifecycle that says why it failed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
import math
import threading
import time
import traceback
from typing import Any, ClassVar

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, State, TransitionCallbackReturn
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from dynamic_dnn_ros.nodes.common import false_arrivals, qos
from dynamic_dnn_ros.nodes.common.diagnostics import Diagnostic, Level, diagnostic_array
from dynamic_dnn_ros.nodes.common.door import UnreadableError, decoded
from dynamic_dnn_ros.nodes.common.giving_way import Sign, Waiting
from dynamic_dnn_ros.nodes.common.message_counts import MessageCounts
from dynamic_dnn_ros.nodes.common.parameters import Parameters, ParameterSpecification
from dynamic_dnn_ros.nodes.common.uniqueness import Identity

#: Parameters of every node.
COMMON_PARAMETERS = (
    ParameterSpecification(
        'autostart',
        True,
        'Configure and activate the node by itself at start; false where a lifecycle manager '
        'does it.',
        at_start=True,
    ),
    ParameterSpecification(
        'manager_namespace',
        '/dynamic_dnn',
        'Namespace of the topics that applications, manager and platform share.',
        check=lambda value: (
            None
            if value.startswith('/') and not value.endswith('/')
            else 'not an absolute namespace. Begin it with "/" and end it without.'
        ),
    ),
)

DIAGNOSTICS_PERIOD = 1.0

COMPLAINT_PERIOD = 10.0
"""Seconds for which the same problem is not logged again."""

LONGEST_COMPLAINT = 2_000
"""Characters of a problem that are logged."""

FIRST_RETRY, LONGEST_RETRY = 5.0, 60.0
"""Seconds until a start that failed is tried again: at first, and at most."""

COMPLAINTS_REMEMBERED = 64
"""Kinds of problems of which that is remembered, the last ones."""


class NodeError(Exception):
    """Something the user has to mend. The text names the input, the problem and the remedy."""


class ManagedNode(LifecycleNode):
    """
    A lifecycle node that reports every failure and survives it.

    A subclass gives `PARAMETERS` and implements `configure`, `activate`, `deactivate` and
    `clean_up`; each may raise. A failed configuration or activation is logged, stands as ERROR
    on `/diagnostics`, and leaves the node ready for another try. `clean_up` has to cope with a
    configuration that got only half way.
    """

    PARAMETERS: ClassVar[tuple[ParameterSpecification, ...]] = ()

    #: Name of the parameter that lists parts which may have parameters of their own.
    PARTS: ClassVar[str] = ''

    def __init__(self, name: str, **arguments: Any) -> None:
        """
        Create the node, unconfigured.

        :param name: node name, as for `rclpy.node.Node`
        :param arguments: handed on to `rclpy.lifecycle.LifecycleNode`
        """
        super().__init__(name, **arguments)
        self._answer_impossible_transitions()
        self.identity = Identity()
        self.problem = ''
        self._active = False
        self._configured = False
        self._steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        # What is to be called soon, from any thread.
        self._soon: deque[Callable[[], None]] = deque()
        self._soon_lock = threading.Lock()
        self._soon_timer = self.create_steady_timer(0.0, self._call_next)
        self._soon_timer.cancel()
        # When a kind of problem was logged last, and how often it has come about since.
        self._complaints: dict[str, tuple[float, int]] = {}
        self.message_counts = MessageCounts()
        self._retry_timer: Timer | None = None
        self._retry_in = 0.0
        self._waiting: Waiting | None = None
        self._owned: list[tuple[Callable[[Any], Any], Any]] = []
        self.parameters = Parameters(
            self,
            (*COMMON_PARAMETERS, *self.PARAMETERS),
            lambda: self._configured,
            self.contradiction,
            lambda: self.call_soon(self.parameters_changed),
            self.PARTS,
        )
        self._name_unknown_parameters()
        self._diagnostics_publisher = self.create_publisher(
            DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS
        )
        self._diagnostics_timer = self.create_steady_timer(
            DIAGNOSTICS_PERIOD, self.publish_diagnostics
        )
        self.create_steady_timer(
            false_arrivals.PERIOD, lambda: false_arrivals.take_what_waits(self)
        )

    # For subclasses to implement.

    def configure(self) -> None:
        """Acquire what the node needs; publishers and subscriptions that work while inactive."""

    def activate(self) -> None:
        """Begin to work."""

    def deactivate(self) -> None:
        """Stop working."""

    def clean_up(self) -> None:
        """Release everything that `configure` acquired, as far as it got."""

    def diagnose(self) -> Sequence[Diagnostic]:
        """Return what the configured node says of itself once a second."""
        return ()

    def contradiction(self, given: Mapping[str, Any]) -> str | None:
        """
        Return what is wrong with parameters that are to be set, beyond each by itself, or None.

        :param given: the new values by name, all of types and within the ranges of the table
        """
        return None

    def parameters_changed(self) -> None:
        """Take note that live parameters may have changed."""

    # For subclasses to use.

    @property
    def identifier(self) -> str:
        """Return the fully qualified name of the node."""
        return str(self.get_fully_qualified_name())

    @property
    def active(self) -> bool:
        """Tell whether the node is in state active."""
        return self._active

    @property
    def configured(self) -> bool:
        """Tell whether the node is in state inactive or active."""
        return self._configured

    def shared_topic(self, name: str) -> str:
        """Return the full name of a topic under parameter `manager_namespace`."""
        return f'{self.parameters["manager_namespace"]}/{name}'

    def create_steady_timer(self, period: float, callback: Callable[[], None]) -> Timer:
        """
        Create a timer, period in seconds, on the monotonic clock.

        With `use_sim_time`, timers of the node's own clock stop while `/clock` does.
        """
        return self.create_timer(period, callback, clock=self._steady_clock)

    def complain(self, text: str, kind: str = '') -> None:
        """
        Log a problem, and the same one not again for a while; then how often it came about.

        :param kind: what makes two problems the same; empty: their text
        """
        if len(text) > LONGEST_COMPLAINT:
            # A message may hold names of any length.
            text = f'{text[:LONGEST_COMPLAINT]} ...'
        now, kind = time.monotonic(), kind or text
        logged, count = self._complaints.pop(kind, (-math.inf, 0))
        if now - logged < COMPLAINT_PERIOD:
            # The one that came about last is the last to be forgotten.
            self._complaints[kind] = logged, count + 1
            return
        self._complaints[kind] = now, 0
        while len(self._complaints) > COMPLAINTS_REMEMBERED:
            del self._complaints[next(iter(self._complaints))]
        self.get_logger().error(f'{text} ({count} more since it was said last)' if count else text)

    def leave_out(self, topic: str, reason: str, text: str) -> None:
        """
        Count a message that is left out, and log why; that one not again for a while.

        :param reason: in a few words, the same for all messages of a kind; `/diagnostics` shows
            how many there were
        :param text: the problem and the remedy
        """
        self.message_counts.leave_out(topic, reason)
        self.complain(text, f'{reason} {topic}')

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Have the executor call something once, outside the present callback."""
        with self._soon_lock:
            self._soon.append(callback)
            # The same timer each time: rclpy keeps 150 bytes of every timer that there ever was.
            self._soon_timer.reset()
        if self.executor is not None:
            self.executor.wake()

    def _call_next(self) -> None:
        with self._soon_lock:
            callback = self._soon.popleft() if self._soon else None
            if not self._soon:
                self._soon_timer.cancel()
        if callback is not None:
            callback()

    def listen(
        self, message_type: type, topic: str, callback: Callable[[Any], None], profile: QoSProfile
    ) -> None:
        """Subscribe to a topic until `destroy_owned`, as `create_checked_subscription` does."""
        subscription = self.create_checked_subscription(message_type, topic, callback, profile)
        self.own(self.destroy_subscription, subscription)

    def create_checked_subscription(
        self, message_type: type, topic: str, callback: Callable[[Any], None], profile: QoSProfile
    ) -> Subscription:
        """
        Subscribe to a topic; what cannot be read is said and left out.

        :param topic: full name, or one that is resolved as usual
        """

        def take(data: bytes) -> None:
            self.message_counts.receive(topic)
            try:
                message = decoded(data, message_type)
            except UnreadableError as error:
                self.leave_out(topic, 'unreadable', f'{topic}: {error}')
                return
            try:
                callback(message)
            except Exception:
                kind = message_type.__name__
                text = f'{topic}: a {kind} is left out, as it made the node fail:\n'
                self.leave_out(topic, 'failure', text + traceback.format_exc())

        return self.create_subscription(message_type, topic, take, profile, raw=True)

    def own(self, destroy: Callable[[Any], Any], entity: Any) -> None:
        """Have `destroy_owned` destroy a publisher, subscription or timer."""
        self._owned.append((destroy, entity))

    def destroy_owned(self) -> None:
        """Destroy what is owned, the latest first."""
        owned, self._owned = self._owned, []
        for destroy, entity in reversed(owned):
            destroy(entity)

    def has_rival(self, published: str, subscribed: str) -> bool:
        """
        Tell whether another living node has the part of this one.

        Who plays a recording publishes what such a node published, but subscribes to nothing.

        :param published: shared topic that only nodes of this kind publish
        :param subscribed: shared topic that they subscribe to
        """
        listening = {
            (info.node_namespace, info.node_name)
            for info in self.get_subscriptions_info_by_topic(self.shared_topic(subscribed))
        }
        publishers = self.get_publishers_info_by_topic(self.shared_topic(published))
        return sum((p.node_namespace, p.node_name) in listening for p in publishers) > 1

    def give_way(self, problem: str, sign: Sign) -> None:
        """
        Stop because another node has the same task.

        The node goes back to unconfigured. With `autostart` it starts again by itself once the
        other one is silent.

        :param problem: which other one, and the remedy
        :param sign: by what that is known
        """

        def give_way() -> None:
            # The other one may have been heard twice before this one stops.
            if not self._configured:
                return
            self.stop()
            if self.parameters['autostart']:
                self._waiting = Waiting(self, sign, self._start_in_its_place)
                after = 'This one starts again by itself when the other one has ended.'
            else:
                after = 'Configure this one again when the other one has ended.'
            self._report(f'{problem} {after}')

        self.call_soon(give_way)

    def _start_in_its_place(self) -> None:
        self._waiting = None
        self.get_logger().warning('The other one is not heard any more: this one starts again.')
        self._start_again()

    def start(self) -> None:
        """
        Configure and activate, where parameter `autostart` asks for it.

        Where that fails it is tried again, after ever longer pauses: what it needs may come late.
        """
        if not self.parameters['autostart']:
            return
        done = self._configured or self.trigger_configure() == TransitionCallbackReturn.SUCCESS
        if done and (self._active or self.trigger_activate() == TransitionCallbackReturn.SUCCESS):
            return
        self._retry_in = min(2 * self._retry_in, LONGEST_RETRY) or FIRST_RETRY
        self._retry_timer = self.create_steady_timer(self._retry_in, self._start_again)

    def _start_again(self) -> None:
        """Try again to start, unless somebody else has done so since."""
        self._try_no_more()
        if not self._active:
            self.start()

    def _try_no_more(self) -> None:
        timer, self._retry_timer = self._retry_timer, None
        if timer is not None:
            timer.cancel()
            self.destroy_timer(timer)
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()

    def stop(self) -> None:
        """Deactivate and clean up, in whatever state the node is; start no more by itself."""
        self._try_no_more()
        if self._active:
            self.trigger_deactivate()
        if self._configured:
            self.trigger_cleanup()

    def publish_diagnostics(self) -> None:
        """Publish the state of the node on `/diagnostics`."""
        if self.problem:
            state = Diagnostic('state', Level.ERROR, self.problem)
        elif self._active:
            state = Diagnostic('state', Level.OK, 'active')
        elif self._configured:
            state = Diagnostic('state', Level.WARNING, 'configured, not active')
        else:
            state = Diagnostic('state', Level.WARNING, 'not configured')
        parts = [state]
        if self._configured:
            parts += [*self.diagnose(), self.message_counts.diagnostic()]
        self._diagnostics_publisher.publish(
            diagnostic_array(
                self.get_clock().now().to_msg(), self.identifier, self.hardware_id(), parts
            )
        )

    def hardware_id(self) -> str:
        """Return what `/diagnostics` names as hardware."""
        return ''

    # Transitions: rclpy swallows what a callback raises, so nothing may leave these.

    def on_configure(self, state: State) -> TransitionCallbackReturn:
        """Run `configure`; on failure clean up and stay unconfigured."""
        try:
            if self.parameters.problems:
                raise NodeError(' '.join(self.parameters.problems))
            self.parameters.take_over()
            self.configure()
        except Exception as error:
            self._failed('configure', error)
            self._attempt('clean up after a failed configuration', self.clean_up)
            return TransitionCallbackReturn.FAILURE
        self._configured = True
        self.problem = ''
        # Whoever has configured it by hand activates it too.
        self._try_no_more()
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: State) -> TransitionCallbackReturn:
        """Run `activate`; on failure stay inactive."""
        try:
            result = super().on_activate(state)
            self.activate()
        except Exception as error:
            self._failed('activate', error)
            self._attempt('deactivate after a failed activation', self.deactivate)
            super().on_deactivate(state)
            return TransitionCallbackReturn.FAILURE
        self._active = True
        self.problem = ''
        return result

    def on_deactivate(self, state: State) -> TransitionCallbackReturn:
        """Run `deactivate`; the node is inactive whatever it raises."""
        self._active = False
        self._attempt('deactivate', self.deactivate)
        return super().on_deactivate(state)

    def on_cleanup(self, state: State) -> TransitionCallbackReturn:
        """Run `clean_up`; the node is unconfigured whatever it raises."""
        self._configured = False
        # Whoever cleans up has taken the node over.
        self._try_no_more()
        self._attempt('clean up', self.clean_up)
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: State) -> TransitionCallbackReturn:
        """Deactivate and clean up, from any state."""
        if self._active:
            self.on_deactivate(state)
        if self._configured:
            self.on_cleanup(state)
        return TransitionCallbackReturn.SUCCESS

    def _name_unknown_parameters(self) -> None:
        """Say which names of a parameter file are none; far from all, they may be another's."""
        misspelt, foreign = [], []
        for name, meant in self.parameters.unknown.items():
            if meant:
                misspelt.append(f'{name!r}{meant}')
            else:
                foreign.append(repr(name))
        said = 'Ignored, as this node has no such parameter: {}. '
        said += f"'ros2 param list {self.identifier}' names those that it has."
        if misspelt:
            self.get_logger().warning(said.format(', '.join(misspelt)))
        if foreign:
            self.get_logger().info(said.format(', '.join(foreign)))

    def _answer_impossible_transitions(self) -> None:
        """
        Have `change_state` answer a transition that the present state does not have.

        rclpy raises inside its service then, and whoever asked would wait for ever.
        """
        for service in self.services:
            if service.srv_type is ChangeState:
                service.callback = self._answering(service.callback)

    def _answering(self, change_state: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def answer(request: Any, response: Any) -> Any:
            try:
                return change_state(request, response)
            except Exception:
                asked = request.transition.label or request.transition.id
                configured = 'inactive' if self._configured else 'unconfigured'
                state = 'active' if self._active else configured
                self.complain(
                    f'Refused transition {asked}: the node is {state}, a state without it. '
                    "'ros2 lifecycle list' names those that there are."
                )
                response.success = False
                return response

        return answer

    def _attempt(self, what: str, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:
            self._failed(what, error)

    def _failed(self, what: str, error: Exception) -> None:
        text = str(error) or type(error).__name__
        if not isinstance(error, (NodeError, ValueError)):
            self.get_logger().error(traceback.format_exc())
        self._report(f'Could not {what}: {text}')

    def _report(self, problem: str) -> None:
        self.problem = problem
        self.get_logger().error(problem)
        self.publish_diagnostics()
