# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Single requests to several networks on one processor, from traces: schedulers side by side."""
