# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium that is told what to do over a pipe, by the DevTools protocol."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
import json
import os
from pathlib import Path
import select
import shutil
import subprocess
import tempfile
import time
from typing import Any

import pytest

NAMES = ('chromium', 'chromium-browser', 'google-chrome')
TIMEOUT = 30.0


def chromium() -> str:
    """Return the executable, or skip the test with the reason."""
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    pytest.skip(f'none of {", ".join(NAMES)} is installed')


class Browser:
    """One page."""

    def __init__(self, writing: int, reading: int) -> None:
        self._writing, self._reading = writing, reading
        self._number = 0
        self._rest = b''
        self.problems: list[str] = []
        """What scripts threw, and what the browser refused to load."""
        target = self._call('Target.createTarget', url='about:blank')['targetId']
        attached = self._call('Target.attachToTarget', targetId=target, flatten=True)
        self._session: str | None = attached['sessionId']
        for domain in ('Page', 'Runtime', 'Log'):
            self.call(f'{domain}.enable')

    _session: str | None = None

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        return self._call(method, **parameters)

    def open(self, url: str, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Load a page, as wide and as high as given in pixels."""
        self.call(
            'Emulation.setDeviceMetricsOverride',
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        theme = {'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}
        self.call('Emulation.setEmulatedMedia', features=[theme])
        self.call('Page.navigate', url=url)

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression; a promise is waited for."""
        answer = self.call(
            'Runtime.evaluate', expression=script, returnByValue=True, awaitPromise=True
        )
        if 'exceptionDetails' in answer:
            raise AssertionError(f'{script}: {answer["exceptionDetails"]}')
        return answer['result'].get('value')

    def wait_for(self, script: str, timeout: float = TIMEOUT) -> Any:
        """Wait until an expression is true, and return its value."""
        end = time.monotonic() + timeout
        while True:
            value = self.evaluate(script)
            if value or value == {}:  # an element is handed over as that
                return value
            assert time.monotonic() < end, f'{script} did not become true; {self.problems}'
            time.sleep(0.05)

    def screenshot(self, path: Path, whole: bool = True) -> None:
        """Write a PNG of the page, or of what is visible of it."""
        answer = self.call('Page.captureScreenshot', captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer['data']))

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {'id': self._number, 'method': method, 'params': parameters}
        if self._session is not None:
            message['sessionId'] = self._session
        os.write(self._writing, json.dumps(message).encode() + b'\0')
        end = time.monotonic() + TIMEOUT
        while True:
            answer = self._read(end)
            if answer.get('id') == self._number:
                assert 'error' not in answer, (method, answer['error'])
                result: dict[str, Any] = answer['result']
                return result
            if answer.get('method') == 'Runtime.exceptionThrown':
                self.problems.append(str(answer['params']['exceptionDetails']))
            elif answer.get('method') == 'Log.entryAdded':
                self.problems.append(str(answer['params']['entry']['text']))

    def _read(self, end: float) -> dict[str, Any]:
        while b'\0' not in self._rest:
            ready, _, _ = select.select([self._reading], [], [], max(0.0, end - time.monotonic()))
            assert ready, 'Chromium does not answer'
            chunk = os.read(self._reading, 1 << 20)
            assert chunk, 'Chromium has ended'
            self._rest += chunk
        line, self._rest = self._rest.split(b'\0', 1)
        message: dict[str, Any] = json.loads(line)
        return message


def _with_pipes(reading: int, writing: int) -> Callable[[], None]:
    """Return what gives a child its pipes as 3 and 4, where Chromium looks for them."""

    def place() -> None:
        # First out of the way: they may be 3 and 4 themselves, in the wrong order.
        first, second = os.dup(reading), os.dup(writing)
        os.dup2(first, 3)
        os.dup2(second, 4)

    return place


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser with a profile of its own, and end it with the context."""
    executable = chromium()
    to_child, writing = os.pipe()
    reading, from_child = os.pipe()
    with tempfile.TemporaryDirectory(prefix='chromium_', ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [
                executable,
                '--headless',
                '--no-sandbox',
                '--disable-gpu',
                '--disable-dev-shm-usage',
                '--hide-scrollbars',
                f'--user-data-dir={profile}',
                '--remote-debugging-pipe',
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=_with_pipes(to_child, from_child),
            close_fds=False,
        )
        os.close(to_child)
        os.close(from_child)
        try:
            yield Browser(writing, reading)
        finally:
            os.close(writing)  # how it is told to end
            os.close(reading)
            try:
                process.wait(10.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
