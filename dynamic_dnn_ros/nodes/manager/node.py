# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Meets the targets of all applications: sends them sub-networks, and the platform its clocks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
import math
from pathlib import Path
import time
from typing import Any

from rclpy.duration import Duration
from rclpy.publisher import Publisher
from rclpy.serialization import serialize_message
from std_msgs.msg import String

from dynamic_dnn_ros.management.contract import Decider
from dynamic_dnn_ros.management.decisions import (
    Decision,
    DomainFrequency,
    PlatformState,
    Switch,
    SwitchReason,
    TargetReport,
    TargetState,
)
from dynamic_dnn_ros.management.manager import Manager
from dynamic_dnn_ros.management.no_profile.kept import KeptLearning, default_folder
from dynamic_dnn_ros.management.observations import ApplicationState, Load
from dynamic_dnn_ros.management.registry import UnknownDeciderError, create_decider
from dynamic_dnn_ros.management.targets import LONGEST_ID, Target, TargetError
from dynamic_dnn_ros.management.words import SWITCH_REASONS
from dynamic_dnn_ros.msg import (
    Application,
    DvfsSetting,
    InferenceStatus,
    ManagerInputs,
    ManagerStatus,
    PerformanceTarget,
    SubNetworkSwitch,
    SystemLoad,
)
from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.common.diagnostics import Diagnostic, Level
from dynamic_dnn_ros.nodes.common.door import UnreadableError, decoded
from dynamic_dnn_ros.nodes.common.giving_way import Sign
from dynamic_dnn_ros.nodes.common.lifecycle import ManagedNode, NodeError
from dynamic_dnn_ros.nodes.common.main import run
from dynamic_dnn_ros.nodes.common.memory import return_large_blocks
from dynamic_dnn_ros.nodes.common.message_values import nanoseconds, stamp
from dynamic_dnn_ros.nodes.common.transport import decline_image_profile
from dynamic_dnn_ros.nodes.common.uniqueness import Identity
from dynamic_dnn_ros.nodes.manager.inputs import Input, InputKind, InputLog, abridged
from dynamic_dnn_ros.nodes.manager.kept_targets import KeptTargets, path_of
from dynamic_dnn_ros.nodes.manager.messages import (
    application_of,
    decision_message,
    domain_messages,
    load_of,
    status_of,
    switch_message,
    target_message,
    target_of,
)
from dynamic_dnn_ros.nodes.manager.news import TargetNews, UnmanagedNews, there
from dynamic_dnn_ros.nodes.manager.parameters import MODES, PARAMETERS, manager_settings
from dynamic_dnn_ros.nodes.manager.services import TargetServices
from dynamic_dnn_ros.nodes.manager.summary import summary
from dynamic_dnn_ros.platforms.guard import state_folder
from dynamic_dnn_ros.platforms.load_source import LoadSource
from dynamic_dnn_ros.srv import AskTarget, ClearTarget, SetTarget

LISTENING = 1.5
"""Seconds for which a manager only listens, so that it finds one that is already there."""

PAUSED_PERIODS, LEAST_PAUSE = 3.0, 1.5
"""Periods and seconds without a decision after which this process must have been stopped."""

CATCHING_UP = 1.2
"""Seconds for which it only listens then: every application says within one that it lives."""

STATUS_PERIOD = 1.0
"""Seconds after which `manager_status` is published though nothing has changed."""

LEARNING_PERIOD = 30.0
"""Seconds after which what was learnt is written again."""

SUMMARY_PERIOD = 1.0
"""Seconds between two summaries."""

MOST_ANSWERS = 32
"""Answers that one `manager_status` holds, the last ones."""

RETRY = 0.25
"""Seconds between two tries while another manager still holds the lease."""

FAREWELL = 0.2
"""Seconds that the last message of a node that stops is given to arrive."""


