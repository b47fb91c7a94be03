# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Nodes without images decline the profile for images, and only that one."""

import os

import pytest

from dynamic_dnn_ros.files import share_folder
from dynamic_dnn_ros.nodes.transport import (
    IMAGE_PROFILE,
    PROFILE_VARIABLES,
    decline_image_profile,
)


def test_the_profile_is_where_it_is_looked_for() -> None:
    assert (share_folder() / IMAGE_PROFILE).is_file()


def test_declines_the_packages_own_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in PROFILE_VARIABLES:
        monkeypatch.setenv(variable, str(share_folder() / IMAGE_PROFILE))
    decline_image_profile()
    assert not set(PROFILE_VARIABLES) & set(os.environ)


@pytest.mark.parametrize('value', ['', '/etc/fleet/shared_memory.xml'])
def test_leaves_a_users_profile(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    for variable in PROFILE_VARIABLES:
        monkeypatch.setenv(variable, value)
    decline_image_profile()
    assert [os.environ[variable] for variable in PROFILE_VARIABLES] == [value] * 2
