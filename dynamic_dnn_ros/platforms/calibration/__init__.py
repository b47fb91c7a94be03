# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Board models fitted to measurements: any board from a table; parameters of a known one."""
