# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What was learnt of bundles without a profile, a file for each bundle on each board."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
import hashlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from dynamic_dnn_ros.management.no_profile.memory import Memory
from dynamic_dnn_ros.storage import write_whole

LARGEST_FILE = 2_000_000
"""Bytes that are read: what is learnt takes a twentieth of it."""

MOST_FILES = 64

GROWTH = 1.2
"""Factor by which frames have to grow in number for a file to be written again."""


class Learnt(NamedTuple):
    """What a file says of itself: `frames` is a sentence, `written` a time of ISO 8601."""

    platform: str
    frames: str
    written: str
    file: str


def learnt_of(bundle_sha256: str, folder: Path) -> list[Learnt]:
    """Return what was learnt of a bundle, a row a platform; files that cannot be read are not."""
    return [
        Learnt(
            read.platform,
            str(mapping.get('learnt', '')),
            str(mapping.get('written', '')),
            str(path),
        )
        for path, mapping, read in _each(folder, [])
        if read.bundle == bundle_sha256
    ]


def _each(folder: Path, problems: list[str]) -> Iterator[tuple[Path, Mapping[str, Any], Memory]]:
    """Yield each file of a folder, what it holds and what that says; add what is wrong."""
    for path in sorted(folder.glob('learnt-*.json'))[:MOST_FILES]:
        try:
            with path.open('rb') as file:
                mapping = json.loads(file.read(LARGEST_FILE))
            yield path, mapping, Memory.from_mapping(mapping)
        except (OSError, RecursionError, ValueError) as error:
            problems.append(f'{path} is left out: {error}. Remove it, and it is learnt anew.')


def default_folder() -> Path:
    """Return where this user's programs keep what outlives them."""
    state = os.environ.get('XDG_STATE_HOME', '')
    return (Path(state) if state else Path.home() / '.local' / 'state') / 'dynamic_dnn_ros'


class KeptLearning:
    """Keeps what is learnt in a folder."""

    def __init__(self, folder: Path) -> None:
        """Begin without touching the folder."""
        self._folder = folder
        self._kept: dict[Path, int] = {}

    def read(self) -> tuple[list[Memory], list[str]]:
        """Return all that is kept there, and what is wrong with files that are left out."""
        problems: list[str] = []
        return [memory for _, _, memory in _each(self._folder, problems)], problems

    def keep(self, memories: Iterable[Memory]) -> None:
        """
        Keep what has grown since the last call.

        :raises OSError: when it cannot be written
        """
        for memory in memories:
            key = hashlib.sha256(f'{memory.platform} {memory.bundle}'.encode()).hexdigest()[:16]
            path, frames = self._folder / f'learnt-{key}.json', memory.frames.frames
            if frames <= GROWTH * self._kept.get(path, 0):
                continue
            self._folder.mkdir(parents=True, exist_ok=True)
            when = datetime.now(timezone.utc).isoformat(timespec='seconds')
            write_whole(path, json.dumps({'written': when, **memory.to_mapping()}).encode())
            self._kept[path] = frames
