# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The nodes of the demo as processes that end with it, whatever happens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
import fcntl
import os
from pathlib import Path
import random
import re
import signal
import socket
import subprocess
import tempfile
import time

from dynamic_dnn_ros.parent_death import end_with_parent

#: Seconds that a process is given to end after SIGINT.
PATIENCE = 8.0
#: Seconds between two looks at what the processes have in shared memory.
NOTE_PERIOD = 1.0

_MIDDLEWARE_FILE = re.compile(r'^/dev/shm/(?:sem\.)?(?:fastrtps|fastdds)_\S+$')


class ProcessError(RuntimeError):
    """A process could not be started, or died. The text holds the end of its log."""


class Process:
    """One process in a group of its own, with its output in a file."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        """
        Start the process.

        :raises ProcessError: when it cannot be started
        """
        self.name = name
        self.log = log
        with log.open('wb') as output:
            try:
                self._popen = subprocess.Popen(
                    list(command),
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=_die_with_parent,
                )
            except OSError as error:
                raise ProcessError(
                    f'{name} cannot be started ({command[0]}: {error.strerror}). Build the '
                    'package (`make build`, or colcon), and source the workspace.'
                ) from error

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """Return the exit code; None while it runs."""
        return self._popen.poll()

    def tail(self, lines: int = 15) -> str:
        """Return the last lines that it wrote."""
        text = self.log.read_text(errors='replace') if self.log.exists() else ''
        return '\n'.join(text.splitlines()[-lines:]) or '(it wrote nothing)'

    def interrupt(self) -> None:
        """Ask it to end, as Ctrl-C does."""
        if self.exit_code is None:
            self._popen.send_signal(signal.SIGINT)

    def wait(self, timeout: float) -> bool:
        """Wait for its end, s; tell whether it came."""
        try:
            self._popen.wait(max(0.0, timeout))
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """Kill it and all that it started in its group."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self._popen.wait()


class ProcessGroup:
    """Processes that end together; a context manager."""

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        """
        Make an empty group.

        :param environment: of every process
        :param logs: existing folder for a log each
        """
        self._environment = environment
        self._logs = logs
        self._processes: list[Process] = []
        self._files: set[str] = set()
        self._next_note = 0.0

    def start(self, name: str, command: Sequence[str]) -> Process:
        """
        Start a process.

        :raises ProcessError: when it cannot be started
        """
        process = Process(name, command, self._environment, self._logs / f'{name}.log')
        self._processes.append(process)
        return process

    def check(self) -> None:
        """
        Look after the processes.

        :raises ProcessError: when one has ended
        """
        # Of a process that dies nobody could tell any more which files it had.
        if time.monotonic() >= self._next_note:
            self._next_note = time.monotonic() + NOTE_PERIOD
            self._note_files()
        for process in self._processes:
            if process.exit_code is not None:
                raise ProcessError(
                    f'{process.name} ended with exit code {process.exit_code}. The end of its '
                    f'log ({process.log}):\n{process.tail()}'
                )

    def tail(self, name: str) -> str:
        """Return the last lines that a process wrote."""
        return next(process.tail() for process in self._processes if process.name == name)

    def end(self) -> list[str]:
        """End all processes, and return the names of those that had to be killed."""
        self._note_files()
        # The last one started is the first to go: nobody misses what it depends on.
        for process in reversed(self._processes):
            process.interrupt()
        deadline = time.monotonic() + PATIENCE
        killed = [
            process.name
            for process in self._processes
            if not process.wait(deadline - time.monotonic())
        ]
        for process in self._processes:
            process.kill()
        self._processes.clear()
        return killed

    def remove_shared_memory(self) -> None:
        """
        Remove what the middleware of ended processes has left in shared memory.

        Call it when this process has left the middleware too: what it may still have mapped of
        the others goes as well. Files that any other process has mapped stay.
        """
        in_use = _mapped_by_others()
        for name in self._files - in_use:
            Path(name).unlink(missing_ok=True)
        self._files.clear()

    def __enter__(self) -> ProcessGroup:
        """Return the group."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes."""
        self.end()

    def _note_files(self) -> None:
        for pid in [os.getpid(), *(process.pid for process in self._processes)]:
            self._files |= _files_of(pid)


def isolated_environment(domain: int, profile: Path) -> dict[str, str]:
    """
    Return the environment of a ROS graph of its own on this machine.

    :param domain: ROS domain id
    :param profile: DDS profile with room for camera images
    """
    environment = dict(os.environ)
    environment['ROS_DOMAIN_ID'] = str(domain)
    environment['PYTHONUNBUFFERED'] = '1'
    # Humble knows the first, later releases the second, and warn of the first.
    if environment.get('ROS_DISTRO') == 'humble':
        environment['ROS_LOCALHOST_ONLY'] = '1'
    else:
        environment.pop('ROS_LOCALHOST_ONLY', None)
        environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
        environment.pop('ROS_STATIC_PEERS', None)
    for name in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'):
        environment[name] = str(profile)
    return environment


@contextmanager
def free_domain() -> Iterator[int]:
    """
    Claim a ROS domain id that nobody on this machine uses, until the context ends.

    A domain is in use where another demo or test of this package holds its lock file, or where
    the UDP port of its first participant is taken (DDSI-RTPS 2.5, 9.6.2.3: 7400 + 250 x domain +
    10).

    :raises ProcessError: when all domains are in use
    """
    folder = Path(tempfile.gettempdir()) / f'dynamic_dnn_ros_domains_{os.getuid()}'
    folder.mkdir(mode=0o700, exist_ok=True)
    domains = list(range(1, 102))
    random.SystemRandom().shuffle(domains)
    for domain in domains:
        with (folder / f'{domain}.lock').open('a') as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if _port_is_free(7400 + 250 * domain + 10):
                yield domain
                return
    raise ProcessError('all ROS domains of this machine are in use. End other ROS programs.')


def _port_is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(('', port))
        except OSError:
            return False
    return True


def _die_with_parent() -> None:
    """Have the kernel end this process with its parent, should that be killed."""
    end_with_parent(signal.SIGINT)


def _files_of(pid: int) -> set[str]:
    try:
        lines = Path(f'/proc/{pid}/maps').read_text().splitlines()
    except OSError:
        return set()
    paths = (line.split(maxsplit=5)[5] for line in lines if '/dev/shm/' in line)
    return {path for path in paths if _MIDDLEWARE_FILE.match(path)}


def _mapped_by_others() -> set[str]:
    files: set[str] = set()
    for folder in Path('/proc').iterdir():
        if folder.name.isdecimal() and int(folder.name) != os.getpid():
            files |= _files_of(int(folder.name))
    return files
