# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's side of the guard process, and what a guard that died left behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
import errno
import fcntl
import hashlib
import json
import os
from pathlib import Path
import re
import select
import stat
import subprocess
import sys
import tempfile
import time

from dynamic_dnn_ros.platforms import guard_process
from dynamic_dnn_ros.platforms.contract import LimitsFound, PlatformError, StateError

ANSWER_TIMEOUT = 3.0
"""Seconds to wait for the guard, which answers in milliseconds unless the computer is stuck."""

LARGEST_STATE = 1_000_000
"""Bytes of a state file: a hundred controls take a tenth of it."""

LOCK_TIMEOUT = 2.0
"""Seconds that a predecessor's guard may need to restore and to end."""

_CARD = re.compile(re.escape(guard_process.CARD) + '(GPU|MIG)-[0-9A-Fa-f/-]+')
_SCRIPT = Path(guard_process.__file__)


def state_folder() -> Path:
    """Return where state files lie: that of the service, the user's own, or the temporary one."""
    for name in ('/run/dynamic_dnn_ros', os.environ.get('XDG_RUNTIME_DIR', ''), '/run'):
        if name and os.access(name, os.W_OK | os.X_OK) and os.path.isdir(name):
            return Path(name)
    return Path(tempfile.gettempdir())


class Guard:
    """
    Makes sure that what was found is restored after this process, for one tree of sysfs.

    Only one guard a tree exists on a computer, whoever runs it: it holds a lock on the tree's
    folder, which its process inherits, so the lock is free only when everything is restored.
    """

    def __init__(self, sysfs_root: str | Path, boot_id: str, folder: Path | None = None) -> None:
        """
        Take the lock of a tree.

        :param folder: where the state file lies; None: `state_folder()`
        :raises PlatformError: when another platform node holds the lock, or the folder refuses
        """
        root = Path(os.path.abspath(sysfs_root))
        key = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:12]
        folder = folder or state_folder()
        if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
            raise PlatformError(
                f'folder {folder} for what the next start has to restore',
                'is no folder that this user may write',
                "Set parameter 'state_folder' or XDG_RUNTIME_DIR to one",
            )
        self.state_file = folder / f'dynamic_dnn_ros-{os.geteuid()}-{key}.json'
        self._boot_id = boot_id
        self._files = root / 'sys'
        self._process: subprocess.Popen[bytes] | None = None
        self._armed: tuple[tuple[LimitsFound, ...], float | None] = (), None
        self._absent: tuple[LimitsFound, ...] = ()
        self._lock = self._take_lock()

    def _take_lock(self) -> int:
        folder = self._files if self._files.is_dir() else self._files.parent
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise PlatformError(
                folder,
                f'cannot be opened ({error.strerror})',
                "Set parameter 'sysfs_root' to the folder that holds 'sys'",
            ) from error
        deadline = time.monotonic() + LOCK_TIMEOUT
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            except OSError as error:
                if time.monotonic() > deadline:
                    os.close(lock)
                    raise PlatformError(
                        folder,
                        'another platform node sets the clocks of this computer, or the guard '
                        'process of one that ended hangs',
                        "Stop it, or let this one only read: set its parameters 'manage_cpu', "
                        "'manage_gpu' and 'manage_memory' to false",
                    ) from error
                time.sleep(0.05)

    def recover(self) -> tuple[LimitsFound, ...]:
        """
        Restore what a predecessor and its guard left behind, and return what was restored.

        All of it, whatever may be set this time. A control that is away, as that of a CPU that is
        off line, stays in the state file.

        :raises StateError: when the state file cannot be read; it stays as it is
        :raises PlatformError: when it cannot be restored
        """
        left = self._left_behind()
        self._absent = tuple(row for row in left if guard_process.is_absent(asdict(row)))
        rows = tuple(row for row in left if row not in self._absent)
        if guard_process.restore([asdict(row) for row in rows]):
            raise PlatformError(
                self.state_file,
                'names limits that were found before an earlier setting and cannot be restored',
                'Write them back by hand, then delete the file',
            )
        self._keep_absent()
        return rows

    def _keep_absent(self) -> None:
        """Leave in the state file only what is away."""
        away = [asdict(row) for row in self._absent]
        guard_process.keep(str(self.state_file), self._boot_id, away)

    def _left_behind(self) -> tuple[LimitsFound, ...]:
        """
        Return what the state file of this boot says.

        A file that another user could have written is not trusted, and one from another boot
        is void: the kernel has its own limits again. Nothing outside of the tree is written.
        """
        try:
            descriptor = os.open(self.state_file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return ()
        except OSError as error:
            reason = 'is a link' if error.errno == errno.ELOOP else error.strerror
            raise self._unreadable(str(reason)) from error
        with os.fdopen(descriptor, 'rb') as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise self._unreadable('is no plain file')
            if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise self._unreadable('could have been written by another user')
            content = file.read(LARGEST_STATE + 1)
        if len(content) > LARGEST_STATE:
            raise self._unreadable(f'has more than {LARGEST_STATE} bytes')
        try:
            state = json.loads(content)
            if state['boot_id'] != self._boot_id:
                return ()
            rows = tuple(LimitsFound(**row) for row in state['limits'])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._unreadable(f'holds no limits ({type(error).__name__})') from error
        for row in rows:
            if not all(isinstance(value, str) for value in asdict(row).values()):
                raise self._unreadable('holds limits that are no text')
            if not all(map(self._is_inside, _files(row))):
                raise self._unreadable("names files outside of this computer's sysfs")
        return rows

    def _unreadable(self, problem: str) -> StateError:
        return StateError(
            f'state file {self.state_file}',
            f'{problem}, so the limits that an earlier run found are not known, and no clock is '
            'set',
            'Put the limits back by hand or restart the computer, then delete the file and '
            'configure the node again',
        )

    def _is_inside(self, file: str) -> bool:
        if _CARD.fullmatch(file):
            return True
        return Path(os.path.normpath(file)).is_relative_to(self._files)

    @property
    def process_id(self) -> int | None:
        """Return the id of the guard process, None where none runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def arm(self, found: Sequence[LimitsFound], expiry: float | None = None) -> None:
        """
        Have something restored after this process; returns when the guard has it.

        Call it before the first write and at each renewal: a guard that died is replaced.

        :param expiry: when the lease ends, s of `time.monotonic`; the guard restores by itself
            where this process hangs then. None: there is no lease
        :raises PlatformError: when no guard can be started; then nothing must be written
        """
        # What was away at the start and is back now has the limits of an earlier setting.
        absent = {_files(row) for row in self._absent}
        rows = (*(row for row in found if _files(row) not in absent), *self._absent)
        wanted = rows, expiry if rows else None
        if self.process_id is not None and wanted == self._armed:
            return
        if not rows and self.process_id is None:
            self._armed = (), None
            return
        if self.process_id is None:
            self._start()
        self._tell(*wanted)
        self._armed = wanted

    def disarm(self) -> None:
        """
        Have nothing restored after this process: it has done so itself.

        :raises PlatformError: when the guard did not answer; it was ended, and nothing is kept
        """
        try:
            self.arm(())
        except PlatformError:
            # The next start must not restore what is restored already.
            self._keep_absent()
            raise

    def close(self) -> None:
        """End the guard, which restores what it was armed with, and free the lock."""
        if self._process is not None:
            self._end_process()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _start(self) -> None:
        if self._process is not None:
            self._end_process()
        try:
            self._process = subprocess.Popen(
                [sys.executable, '-I', '-S', str(_SCRIPT), str(self.state_file), self._boot_id],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd='/',
                pass_fds=(self._lock,),
                start_new_session=True,  # Ctrl-C in a terminal must not reach it
            )
        except OSError as error:
            raise PlatformError(
                _SCRIPT, f'the guard cannot be started ({error})', 'No clock is set until it can'
            ) from error

    def _tell(self, found: tuple[LimitsFound, ...], expiry: float | None) -> None:
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        charge = {'limits': [asdict(row) for row in found], 'expiry': expiry}
        line = json.dumps(charge) + '\n'
        try:
            process.stdin.write(line.encode('ascii'))
            process.stdin.flush()
            ready, _, _ = select.select([process.stdout], [], [], ANSWER_TIMEOUT)
            answer = os.read(process.stdout.fileno(), 64) if ready else b''
        except OSError:
            answer = b''
        if not answer:
            self._end_process()
            raise PlatformError(
                f'guard process {process.pid}',
                'does not answer',
                'No clock is set without it; look for the reason in the output of the node',
            )
        if answer != guard_process.KEPT:
            self._end_process()
            raise PlatformError(
                f'state file {self.state_file}',
                'cannot be written, so what is found now would be lost in a crash',
                'No clock is set without it; make room in the folder, or name another one by '
                "parameter 'state_folder'",
            )

    def _end_process(self) -> None:
        process, self._process = self._process, None
        self._armed = (), None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            try:
                if stream is not None:
                    stream.close()
            except OSError:
                pass
        try:
            process.wait(timeout=LOCK_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _files(row: LimitsFound) -> tuple[str, str]:
    return row.minimum_file, row.maximum_file
