# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Installed executables of the package as processes of a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json
import os
from pathlib import Path
import re
import signal
import subprocess
import tempfile
import time
from types import TracebackType
from typing import Any

from ament_index_python.packages import get_package_prefix
import psutil

from dynamic_dnn_ros.parent_death import end_with_parent
from support.domain import isolated_environment

PACKAGE = 'dynamic_dnn_ros'
ENGINE_LIBRARIES = ('libtorch', 'onnxruntime', 'openvino', 'libnvinfer', 'tensorrt')
"""Parts of the names of shared objects that only an engine loads."""


def executable(name: str) -> Path:
    """
    Return the path of an installed node or command.

    :raises FileNotFoundError: when the installed build has none of this name.
    """
    path = Path(get_package_prefix(PACKAGE)) / 'lib' / PACKAGE / name
    if not path.exists():
        raise FileNotFoundError(f'{path}: not in the installed build. Run make build')
    return path


class NodeProcess:
    """
    A node of the installed build in a process of its own, with its own process group.

    :param name: of the executable, e.g. ``inference_node``.
    :param domain_id: of the ROS domain.
    :param parameters: given with ``-p``; the Python type decides the ROS type.
    :param remaps: given with ``-r``, e.g. ``{'image': '/camera/image_raw'}``.
    :param node_name: given as ``__node``; empty: the node's own.
    :param environment: variables over those of this process; None removes one.
    :param log_imports: makes `imported_modules` known (``PYTHONPROFILEIMPORTTIME``).
    """

    def __init__(
        self,
        name: str,
        domain_id: int,
        parameters: Mapping[str, Any] | None = None,
        remaps: Mapping[str, str] | None = None,
        namespace: str = '',
        node_name: str = '',
        arguments: Sequence[str] = (),
        environment: Mapping[str, str | None] | None = None,
        log_imports: bool = False,
    ) -> None:
        self.name = name
        self.full_name = f'{namespace.rstrip("/")}/{node_name or name}'
        command = [str(executable(name)), *arguments, '--ros-args']
        for key, value in (parameters or {}).items():
            # JSON is YAML, and tells "1" from 1 and 1 from 1.0.
            command += ['-p', f'{key}:={json.dumps(value)}']
        for source, destination in (remaps or {}).items():
            command += ['-r', f'{source}:={destination}']
        if namespace:
            command += ['-r', f'__ns:={namespace}']
        if node_name:
            command += ['-r', f'__node:={node_name}']
        variables: dict[str, str] = {**os.environ, **isolated_environment(domain_id)}
        if log_imports:
            variables['PYTHONPROFILEIMPORTTIME'] = '1'
        for key, variable in (environment or {}).items():
            if variable is None:
                variables.pop(key, None)
            else:
                variables[key] = variable
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=variables,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )

    @property
    def pid(self) -> int:
        """Process id; the wheels' second exec keeps it."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self.process.poll() is None

    @property
    def log(self) -> str:
        """What the process has written so far, output and errors together."""
        # The process writes through the same open file: its position is not to be moved.
        descriptor = self._log.fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode(errors='replace')

    def wait_for_log(self, pattern: str, timeout: float = 20.0) -> str:
        """
        Wait for a line that matches a regular expression, and return it.

        :raises TimeoutError: when none comes in time, or the process ends before.
        """
        end = time.monotonic() + timeout
        while True:
            ended = not self.running
            for line in self.log.splitlines():
                if re.search(pattern, line):
                    return line
            if ended or time.monotonic() >= end:
                raise TimeoutError(f'{self.name} logged no {pattern!r}; it said:\n{self.log}')
            time.sleep(0.05)

    # Ending

    def stop(self, timeout: float = 15.0) -> int:
        """
        End the process as Ctrl-C does, and return its exit code.

        :raises TimeoutError: when it does not end in time; it is killed then.
        """
        if self.running:
            self.process.send_signal(signal.SIGINT)
        return self.wait(timeout)

    def wait(self, timeout: float = 15.0) -> int:
        """
        Wait for the end of the process, and return its exit code.

        :raises TimeoutError: when it does not end in time; it is killed then.
        """
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(
                f'{self.name} did not end within {timeout:g} s; it said:\n{self.log}'
            ) from None

    def kill(self) -> None:
        """End the process by SIGKILL, as a crash does; what it started lives on."""
        if self.running:
            self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End the process and all of its process group, whatever state they are in."""
        if self.running:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(8.0)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self._log.close()

    def __enter__(self) -> NodeProcess:
        """Return the process."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the process; after a failure, show what it said."""
        if error is not None:
            print(f'--- {self.full_name} said:\n{self.log}\n---')
        self.close()

    # What the process is made of

    def resident_memory(self) -> int:
        """Return the resident memory of this one process now, bytes."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def loaded_files(self) -> set[str]:
        """Return the files that are mapped into the process: shared objects above all."""
        lines = Path(f'/proc/{self.pid}/maps').read_text().splitlines()
        return {fields[5] for fields in (line.split(None, 5) for line in lines) if len(fields) > 5}

    def loaded_engines(self) -> list[str]:
        """Return the mapped files that belong to an engine."""
        return sorted(
            path
            for path in self.loaded_files()
            if any(library in path for library in ENGINE_LIBRARIES)
        )

    def imported_modules(self) -> set[str]:
        """Return the Python modules imported so far; needs `log_imports`."""
        return set(re.findall(r'^import time:.*\| +([\w.]+)$', self.log, re.MULTILINE))