class ManagerNode(ManagedNode):
    """
    Passes messages to a `Manager` and carries out what it decides.

    Of two managers the one that started later gives way. In mode `advise` neither
    switches nor clock settings are published; all that tells of decisions is.
    """

    PARAMETERS = PARAMETERS

    def __init__(self, **arguments: Any) -> None:
        super().__init__('manager_node', **arguments)
        self._switch_publishers: dict[str, Publisher] = {}
        self._manager: Decider = Manager(self.identity.instance)
        self._inputs = InputLog(self.identity.instance, {})
        self._values: dict[str, Any] = {}
        self._decision: Decision | None = None
        self._decisions = 0
        self._answers: list[TargetReport] = []
        self._news, self._unmanaged_news = self._make_news()
        self._served: dict[str, str] = {}
        self._last_status: tuple[float, object] = (-math.inf, None)
        self._deciding = self._wanted = False
        self._rests_until = 0.0
        self._offers_services = False
        self._listening_until = 0.0
        self._awake = 0.0
        self._load: Load | None = None
        self._load_source = LoadSource()
        self._load_received = 0.0
        self._setting: tuple[DomainFrequency, ...] | None = None
        self._setting_sequence = 0
        self._setting_sent = 0.0
        self._kept_targets: KeptTargets | None = None
        self._kept_learning: KeptLearning | None = None

    def configure(self) -> None:
        """Take the parameters over; nothing is known of applications or targets."""
        values = self._values = self._parameter_values()
        try:
            self._manager = create_decider(
                values['decider'], self.identity.instance, manager_settings(values)
            )
        except UnknownDeciderError as error:
            raise NodeError(f"parameter 'decider': {error}") from error
        self._recall(values['learnt_folder'])
        self._inputs = InputLog(self.identity.instance, values)
        self._decisions = 0
        self._decision = None
        self._news, self._unmanaged_news = self._make_news()
        self._served = {}
        self._load = None
        self._load_source = LoadSource()
        self._setting = None

    def _recall(self, folder: str) -> None:
        """Go on with what earlier managers learnt of bundles without a profile."""
        self._kept_learning = None
        if isinstance(self._manager, Manager) and folder != 'none':
            self._kept_learning = KeptLearning(Path(folder) if folder else default_folder())
            found, problems = self._kept_learning.read()
            self._manager.remember(found)
            for problem in problems:
                self.complain(problem, 'kept learning')

    def _keep_learning(self) -> None:
        if self._kept_learning is None or not isinstance(self._manager, Manager):
            return
        try:
            self._kept_learning.keep(self._manager.memories())
        except OSError as error:
            self.complain(
                f'What is learnt is not kept for the next start: {error}. Set parameter '
                "'learnt_folder' to a folder that this user may write, or to 'none'.",
                'kept learning',
            )

    def _make_news(self) -> tuple[TargetNews, UnmanagedNews]:
        # By a call each: rclpy wants each place of the code to log with one severity.
        def inform(text: str) -> None:
            self.get_logger().info(text)

        def warn(text: str) -> None:
            self.get_logger().warning(text)

        return TargetNews(inform, warn), UnmanagedNews(inform, warn)

    def activate(self) -> None:
        """Listen for a moment, then decide."""
        self._awake = time.monotonic()
        self._listening_until = self._awake + LISTENING
        self._status_publisher = self._publisher(
            ManagerStatus, 'manager_status', qos.MANAGER_STATUS
        )
        self._last_status = (-math.inf, None)
        self._summary_publisher = self._publisher(String, 'summary', qos.SUMMARY)
        self._setting_publisher = self._publisher(DvfsSetting, 'dvfs_setting', qos.DVFS_SETTING)
        self._inputs_publisher = self._publisher(
            ManagerInputs, 'manager_inputs', qos.MANAGER_INPUTS
        )
        for kind, message_type, topic, callback, profile in (
            (
                InputKind.APPLICATION,
                Application,
                'application',
                self._on_application,
                qos.APPLICATION_SUBSCRIPTION,
            ),
            (
                InputKind.INFERENCE_STATUS,
                InferenceStatus,
                'inference_status',
                self._on_status,
                qos.INFERENCE_STATUS,
            ),
            (
                InputKind.PERFORMANCE_TARGET,
                PerformanceTarget,
                'performance_target',
                self._on_target,
                qos.PERFORMANCE_TARGET,
            ),
            (InputKind.SYSTEM_LOAD, SystemLoad, 'system_load', self._on_load, qos.SYSTEM_LOAD),
        ):
            subscription = self.create_subscription(
                message_type,
                self.shared_topic(topic),
                self._taking(kind, message_type, topic, callback),
                profile,
                raw=True,
            )
            self.own(self.destroy_subscription, subscription)
        self.listen(
            ManagerStatus,
            self.shared_topic('manager_status'),
            self._on_manager,
            qos.MANAGER_STATUS,
        )
        self._recover_targets()
        for period, action in (
            (self.parameters['resource_period'], self._decide),
            (self.parameters['lease'] / 3, self._renew),
            (STATUS_PERIOD, self._keep_targets),
            (LEARNING_PERIOD, self._keep_learning),
            (SUMMARY_PERIOD, self._publish_summary),
        ):
            self.own(self.destroy_timer, self.create_steady_timer(period, action))
        self.get_logger().info(f'Manager in mode {self.parameters["mode"]}')

    def _recover_targets(self) -> None:
        """Take over what a manager that crashed was asked; applications echo most of it."""
        domain, namespace = self.context.get_domain_id(), self.parameters['manager_namespace']
        self._kept_targets = KeptTargets(path_of(state_folder(), domain, namespace))
        for target in self._kept_targets.left_behind():
            self.take_target(target_message(target))

    def _keep_targets(self) -> None:
        """Keep the targets in force for a manager that is started after a crash of this one."""
        targets = self._manager.targets
        try:
            if self._kept_targets is not None and self._offers_services:
                held = [targets.get(name) for name in sorted(targets)]
                self._kept_targets.keep([target for target in held if target is not None])
        except OSError as error:
            self.complain(
                f'Targets are not kept for a restart after a crash: {error}. Set '
                'XDG_RUNTIME_DIR to a folder that this user may write.',
                'kept targets',
            )

    def parameters_changed(self) -> None:
        """Decide anew, by what the live parameters are now."""
        self._decide_soon()

    def _parameter_values(self) -> dict[str, Any]:
        return {row.name: self.parameters[row.name] for row in PARAMETERS}

    def _adjust(self) -> None:
        """Have the next decision made by what the live parameters are now."""
        values = self._parameter_values()
        changed = {name: value for name, value in values.items() if value != self._values[name]}
        if changed:
            self._values = values
            self._manager.adjust(manager_settings(values))
            self._inputs.adjust(values)
            said = ', '.join(f'{name} = {value}' for name, value in changed.items())
            self.get_logger().info(f'From now on {said}')

    def deactivate(self) -> None:
        """Give the clocks back; the applications go on as they are."""
        try:
            if self._setting is not None:
                self._send_setting(None)
                self._setting_publisher.wait_for_all_acked(Duration(seconds=FAREWELL))
            self._keep_learning()
        finally:
            self.destroy_owned()
            for publisher in self._switch_publishers.values():
                self.destroy_publisher(publisher)
            self._switch_publishers.clear()
            if self._kept_targets is not None and self._offers_services:
                self._kept_targets.forget()
            self._offers_services = False
            # What is said on /diagnostics is of now.
            self._decision = None

    def clean_up(self) -> None:
        """Forget applications and targets; the applications keep their targets."""
        self._manager = Manager(self.identity.instance)

    def diagnose(self) -> Sequence[Diagnostic]:
        """Say which targets are missed, and whether there is a platform."""
        decision = self._decision
        if decision is None:
            return ()
        missed = {
            report.application: report.message or 'missed'
            for report in decision.reports
            if report.state in (TargetState.MISSED, TargetState.INFEASIBLE, TargetState.REFUSED)
        }
        text = f'{len(missed)} of {len(decision.reports)} targets missed' if missed else 'met'
        if decision.platform_state is PlatformState.FRESH:
            platform = Diagnostic('platform', Level.OK, self._platform_id())
        else:
            platform = Diagnostic(
                'platform',
                Level.WARNING,
                f'system_load is {decision.platform_state.name.lower()}: clocks are left alone. '
                'Check that the platform node runs.',
            )
        return (
            Diagnostic('targets', Level.WARNING if missed else Level.OK, text, missed),
            _applications_diagnostic(len(self._served), self._unmanaged(decision.reports)),
            platform,
        )

    def _unmanaged(self, reports: Sequence[TargetReport]) -> dict[str, str]:
        """Return the applications that serve and that nothing is decided for, and why."""
        return {
            report.application: report.message
            for report in reports
            # What was decided has a reason.
            if report.application in self._served
            and report.application in self._manager.applications
            and report.message
            and not report.reason
            and report.state is not TargetState.REFUSED
        }

    # What arrives.

    def _taking(
        self,
        kind: InputKind,
        message_type: type,
        topic: str,
        callback: Callable[[Any, float, int], None],
    ) -> Callable[[bytes], None]:
        """Return a callback that notes a message with its times, and hands all of that on."""

        def take(data: bytes) -> None:
            now, arrival = time.monotonic(), self.get_clock().now().nanoseconds
            self.message_counts.receive(topic)
            try:
                message = decoded(data, message_type)
                if kind is InputKind.APPLICATION:
                    data = abridged(message)
                self._inputs.add(Input(kind, now, arrival, data))
                callback(message, now, arrival)
            except UnreadableError as error:
                self.leave_out(topic, 'unreadable', f'{topic}: {error}')
            except Exception as error:
                problem = f'{type(error).__name__}: {error}'
                kind_of = message_type.__name__
                self.leave_out(topic, 'failure', f'A {kind_of} is left out ({problem}).')

        return take

    def _on_application(self, message: Application, now: float, arrival: int) -> None:
        try:
            application, problem = application_of(message)
        except ValueError as error:
            self.leave_out('application', 'contradictory', f'Ignored an application: {error}')
            return
        if problem:
            self.leave_out('application', 'points left out', f'{message.id}: {problem}')
        served = self._served.pop(application.id, '')
        changed = self._manager.add_application(application, now)
        if application.state is ApplicationState.ACTIVE:
            if application.id in self._manager.applications:
                on = f'{application.sub_network} on {application.processor}'
                self._served[application.id] = on
            else:
                self.leave_out(
                    'application',
                    'too many',
                    f'{application.id} is not managed: {len(self._manager.applications)} '
                    'applications are already. End some of them.',
                )
        if changed:
            serves = self._served.get(application.id, '')
            if not (served and serves):
                said = f'{application.id} is {application.state.name.lower()}'
                self.get_logger().info(f'{said}, serves {serves}' if serves else said)
            self._decide_soon()

    def _on_status(self, message: InferenceStatus, now: float, arrival: int) -> None:
        try:
            status = status_of(message)
        except ValueError as error:
            name = message.application[:LONGEST_ID]
            self.leave_out(
                'inference_status', 'contradictory', f'Ignored a status of {name}: {error}'
            )
            return
        self._decide_if_wanted(self._manager.observe(status, now), now)

    def _on_target(self, message: PerformanceTarget, now: float, arrival: int) -> None:
        self._carry_out(message, now, arrival)

    def _carry_out(self, message: PerformanceTarget, now: float, arrival: int) -> str:
        """Set, clear or ask; return why the message was refused, empty if it was not."""
        sender, refused = message.sender[:LONGEST_ID], ''
        before = self.target_in_force(message.application)
        try:
            if message.action == PerformanceTarget.ACTION_CLEAR:
                asked = nanoseconds(message.header.stamp)
                self._manager.clear_target(message.application, asked, arrival, sender)
                self._news.cleared(message.application, before, sender, now)
            elif message.action == PerformanceTarget.ACTION_ASK:
                self._answers.append(self._manager.ask(target_of(message), now))
                del self._answers[:-MOST_ANSWERS]
            else:
                target = self._manager.set_target(target_of(message), arrival)
                self._news.accepted(target, before, self._metric(target.application), now)
        except TargetError as error:
            refused = str(error)
            self._manager.refuse_target(message.application, sender, error)
            if error.field == 'application':
                refused += f'. {there(self.applications)}'
            self.leave_out(
                'performance_target',
                f'{error.field} refused',
                f'Refused a target of {sender or "unknown sender"} for '
                f'{message.application[:LONGEST_ID] or "no application"}: {refused}',
            )
        self._decide_soon()
        return refused

    def _on_load(self, message: SystemLoad, now: float, arrival: int) -> None:
        try:
            load = load_of(message)
        except ValueError as error:
            self.leave_out('system_load', 'contradictory', f'Ignored a system_load: {error}')
            return
        if self._load_source.takes(
            load.platform, load.instance, load.monotonic_time, load.period, now
        ):
            self._load, self._load_received = load, now
        elif load.platform != self._platform_id():
            self.leave_out(
                'system_load',
                'another platform',
                f'Ignored a system_load of platform {load.platform!r}: {self._platform_id()!r} is '
                'heard too. Run one platform node, or give each computer its own '
                "'manager_namespace'.",
            )
        else:
            self.message_counts.leave_out('system_load', 'out of order')
        self._decide_if_wanted(self._manager.observe_load(load, now), now)
        if self._setting is not None and load.lease_manager != self.identity.instance:
            if now - self._setting_sent >= RETRY:
                self._send_setting(self._setting)

    def _on_manager(self, message: ManagerStatus) -> None:
        if not self.active or not self._is_older(message):
            return
        if self.has_rival('manager_status', 'performance_target'):
            topic = self.shared_topic('manager_status')
            self.give_way(
                f'Another manager ({message.instance}) already works under '
                f'{self.parameters["manager_namespace"]}; this one gives way. End the other, or '
                "give one of them another parameter 'manager_namespace'.",
                Sign(ManagerStatus, topic, qos.MANAGER_STATUS, self._is_older),
            )

    def _is_older(self, message: ManagerStatus) -> bool:
        """Tell whether a status is that of a manager that this one has to give way to."""
        other = Identity(message.instance, nanoseconds(message.started))
        return self.identity.gives_way_to(other)

    # What the services ask for.

    @property
    def advises(self) -> bool:
        """Tell whether decisions are only published, not carried out."""
        return bool(self._values['mode'] == 'advise')

    @property
    def applications(self) -> Collection[str]:
        """Return the ids of the applications that are there."""
        return self._manager.applications

    def target_in_force(self, application: str) -> Target | None:
        """Return the target of an application, or none."""
        return self._manager.targets.get(application)

    def take_target(self, message: PerformanceTarget) -> str:
        """Take a target as if it had come on the topic; return why it was refused, or nothing."""
        now, arrival = time.monotonic(), self.get_clock().now().nanoseconds
        data = bytes(serialize_message(message))
        self._inputs.add(Input(InputKind.PERFORMANCE_TARGET, now, arrival, data))
        return self._carry_out(message, now, arrival)

    def ask_about(self, target: Target) -> TargetReport:
        """Return what would become of a target."""
        return self._manager.ask(target, time.monotonic())

    def decide_now(self) -> Sequence[TargetReport]:
        """Decide, and return how each target stands."""
        before = self._decision
        self._decide()
        made = self._decision
        # A decider may have failed; what it decided before says nothing of what is asked now.
        return made.reports if made is not None and made is not before else ()

    def _offer_services(self) -> None:
        """Offer the services once it is settled that there is no other manager."""
        self._offers_services = True
        services = TargetServices(self)
        for kind, name, callback in (
            (SetTarget, 'set_target', services.set),
            (AskTarget, 'ask_target', services.ask),
            (ClearTarget, 'clear_target', services.clear),
        ):
            service = self.create_service(kind, self.shared_topic(name), callback)
            self.own(self.destroy_service, service)

    # What is done about it.

    @contextmanager
    def _alone(self, what: str) -> Iterator[None]:
        """Have a failure cost what it happens in alone."""
        try:
            yield
        except UnreadableError as error:
            self.complain(str(error), what)
        except Exception as error:
            self.complain(f'{what} ({type(error).__name__}: {error}).', what)

    def _decide_soon(self) -> None:
        """Decide once everything that has arrived by now is taken in."""
        if not self._deciding:
            self._deciding = True
            self.call_soon(self._decide)

    def _decide_if_wanted(self, wanted: bool, now: float) -> None:
        """
        Decide for what was observed, but listen for as long as the last decision took.

        Otherwise a crowd of applications that all miss their targets has each of its statuses
        wait for a decision, until those that are left out look silent.
        """
        self._wanted |= wanted
        if self._wanted and now >= self._rests_until:
            self._decide_soon()

    def _decide(self) -> None:
        begun = time.monotonic()
        self._deciding = self._wanted = False
        self._decide_and_say(begun)
        ended = time.monotonic()
        self._rests_until = ended + (ended - begun)

    def _decide_and_say(self, now: float) -> None:
        self._notice_pause(now)
        if not self.active or now < self._listening_until:
            return
        if not self._offers_services:
            self._offer_services()
        self._adjust()
        started = time.perf_counter()
        try:
            decision = self._manager.choose(now)
        except Exception as error:
            # What is served goes on, and so does the lease: the next decision may succeed.
            self.complain(
                f'Decider {self.parameters["decider"]!r} failed '
                f'({type(error).__name__}: {error}): everything stays as it is. '
                "Set parameter 'decider' to another one and configure the node again.",
                'decider',
            )
            return
        duration = time.perf_counter() - started
        self._decisions += 1
        for switch in decision.switches:
            with self._alone(f'{switch.application}: the switch cannot be sent'):
                self._send_switch(switch)
        for name in set(self._switch_publishers) - set(self._manager.applications):
            self.destroy_publisher(self._switch_publishers.pop(name))
        for name in set(self._served) - set(self._manager.applications):
            del self._served[name]
        if decision.setting != self._setting:
            self._send_setting(decision.setting)
        # Whom a decision concerns has it by now; the reasons take longer.
        self._decision = decision
        with self._alone('How targets stand cannot be reported'):
            self._decision = self._manager.reported(decision)
        with self._alone('manager_status cannot be published'):
            self._publish_status(self._decision, duration)
        advice_beside = self._served if self.advises else None
        self._news.decided(self._decision.reports, self.applications, advice_beside, now)
        self._unmanaged_news.decided(self._unmanaged(self._decision.reports), now)
        inputs = self._inputs.message(self._decisions, now)
        inputs.header.stamp = self.get_clock().now().to_msg()
        self._inputs_publisher.publish(inputs)

    def _notice_pause(self, now: float) -> None:
        """
        Decide nothing for a moment once this process was stopped.

        Whoever was not heard meanwhile was not silent: what they said is still to be taken in.
        """
        stopped, self._awake = now - self._awake, now
        if stopped > max(PAUSED_PERIODS * self.parameters['resource_period'], LEAST_PAUSE):
            self._listening_until = max(self._listening_until, now + CATCHING_UP)
            self.get_logger().warning(
                f'This node was stopped for {stopped:.1f} s: it listens before it decides again.'
            )

    def _renew(self) -> None:
        if self.active and self._setting is not None:
            self._send_setting(self._setting)

    def _send_switch(self, switch: Switch) -> None:
        publisher = self._switch_publishers.get(switch.application)
        if publisher is None:
            publisher = self.create_publisher(
                SubNetworkSwitch,
                f'{switch.application}/sub_network_switch',
                qos.SUB_NETWORK_SWITCH,
            )
            self._switch_publishers[switch.application] = publisher
        message = switch_message(switch, self.identity.instance)
        message.header.stamp = self.get_clock().now().to_msg()
        publisher.publish(message)
        if not switch.again and switch.reason is not SwitchReason.TARGET_ECHO:
            self.get_logger().info(
                f'{switch.application}: switched to {switch.sub_network} on {switch.processor}, '
                f'because {SWITCH_REASONS[switch.reason]}'
            )

    def _send_setting(self, setting: tuple[DomainFrequency, ...] | None) -> None:
        """Ask the platform for frequencies, or give the lease back."""
        self._setting = setting
        if self._load is None:
            return
        now = time.monotonic()
        self._setting_sequence += 1
        self._setting_sent = now
        message = DvfsSetting(
            platform=self._load.platform,
            boot_id=self._load.boot_id,
            manager=self.identity.instance,
            sequence=self._setting_sequence,
            issued=self._load.monotonic_time + (now - self._load_received),
            lease=self.parameters['lease'],
            release=setting is None,
            domains=domain_messages(setting or ()),
        )
        message.header.stamp = self.get_clock().now().to_msg()
        self._setting_publisher.publish(message)

    def _metric(self, application: str) -> str:
        """Return what accuracy of an application is, as it was reported last; empty: not known."""
        reports = self._decision.reports if self._decision is not None else ()
        return next((one.metric for one in reports if one.application == application), '')

    def _publish_summary(self) -> None:
        if self._decision is not None and self._summary_publisher.get_subscription_count():
            text = summary(self._decision, self.advises, self._platform_id(), self._served)
            self._summary_publisher.publish(String(data=text))

    def _publish_status(self, decision: Decision, duration: float) -> None:
        """Publish how targets stand: where that has changed, after an answer, or once a second."""
        answers, self._answers = self._answers, []
        now, (last, before) = time.monotonic(), self._last_status
        said = self._gist(decision)
        # Decisions come twice a second: half of that is lost time.
        if said == before and not answers and now - last < STATUS_PERIOD - 0.1:
            return
        self._last_status = now, said
        message = decision_message(replace(decision, reports=(*decision.reports, *answers)))
        message.header.stamp = self.get_clock().now().to_msg()
        message.instance = self.identity.instance
        message.started = stamp(self.identity.started)
        message.mode = int(MODES[self._values['mode']])
        message.platform = self._platform_id()
        message.holds_lease = self._holds_lease(decision)
        message.decision_time = duration
        message.decisions = self._decisions
        self._status_publisher.publish(message)

    def _gist(self, decision: Decision) -> object:
        """Return what of a decision is news; figures and the words that go with them are not."""
        return (
            self.advises,
            decision.platform_state,
            self._platform_id(),
            self._holds_lease(decision),
            decision.domains,
            bool(decision.message),
            tuple(
                (
                    report.application,
                    report.state,
                    report.target,
                    report.decision.sub_network,
                    report.decision.processor,
                )
                for report in decision.reports
            ),
        )

    def _holds_lease(self, decision: Decision) -> bool:
        return (
            decision.platform_state is PlatformState.FRESH
            and self._load is not None
            and self._load.lease_manager == self.identity.instance
        )

    def _platform_id(self) -> str:
        return self._load.platform if self._load is not None else ''

    def _publisher(self, message_type: type, topic: str, profile: Any) -> Publisher:
        publisher = self.create_publisher(message_type, self.shared_topic(topic), profile)
        self.own(self.destroy_publisher, publisher)
        return publisher


def _applications_diagnostic(count: int, unmanaged: dict[str, str]) -> Diagnostic:
    if unmanaged:
        text = f'{len(unmanaged)} of {count} applications are not managed'
        return Diagnostic('applications', Level.WARNING, text, unmanaged)
    return Diagnostic('applications', Level.OK, f'{count} applications are managed')


def main() -> int:
    """Run the node as a process."""
    decline_image_profile()
    return_large_blocks()
    return run(ManagerNode)
