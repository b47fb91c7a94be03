# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 nodes: thin, all logic is in the other rooms."""
