# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How a sub-network runs, and how one is exchanged for another between two frames."""
