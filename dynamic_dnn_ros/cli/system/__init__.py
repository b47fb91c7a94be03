# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A running system as it is heard, and in words: for the terminal and for the browser."""
