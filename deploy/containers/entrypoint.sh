#!/bin/bash
# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
#
# Runs a command in the workspace of the container.
set -e
source "/opt/ros/$ROS_DISTRO/setup.bash"
source /opt/dynamic_dnn_ros/install/setup.bash
exec "$@"
