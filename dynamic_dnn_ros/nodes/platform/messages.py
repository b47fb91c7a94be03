# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages of the platform node, to and from the values of `platforms`."""

from __future__ import annotations

import math

from dynamic_dnn_ros.msg import DvfsSetting, FrequencyDomain, SystemLoad
from dynamic_dnn_ros.nodes.common.message_values import named_values
from dynamic_dnn_ros.platforms.clock_keeper import ClockReport
from dynamic_dnn_ros.platforms.contract import DomainRange, DomainState
from dynamic_dnn_ros.platforms.lease import Setting


def setting_of(message: DvfsSetting) -> Setting:
    """Return the setting that a message carries."""
    return Setting(
        platform=message.platform,
        boot_id=message.boot_id,
        manager=message.manager,
        sequence=message.sequence,
        issued=message.issued,
        lease=message.lease,
        release=message.release,
        domains=tuple(DomainRange(row.name, row.minimum, row.maximum) for row in message.domains),
    )


def frequency_domain(state: DomainState) -> FrequencyDomain:
    """Return the message of a domain's state."""
    return FrequencyDomain(
        name=state.name,
        available=list(state.available),
        limit_minimum=state.limit_minimum,
        limit_maximum=state.limit_maximum,
        requested_minimum=state.requested.minimum if state.requested else 0.0,
        requested_maximum=state.requested.maximum if state.requested else 0.0,
        granted=state.granted,
        utilisation_own=state.utilisation_own,
        utilisation_foreign=state.utilisation_foreign,
        governor=state.governor,
    )


def fill_load(message: SystemLoad, report: ClockReport) -> None:
    """Write what a keeper has to say into a message: the hardware, the lease, the last answer."""
    sample, answer = report.sample, report.answer
    message.domains = [frequency_domain(state) for state in sample.domains]
    message.power = named_values(sample.power)
    message.total_power_rail = sample.total_power_rail
    message.power_budget = sample.power_budget if sample.power_budget < math.inf else 0.0
    message.temperatures = named_values(sample.temperatures)
    message.memory = named_values(sample.memory)
    message.slow_downs = named_values(sample.slow_downs)
    message.lease_manager = report.lease_manager
    message.lease_remaining = report.lease_remaining
    message.setting_sequence = answer.sequence
    message.setting_manager = answer.manager
    message.setting_result = int(answer.result)
    message.setting_message = answer.text
