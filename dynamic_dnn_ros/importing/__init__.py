# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From the networks that a user has, ONNX files or models of a library, to a bundle."""
