# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Choose sub-networks and clock frequencies for all applications together."""
