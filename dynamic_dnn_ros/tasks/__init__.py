# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the outputs of a network mean: classification, detection, segmentation."""
