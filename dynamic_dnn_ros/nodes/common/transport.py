# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a node without images does about the DDS profile that is made for images."""

from __future__ import annotations

import os
from pathlib import Path

#: Fast DDS 2 (Humble, Jazzy) and Fast DDS 3 (Kilted and later).
PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')

#: The profile for images that ships with this package, below its share folder.
IMAGE_PROFILE = Path('config', 'dds', 'shared_memory.xml')

#: That for cameras on other computers, likewise.
NETWORK_PROFILE = Path('config', 'dds', 'network.xml')


def decline_image_profile() -> None:
    """
    Have this process use the default transports instead of the package's profiles for images.

    With the profile each participant holds a segment of 35 MB that it publishes from, images or
    not; without it the two kinds still talk to each other. A user's own profile stays. Call it
    before `rclpy.init`.
    """
    for variable in image_profile_variables():
        del os.environ[variable]


def image_profile_variables() -> list[str]:
    """Return the variables by which this process is given one of the package's profiles."""
    found = []
    for variable in PROFILE_VARIABLES:
        path = Path(os.environ.get(variable, ''))
        if any(
            path.parts[-len(profile.parts) :] == profile.parts
            for profile in (IMAGE_PROFILE, NETWORK_PROFILE)
        ):
            found.append(variable)
    return found
