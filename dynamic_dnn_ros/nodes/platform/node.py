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

from dynamic_dnn_ros.management.targets import is_application_id
from dynamic_dnn_ros.msg import DvfsSetting, InferenceStatus, SystemLoad
from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.common.diagnostics import Diagnostic, Level
from dynamic_dnn_ros.nodes.common.giving_way import Sign
from dynamic_dnn_ros.nodes.common.lifecycle import ManagedNode, NodeError
from dynamic_dnn_ros.nodes.common.main import run
from dynamic_dnn_ros.nodes.common.message_values import nanoseconds, stamp
from dynamic_dnn_ros.nodes.common.parameters import ParameterSpecification
from dynamic_dnn_ros.nodes.common.transport import decline_image_profile
from dynamic_dnn_ros.nodes.common.uniqueness import Identity
from dynamic_dnn_ros.nodes.platform.messages import fill_load, setting_of
from dynamic_dnn_ros.platforms.clock_keeper import ClockKeeper, Log
from dynamic_dnn_ros.platforms.contract import Platform, PlatformError
from dynamic_dnn_ros.platforms.guard import Guard
from dynamic_dnn_ros.platforms.lease import SettingResult
from dynamic_dnn_ros.platforms.registry import AUTOMATIC, PlatformOptions, make_platform
from dynamic_dnn_ros.platforms.simulated import SimulatedPlatform
from dynamic_dnn_ros.platforms.sysfs import boot_id

RESTORE_PERIOD = 1.0
"""Seconds between two tries to restore what a file refused to take back."""

