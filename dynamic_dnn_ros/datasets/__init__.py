# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled pictures, in the layouts in which people keep them; no learning library."""
