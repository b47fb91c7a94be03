# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishes the load of the platform, and sets its frequencies while a manager's lease lasts."""

from __future__ import annotations

from collections.abc import Sequence
import math
from pathlib import Path
import time
from typing import Any

from rclpy.timer import Timer

from dynamic_dnn_ros.msg import DvfsSetting, InferenceStatus, SystemLoad
from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.common.diagnostics import Diagnostic, Level
from dynamic_dnn_ros.nodes.common.lifecycle import ManagedNode, Problem
from dynamic_dnn_ros.nodes.common.main import run
from dynamic_dnn_ros.nodes.common.message_values import named_values, nanoseconds, stamp
from dynamic_dnn_ros.nodes.common.parameters import ParameterSpecification
from dynamic_dnn_ros.nodes.common.transport import decline_image_profile
from dynamic_dnn_ros.nodes.common.uniqueness import Identity
from dynamic_dnn_ros.nodes.platform.messages import frequency_domain, setting_of
from dynamic_dnn_ros.platforms.contract import (
    DomainRange,
    Notice,
    NoticeKind,
    Platform,
    PlatformError,
)
from dynamic_dnn_ros.platforms.guard import Guard
from dynamic_dnn_ros.platforms.lease import LeaseKeeper, Setting, SettingRefused, SettingResult
from dynamic_dnn_ros.platforms.registry import AUTOMATIC, PlatformOptions, make_platform
from dynamic_dnn_ros.platforms.simulated import SimulatedPlatform
from dynamic_dnn_ros.platforms.sysfs import boot_id

RESTORE_PERIOD = 1.0
"""Seconds between two tries to restore what a file refused to take back."""

_FOREIGN_LOAD = 'Simulated platforms: load of the {} that is not ours, at its highest frequency.'


