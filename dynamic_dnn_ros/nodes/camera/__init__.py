# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The camera node: pictures, a video, a camera or a bag as a camera topic."""
