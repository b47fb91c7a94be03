# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The quality of service of every topic, in one place."""

from __future__ import annotations

from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
)


def _profile(
    depth: int,
    reliability: ReliabilityPolicy = ReliabilityPolicy.RELIABLE,
    durability: DurabilityPolicy = DurabilityPolicy.VOLATILE,
) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=reliability,
        durability=durability,
    )


#: Camera topics as REP-2003 has consumers subscribe: best effort, keep last 5.
SENSOR_SUBSCRIPTION = _profile(5, ReliabilityPolicy.BEST_EFFORT)

#: Camera topics as REP-2003 has drivers publish: reliable, which serves both kinds of consumer.
SENSOR_PUBLICATION = _profile(5)

#: Results, such as `~/classification` and `~/detections`.
RESULT = _profile(5)

#: `~/label_info` and `~/vision_info`: what labels there are, also for who joins late.
LABEL_INFO = _profile(1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

#: `~/sub_network_switch`: the present configuration, also for an application that joins late.
SUB_NETWORK_SWITCH = _profile(1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

#: `~/switch_by_hand`: the same from people, volatile, so that a plain `ros2 topic pub` matches.
SWITCH_BY_HAND = _profile(1)

#: `application`, a writer each: what an application can serve, also for a manager that joins late.
APPLICATION_PUBLICATION = _profile(1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

#: The manager's side of `application`: a place for each of many applications that appear at once.
APPLICATION_SUBSCRIPTION = _profile(64, durability=DurabilityPolicy.TRANSIENT_LOCAL)

#: `inference_status`: no frame goes uncounted while the manager decides.
INFERENCE_STATUS = _profile(256)

#: `performance_target`, subscribed volatile: a plain `ros2 topic pub` and a transient-local
#: publisher both match.
PERFORMANCE_TARGET = _profile(64)

#: `system_load`: only the newest matters.
SYSTEM_LOAD = _profile(1)

#: `dvfs_setting`: volatile, so that no setting outlives the manager that sent it.
DVFS_SETTING = _profile(8)

#: `manager_status`.
MANAGER_STATUS = _profile(16)

#: `summary`: only the newest matters.
SUMMARY = _profile(1)

#: `manager_inputs`: a few for a recorder that finds the manager a little late.
MANAGER_INPUTS = _profile(8, durability=DurabilityPolicy.TRANSIENT_LOCAL)

#: `/diagnostics`.
DIAGNOSTICS = _profile(10)