class PlatformNode(ManagedNode):
    """
    The one node that touches the hardware's clocks.

    A setting is a lease: when it ends, when the node ends, and after a crash, what was found
    before it is in force again; the last is the guard process's task.
    """

    PARAMETERS = (
        ParameterSpecification(
            'platform',
            AUTOMATIC,
            "What to read and set: 'auto' is this computer, as a 'jetson' if it is one or as "
            "plain 'linux'; 'xavier_nx_simulated' and 'orin_nx_simulated' are models of Jetsons.",
        ),
        ParameterSpecification(
            'rate', 10.0, 'How often the load is published.', 'Hz', minimum=0.2, maximum=100.0
        ),
        ParameterSpecification(
            'manage_cpu', False, 'Whether CPU clocks of a real computer may be set.'
        ),
        ParameterSpecification(
            'manage_gpu', True, 'Whether GPU clocks of a real computer may be set.'
        ),
        ParameterSpecification(
            'manage_memory',
            False,
            'Whether the memory clock of a Jetson may be set; its files are open to root only.',
        ),
        ParameterSpecification(
            'jetson_stats',
            False,
            'Whether a Jetson is read through jetson-stats too, where that is installed; it is '
            'licensed under the AGPL.',
        ),
        ParameterSpecification(
            'state_folder',
            '',
            'Folder for what the next start has to restore; empty: /run/dynamic_dnn_ros, '
            'XDG_RUNTIME_DIR, /run or the temporary folder, the first that can be written.',
        ),
        ParameterSpecification(
            'maximum_lease',
            30.0,
            'Longest lease that is accepted.',
            's',
            minimum=0.1,
            maximum=3600.0,
        ),
        ParameterSpecification(
            'sysfs_root', '/', "Folder that holds 'sys'; another one for tests."
        ),
        ParameterSpecification(
            'power_mode',
            '',
            "Simulated platforms: the board's power mode, e.g. '15W_6CORE'; empty: its default.",
        ),
        ParameterSpecification(
            'seed', 0, 'Simulated platforms: seed of how this board deviates from its model.'
        ),
        *(
            ParameterSpecification(
                f'foreign_load_{domain}',
                0.0,
                _FOREIGN_LOAD.format(domain),
                minimum=0.0,
                maximum=1.0,
                live=True,
            )
            for domain in ('cpu', 'gpu', 'memory')
        ),
    )

    def __init__(self, **arguments: Any) -> None:
        super().__init__('platform_node', **arguments)
        self._platform: Platform | None = None
        self._guard: Guard | None = None
        self._lease: LeaseKeeper | None = None
        self._boot_id = boot_id()
        self._last: tuple[SettingResult, str, int, str] = (SettingResult.NONE, '', 0, '')
        self._lease_timer: Timer | None = None
        self._notices: tuple[Notice, ...] = ()
        self._unrestored = ''

    def configure(self) -> None:
        """Find the platform; where it has something to restore, get a guard and recover."""
        now = time.monotonic()
        try:
            self._platform = make_platform(
                self.parameters['platform'],
                now,
                PlatformOptions(
                    sysfs_root=self.parameters['sysfs_root'],
                    manage_cpu=self.parameters['manage_cpu'],
                    manage_gpu=self.parameters['manage_gpu'],
                    manage_memory=self.parameters['manage_memory'],
                    jetson_stats=self.parameters['jetson_stats'],
                    seed=self.parameters['seed'],
                    power_mode=self.parameters['power_mode'],
                    foreign_load=self._foreign_load(),
                ),
            )
            if self._platform.limits_found():
                self._guard = self._new_guard()
        except PlatformError as error:
            raise Problem(str(error)) from error
        self._lease = LeaseKeeper(
            self._platform.id, self._boot_id, self.parameters['maximum_lease']
        )
        self._last = (SettingResult.NONE, '', 0, '')
        settable = [row.name for row in self._platform.limits() if row.available]
        self.get_logger().info(
            f'Platform {self._platform.id} ({self._platform.kind.name.lower()}); '
            f'frequencies are set of: {", ".join(settable) or "no domain"}'
        )

    def _new_guard(self) -> Guard:
        """Return a guard that has restored what an earlier run left behind."""
        folder = self.parameters['state_folder']
        guard = Guard(
            self.parameters['sysfs_root'],
            self._boot_id,
            Path(folder).expanduser() if folder else None,
        )
        try:
            recovered = guard.recover()
        except PlatformError:
            guard.close()
            raise
        if recovered:
            self.get_logger().warning(
                f'Restored {len(recovered)} limits that an earlier run left behind'
            )
        return guard

    def activate(self) -> None:
        """Begin to publish and to accept settings."""
        publisher = self.create_publisher(
            SystemLoad, self.shared_topic('system_load'), qos.SYSTEM_LOAD
        )
        self._publisher = publisher
        self.own(self.destroy_publisher, publisher)
        for message_type, topic, callback, profile in (
            (DvfsSetting, 'dvfs_setting', self._on_setting, qos.DVFS_SETTING),
            (InferenceStatus, 'inference_status', self._on_status, qos.INFERENCE_STATUS),
            (SystemLoad, 'system_load', self._on_load, qos.SYSTEM_LOAD),
        ):
            subscription = self.create_subscription(
                message_type, self.shared_topic(topic), callback, profile
            )
            self.own(self.destroy_subscription, subscription)
        period = 1.0 / self.parameters['rate']
        self.own(self.destroy_timer, self.create_steady_timer(period, self._publish))
        self.own(
            self.destroy_timer, self.create_steady_timer(RESTORE_PERIOD, self._restore_the_rest)
        )
        self._lease_timer = self.create_steady_timer(
            self.parameters['maximum_lease'], self._on_expiry
        )
        self._lease_timer.cancel()
        self.own(self.destroy_timer, self._lease_timer)

    def deactivate(self) -> None:
        """End the lease, restore, and be silent."""
        self.destroy_owned()
        self._lease_timer = None
        if self._lease is not None:
            self._lease.end()
        self._restore()

    def clean_up(self) -> None:
        """Let go of the platform; the guard ends, and restores what could not be restored."""
        guard, self._guard = self._guard, None
        platform, self._platform, self._lease = self._platform, None, None
        self._notices, self._unrestored = (), ''
        if platform is not None:
            platform.close()
        if guard is not None:
            guard.close()

    def hardware_id(self) -> str:
        """Return the platform's id."""
        return self._platform.id if self._platform is not None else ''

    def diagnose(self) -> Sequence[Diagnostic]:
        """Return how the last setting fared, who holds the lease, and what was noticed."""
        if self._lease is None:
            return ()
        result, message, sequence, manager = self._last
        refused = result >= SettingResult.REFUSED_PLATFORM
        level = Level.WARNING if refused or result is SettingResult.LIMITED else Level.OK
        now = time.monotonic()
        return (
            Diagnostic(
                'setting',
                level,
                message or result.name.lower(),
                {
                    'lease_manager': self._lease.holder(now) or 'none',
                    'lease_remaining': f'{self._lease.remaining(now):.1f} s',
                    'setting_sequence': sequence,
                    'setting_manager': manager or 'none',
                },
            ),
            self._diagnose_hardware(),
        )

    def _diagnose_hardware(self) -> Diagnostic:
        if self._unrestored:
            return Diagnostic('hardware', Level.ERROR, f'Not restored yet: {self._unrestored}')
        if not self._notices:
            return Diagnostic('hardware', Level.OK, 'nothing to notice')
        return Diagnostic(
            'hardware',
            Level.WARNING,
            '; '.join(notice.text for notice in self._notices),
            {f'{i}: {n.kind.value}': n.text for i, n in enumerate(self._notices, 1)},
        )

    def _foreign_load(self) -> dict[str, float]:
        return {
            domain: self.parameters[f'foreign_load_{domain}']
            for domain in ('cpu', 'gpu', 'memory')
        }

    def _on_status(self, message: InferenceStatus) -> None:
        if self._platform is None:
            return
        busy = {row.name: row.value for row in message.busy if 0.0 <= row.value < math.inf}
        self._platform.observe(
            time.monotonic(),
            message.application,
            message.instance,
            message.processor,
            busy,
            message.served,
        )

    def _on_load(self, message: SystemLoad) -> None:
        if not self.active or not self.identity.gives_way_to(
            Identity(message.instance, nanoseconds(message.started))
        ):
            return
        if self.has_rival('system_load', 'dvfs_setting'):
            where = f'on topic {self.shared_topic("system_load")}'
            remedy = (
                'Run one platform node on a board: stop one of them, then configure this one'
                if message.boot_id == self._boot_id
                else "Give each computer its own 'manager_namespace'"
            )
            self.give_way(
                f'platform node {self.identifier}: another one ({message.platform}, instance '
                f'{message.instance}) was here first {where}. {remedy}.'
            )

    def _on_setting(self, message: DvfsSetting) -> None:
        if self._platform is None or self._lease is None:
            return
        setting = setting_of(message)
        now = time.monotonic()
        # A lease that ended in this instant must not count as held by another manager.
        if self._lease.expired(now):
            self._finish(SettingResult.EXPIRED, 'the lease ran out')
        try:
            ranges = self._lease.judge(setting, now, self._platform.limits())
            result, text = self._take(setting, ranges, now)
        except SettingRefused as refusal:
            result, text = refusal.result, str(refusal)
        except PlatformError as error:
            result, text = SettingResult.REFUSED_HARDWARE, str(error)
            self._lease.end()
            self._restore()
        if result >= SettingResult.REFUSED_PLATFORM:
            # A manager asks again four times a second, and counts its settings.
            self.complain(f'Setting refused: {text}', f'{result.name} {setting.manager}')
        self._last = (result, text, setting.sequence, setting.manager)
        self._watch_lease(now)
        self._publish()

    def _take(
        self, setting: Setting, ranges: tuple[DomainRange, ...], now: float
    ) -> tuple[SettingResult, str]:
        assert self._platform is not None and self._lease is not None
        if setting.release:
            self._lease.end()
            return SettingResult.RELEASED, self._restore()
        found = self._platform.limits_found()
        if found and self._guard is None:
            self._guard = self._new_guard()  # at the start there was nothing to set
            found = self._platform.limits_found()
        if self._guard is not None:
            self._guard.arm(found)
        if not self._lease.holder(now):
            self._unrestored = ''  # what is left over is part of the new setting's restoration
        grants = {grant.name: grant for grant in self._platform.apply(now, ranges)}
        self._lease.hold(setting, now)
        short = [
            f'{row.name} was granted at most {grants[row.name].maximum:.0f} Hz, '
            f'{row.minimum:.0f} Hz were asked for'
            for row in ranges
            if row.name in grants and grants[row.name].maximum < row.minimum * (1 - 1e-6)
        ]
        if short:
            problem = '; '.join(short)
            remedy = "The board limits itself: ask for at most its 'limit_maximum'"
            return SettingResult.LIMITED, f'{problem}. {remedy}'
        return SettingResult.APPLIED, ''

    def _arm(self, guard: Guard, platform: Platform) -> None:
        try:
            guard.arm(platform.limits_found())
        except PlatformError as error:
            self.complain(str(error))

    def _watch_lease(self, now: float) -> None:
        if self._lease is None or self._lease_timer is None:
            return
        remaining = self._lease.remaining(now)
        self._lease_timer.cancel()
        if remaining > 0.0:
            self._lease_timer.timer_period_ns = int(remaining * 1e9) + 1
            self._lease_timer.reset()

    def _on_expiry(self) -> None:
        now = time.monotonic()
        if self._lease is None:
            return
        if self._lease.expired(now):
            self._finish(SettingResult.EXPIRED, 'the lease ran out; renew it in time')
            self._publish()
        self._watch_lease(now)

    def _finish(self, result: SettingResult, text: str) -> None:
        problem = self._restore()
        _, _, sequence, manager = self._last
        self._last = (result, problem or text, sequence, manager)
        self.get_logger().info(f'The limits found are in force again: {problem or text}')

    def _restore(self) -> str:
        """Restore what was found and return what is wrong, if anything."""
        if self._platform is None:
            return ''
        try:
            self._platform.restore(time.monotonic())
        except PlatformError as error:
            # It is tried again, and the guard stays armed for the end of this node.
            if str(error) != self._unrestored:
                self.get_logger().error(str(error))
            self._unrestored = str(error)
            return self._unrestored
        self._unrestored = ''
        if self._guard is not None:
            try:
                self._guard.disarm()
            except PlatformError as error:
                # A mute guard has been ended by this, and nothing is left to be restored.
                self.complain(str(error))
        return ''

    def _restore_the_rest(self) -> None:
        """Try again what a file refused to take back."""
        if self._unrestored and self._lease is not None:
            if not self._lease.holder(time.monotonic()) and not self._restore():
                self.get_logger().info('The limits found are in force again')

    def _notice(self, notices: tuple[Notice, ...]) -> None:
        """Log what is new, once, and answer the last setting with what it was granted since."""
        known = {notice.text for notice in self._notices}
        for notice in notices:
            if notice.text not in known:
                self.get_logger().warning(notice.text)
        self._notices = notices
        result, _, sequence, manager = self._last
        limited = '; '.join(n.text for n in notices if n.kind is NoticeKind.LIMITED)
        if limited and result is SettingResult.APPLIED:
            self._last = (SettingResult.LIMITED, limited, sequence, manager)

    def _publish(self) -> None:
        platform, lease = self._platform, self._lease
        if platform is None or lease is None:
            return
        if isinstance(platform, SimulatedPlatform):
            platform.set_foreign_load(self._foreign_load())
        now = time.monotonic()
        sample = platform.read(now)
        self._notice(sample.notices)
        if self._guard is not None and lease.holder(now):
            # Limits that somebody else has changed meanwhile are the ones to be restored.
            self._arm(self._guard, platform)
        result, text, sequence, manager = self._last
        message = SystemLoad()
        message.header.stamp = self.get_clock().now().to_msg()
        message.platform = platform.id
        message.instance = self.identity.instance
        message.started = stamp(self.identity.started)
        message.kind = int(platform.kind)
        message.boot_id = self._boot_id
        message.monotonic_time = now
        message.period = 1.0 / self.parameters['rate']
        message.processors = list(platform.processors)
        message.domains = [frequency_domain(state) for state in sample.domains]
        message.power = named_values(sample.power)
        message.total_power_rail = sample.total_power_rail
        message.power_budget = sample.power_budget if sample.power_budget < math.inf else 0.0
        message.temperatures = named_values(sample.temperatures)
        message.memory = named_values(sample.memory)
        message.slow_downs = named_values(sample.slow_downs)
        message.lease_manager = lease.holder(now)
        message.lease_remaining = lease.remaining(now)
        message.setting_sequence = sequence
        message.setting_manager = manager
        message.setting_result = int(result)
        message.setting_message = text
        self._publisher.publish(message)


def main() -> int:
    """Run the node."""
    decline_image_profile()
    return run(PlatformNode)
