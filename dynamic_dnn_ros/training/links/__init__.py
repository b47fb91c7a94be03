# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training over slow links: what gradients cost, how they are compressed, who sends what."""
