# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages of the platform node, to and from the values of `platforms`."""

from __future__ import annotations

from dynamic_dnn_ros.msg import DvfsSetting, FrequencyDomain
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
