# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Read, check and write bundles: the folders that deploy one dynamic network."""
