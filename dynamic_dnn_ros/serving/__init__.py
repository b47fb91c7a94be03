# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How the frames of a camera are served: worker, mailbox, exchange of sub-networks; no ROS."""