PAUSED_PERIODS, LEAST_PAUSE = 5.0, 1.5
"""Periods and seconds without a sample after which this process must have been stopped."""

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
            "What to read and set: 'auto' is this computer, as a 'jetson', 'raspberry_pi', "
            "'rockchip' or 'nvidia_pc' if it is one, else as plain 'linux'; "
            "'xavier_nx_simulated' and 'orin_nx_simulated' are models of Jetsons.",
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
        self._keeper: ClockKeeper | None = None
        self._boot_id = boot_id()
        self._lease_timer: Timer | None = None
        self._awake = 0.0

    def configure(self) -> None:
        """Find the platform; where it has something to restore, get a guard and recover."""
        try:
            self._platform = make_platform(
                self.parameters['platform'],
                time.monotonic(),
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
            self._keeper = ClockKeeper(
                self._platform,
                self._boot_id,
                self.parameters['maximum_lease'],
                self._make_guard,
                self._log(),
            )
        except PlatformError as error:
            raise NodeError(str(error)) from error
        settable = [
            row.name
            for row in self._platform.limits()
            if row.available and not self._keeper.unmanaged
        ]
        self.get_logger().info(
            f'Platform {self._platform.id} ({self._platform.kind.name.lower()}); '
            f'frequencies are set of: {", ".join(settable) or "no domain"}'
        )

    def _make_guard(self) -> Guard:
        folder = self.parameters['state_folder']
        return Guard(
            self.parameters['sysfs_root'],
            self._boot_id,
            Path(folder).expanduser() if folder else None,
        )

    def _log(self) -> Log:
        logger = self.get_logger()
        return Log(logger.info, logger.warning, logger.error, self.complain)

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
            self.listen(message_type, self.shared_topic(topic), callback, profile)
        self._awake = time.monotonic()
        period = 1.0 / self.parameters['rate']
        self.own(self.destroy_timer, self.create_steady_timer(period, self._publish))
        self.own(self.destroy_timer, self.create_steady_timer(RESTORE_PERIOD, self._retry))
        self._lease_timer = self.create_steady_timer(
            self.parameters['maximum_lease'], self._on_expiry
        )
        self._lease_timer.cancel()
        self.own(self.destroy_timer, self._lease_timer)

    def deactivate(self) -> None:
        """End the lease, restore, and be silent."""
        self.destroy_owned()
        self._lease_timer = None
        if self._keeper is not None:
            self._keeper.end(time.monotonic())

    def clean_up(self) -> None:
        """Let go of the platform; the guard ends, and restores what could not be restored."""
        platform, self._platform = self._platform, None
        keeper, self._keeper = self._keeper, None
        if platform is not None:
            platform.close()
        if keeper is not None:
            keeper.close()

    def hardware_id(self) -> str:
        """Return the platform's id."""
        return self._platform.id if self._platform is not None else ''

    def diagnose(self) -> Sequence[Diagnostic]:
        """Return how the last setting fared, who holds the lease, and what was noticed."""
        keeper = self._keeper
        if keeper is None:
            return ()
        answer, now = keeper.answer, time.monotonic()
        warned = answer.refused or answer.result is SettingResult.LIMITED
        return (
            Diagnostic(
                'setting',
                Level.WARNING if warned else Level.OK,
                answer.text or answer.result.name.lower(),
                {
                    'lease_manager': keeper.holder(now) or 'none',
                    'lease_remaining': f'{keeper.remaining(now):.1f} s',
                    'setting_sequence': answer.sequence,
                    'setting_manager': answer.manager or 'none',
                },
            ),
            _hardware_diagnostic(keeper),
        )

    def _foreign_load(self) -> dict[str, float]:
        return {
            domain: self.parameters[f'foreign_load_{domain}']
            for domain in ('cpu', 'gpu', 'memory')
        }

    def _on_status(self, message: InferenceStatus) -> None:
        if self._platform is None:
            return
        if not is_application_id(message.application):
            self.message_counts.leave_out('inference_status', 'application refused')
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
        if not self.active or not self._is_older(message):
            return
        if self.has_rival('system_load', 'dvfs_setting'):
            where = f'on topic {self.shared_topic("system_load")}'
            remedy = (
                'Run one platform node on a board: stop one of them'
                if message.boot_id == self._boot_id
                else "Give each computer its own 'manager_namespace'"
            )
            self.give_way(
                f'platform node {self.identifier}: another one ({message.platform}, instance '
                f'{message.instance}) was here first {where}. {remedy}.',
                Sign(
                    SystemLoad, self.shared_topic('system_load'), qos.SYSTEM_LOAD, self._is_older
                ),
            )

    def _is_older(self, message: SystemLoad) -> bool:
        """Tell whether a load is that of a platform node that this one has to give way to."""
        other = Identity(message.instance, nanoseconds(message.started))
        return self.identity.gives_way_to(other)

    def _on_setting(self, message: DvfsSetting) -> None:
        if self._keeper is None:
            return
        now = time.monotonic()
        self._notice_pause(now)
        answer = self._keeper.take(setting_of(message), now)
        if answer.refused:
            reason = answer.result.name.removeprefix('REFUSED_').lower()
            self.message_counts.leave_out('dvfs_setting', f'{reason} refused')
        self._watch_lease(now)
        self._publish()

    def _notice_pause(self, now: float) -> None:
        """Say that this process was stopped; a lease that ran out meanwhile has ended first."""
        stopped, self._awake = now - self._awake, now
        longest = max(PAUSED_PERIODS / self.parameters['rate'], LEAST_PAUSE)
        if stopped <= longest or self._keeper is None:
            return
        ended = self._keeper.expire(now)
        lease = ' The lease ran out meanwhile: the limits found are in force.' if ended else ''
        self.get_logger().warning(f'This node was stopped for {stopped:.1f} s.{lease}')

    def _watch_lease(self, now: float) -> None:
        if self._keeper is None or self._lease_timer is None:
            return
        remaining = self._keeper.remaining(now)
        self._lease_timer.cancel()
        if remaining > 0.0:
            self._lease_timer.timer_period_ns = int(remaining * 1e9) + 1
            self._lease_timer.reset()

    def _on_expiry(self) -> None:
        if self._keeper is None:
            return
        now = time.monotonic()
        if self._keeper.expire(now):
            self._publish()
        self._watch_lease(now)

    def _retry(self) -> None:
        if self._keeper is not None:
            self._keeper.retry(time.monotonic())

    def _publish(self) -> None:
        platform, keeper = self._platform, self._keeper
        if platform is None or keeper is None:
            return
        if isinstance(platform, SimulatedPlatform):
            platform.set_foreign_load(self._foreign_load())
        now = time.monotonic()
        self._notice_pause(now)
        report = keeper.report(now)
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
        fill_load(message, report)
        self._publisher.publish(message)


def _hardware_diagnostic(keeper: ClockKeeper) -> Diagnostic:
    notices = keeper.notices
    if keeper.unmanaged:
        return Diagnostic('hardware', Level.ERROR, keeper.unmanaged)
    if keeper.unrestored:
        return Diagnostic('hardware', Level.ERROR, f'Not restored yet: {keeper.unrestored}')
    if not notices:
        return Diagnostic('hardware', Level.OK, 'nothing to notice')
    return Diagnostic(
        'hardware',
        Level.WARNING,
        '; '.join(notice.text for notice in notices),
        {f'{i}: {n.kind.value}': n.text for i, n in enumerate(notices, 1)},
    )


def main() -> int:
    """Run the node."""
    decline_image_profile()
    return run(PlatformNode)
