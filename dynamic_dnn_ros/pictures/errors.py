# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is raised of pictures."""


class PictureError(ValueError):
    """Pictures that cannot be used. The text names them, the problem and the remedy."""
