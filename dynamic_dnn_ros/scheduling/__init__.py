# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whose frame runs next on a processor that several streams share; pure, and told the time."""
