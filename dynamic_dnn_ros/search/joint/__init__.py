# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Choose backbones, their exits and the clocks they run at together (HADAS)."""
