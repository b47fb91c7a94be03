# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One writer a bundle at a time: an advisory lock in a file beside the bundle's folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import fcntl
import os
from pathlib import Path
import sys
import threading

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import MANIFEST_NAME

#: How often this process has entered each lock; the process's id tells a fork from its parent.
_entered: dict[tuple[int, Path], int] = {}
_descriptors: dict[tuple[int, Path], int] = {}
_guard = threading.Lock()


def real_folder(folder: Path) -> Path:
    """Return where a bundle really lies: an installation may link its manifest."""
    return (folder / MANIFEST_NAME).resolve().parent


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """
    Keep other processes from writing a bundle as long as the context lasts.

    Writing takes it by itself. A command that works for long takes it at its start, so that a
    second one is told before its work and not after it. The process that has it may enter again.
    It is a lock of the kernel, flock(2), so it ends with its process, however that ends.

    :raises BundleError: when another process has it, naming that process, or when there can be
        no such lock
    """
    folder = real_folder(folder)
    path = folder.with_name(f'.{folder.name}.lock')
    key = (os.getpid(), path)
    with _guard:
        if not _entered.get(key):
            _descriptors[key] = _acquire(folder, path)
        _entered[key] = _entered.get(key, 0) + 1
    try:
        yield
    finally:
        with _guard:
            _entered[key] -= 1
            if not _entered[key]:
                del _entered[key]
                _release(_descriptors.pop(key), path)


def _acquire(folder: Path, path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_still_at(descriptor, path):
                    break
            except BaseException as error:
                holder = os.read(descriptor, 300).decode(errors='replace')
                os.close(descriptor)
                if isinstance(error, BlockingIOError):
                    raise BundleError(
                        folder,
                        f'is being written by {holder or "another process"}',
                        'Wait until it has ended, or end it, and run this command again',
                    ) from None
                raise
            # Its last holder removed the file after we opened it: nobody else will lock that one.
            os.close(descriptor)
    except OSError as error:
        raise BundleError(
            folder,
            f'cannot be locked: {error.filename or path}: {error.strerror}',
            'Check the rights to the folder that the bundle lies in, and that it exists',
        ) from error
    command = ' '.join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200]
    # Only for the message above; on a full disk it may fail.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f'process {os.getpid()} ({command})'.encode(errors='replace'))
    return descriptor


def _is_still_at(descriptor: int, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    return False


def _release(descriptor: int, path: Path) -> None:
    # Removed while it is locked; see `_is_still_at`.
    with suppress(OSError):
        path.unlink()
    # A child that was forked meanwhile holds the same descriptor, so closing alone is not enough.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)
