# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Any network of convolutions or attention, as a family of sub-networks whose widths nest."""
