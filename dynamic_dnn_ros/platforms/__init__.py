# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Platforms: read load, set frequencies and restore them, on real and on simulated hardware."""
