# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sub-networks that stop early on easy pictures: which stages, which thresholds, what it saves."""
