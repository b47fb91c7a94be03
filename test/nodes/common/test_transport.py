# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Nodes without images decline the profile for images, and only that one."""

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dynamic_dnn_ros.files import share_folder
from dynamic_dnn_ros.nodes.common.transport import (
    IMAGE_PROFILE,
    NETWORK_PROFILE,
    PROFILE_VARIABLES,
    decline_image_profile,
)

PROFILES = [IMAGE_PROFILE, NETWORK_PROFILE]


@pytest.mark.parametrize('profile', PROFILES)
def test_the_profile_is_where_it_is_looked_for_and_is_xml(profile: Path) -> None:
    ElementTree.parse(share_folder() / profile)


@pytest.mark.parametrize('profile', PROFILES)
def test_declines_the_packages_own_profiles(
    monkeypatch: pytest.MonkeyPatch, profile: Path
) -> None:
    for variable in PROFILE_VARIABLES:
        monkeypatch.setenv(variable, str(share_folder() / profile))
    decline_image_profile()
    assert not set(PROFILE_VARIABLES) & set(os.environ)


@pytest.mark.parametrize('value', ['', '/etc/fleet/shared_memory.xml'])
def test_leaves_a_users_profile(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    for variable in PROFILE_VARIABLES:
        monkeypatch.setenv(variable, value)
    decline_image_profile()
    assert [os.environ[variable] for variable in PROFILE_VARIABLES] == [value] * 2
