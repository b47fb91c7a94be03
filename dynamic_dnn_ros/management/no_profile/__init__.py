# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Applications whose bundle has no profile of the platform: learnt while they serve."""
