# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Dynamic neural networks for robotic perception on ROS 2."""
