# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A process that starts while /dev/shm is full waits for room, but not for ever."""

from __future__ import annotations

from pathlib import Path
import threading
import time

import pytest

from dynamic_dnn_ros.files import share_folder
from dynamic_dnn_ros.nodes.common import shared_memory
from dynamic_dnn_ros.nodes.common.transport import IMAGE_PROFILE, PROFILE_VARIABLES


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Return what is free, for a test to change."""
    room = {'bytes': 4096.0}
    monkeypatch.setattr(shared_memory, '_free', lambda folder: room['bytes'])
    for variable in PROFILE_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    return room


def _never() -> bool:
    return False


def test_with_room_nothing_is_said(
    free: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    free['bytes'] = 2e6
    shared_memory.wait_for_shared_memory(_never)
    assert not capsys.readouterr().err


def test_waits_until_there_is_room(
    free: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    begin = time.monotonic()
    timer = threading.Timer(0.3, lambda: free.update(bytes=2e6))
    timer.start()
    shared_memory.wait_for_shared_memory(_never)
    timer.join()
    assert time.monotonic() - begin >= 0.3
    said = capsys.readouterr().err
    assert '/dev/shm is full: 0.0 MB are free, 1 MB are needed' in said
    assert 'still full' not in said


def test_goes_on_without_room_and_says_what_that_means(
    free: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    shared_memory.wait_for_shared_memory(_never, seconds=0.2)
    assert 'still full: large images will get lost' in capsys.readouterr().err


def test_ends_when_it_is_asked_to(free: dict[str, float]) -> None:
    begin = time.monotonic()
    shared_memory.wait_for_shared_memory(lambda: True)
    assert time.monotonic() - begin < shared_memory.SECONDS


def test_a_node_of_images_needs_what_its_profile_asks_for(
    free: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shared_memory.needed_bytes() < 2e6
    monkeypatch.setenv(PROFILE_VARIABLES[0], str(share_folder() / IMAGE_PROFILE))
    text = (share_folder() / IMAGE_PROFILE).read_text(encoding='utf-8')
    segment = int(text.split('<segment_size>')[1].split('<')[0])
    assert segment < shared_memory.needed_bytes() < 1.2 * segment


def test_without_such_a_folder_there_is_nothing_to_wait_for(tmp_path: Path) -> None:
    begin = time.monotonic()
    shared_memory.wait_for_shared_memory(_never, tmp_path / 'none')
    assert time.monotonic() - begin < shared_memory.SECONDS
