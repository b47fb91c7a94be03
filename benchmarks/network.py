# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Computers in network namespaces of their own, joined by lines of a given bandwidth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
import os
import shutil
import subprocess

#: Each computer's network interface, and the address of the first one.
INTERFACE = 'line'
FIRST_ADDRESS = '10.77.0.1'

_LATENCY = '200ms'


class NamespacesError(RuntimeError):
    """Namespaces that this machine, or this user, cannot make; says why."""


def _run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise NamespacesError(f'`{" ".join(words)}`: {done.stderr.strip() or done.returncode}')
    return done.stdout


class Network:
    """
    Computers at one switch, each by a line of its own with the same bandwidth both ways.

    Lines are shaped by token buckets (`tc`, tbf) at both ends. They add no delay.
    """

    def __init__(self, rates: Sequence[float]) -> None:
        """
        Name the computers; `joined` makes them.

        :param rates: of the lines, bit/s.
        """
        self.rates = tuple(rates)
        self._prefix = f'dnn{os.getpid()}'

    @property
    def names(self) -> list[str]:
        """Return the names of the namespaces."""
        return [f'{self._prefix}_{index}' for index in range(len(self.rates))]

    def command(self, index: int, words: Sequence[str]) -> list[str]:
        """Return the command that runs another one on a computer."""
        return ['ip', 'netns', 'exec', self.names[index], *words]

    def shape(self, index: int, rate: float) -> None:
        """Give a line another bandwidth, bit/s."""
        burst = str(int(max(32 * 1024, rate / 8 / 200)))
        shaping = ['root', 'tbf', 'rate', f'{int(rate)}bit', 'burst', burst, 'latency', _LATENCY]
        switch = f'{self._prefix}_s'
        _run('tc', '-n', self.names[index], 'qdisc', 'replace', 'dev', INTERFACE, *shaping)
        _run('tc', '-n', switch, 'qdisc', 'replace', 'dev', f'p{index}', *shaping)

    def cut(self, index: int, whole: bool) -> None:
        """Take the plug of a line out, or put it back."""
        state = 'up' if whole else 'down'
        _run('ip', '-n', f'{self._prefix}_s', 'link', 'set', f'p{index}', state)

    @contextlib.contextmanager
    def joined(self) -> Iterator[Network]:
        """
        Make the computers and their lines, and take them away at the end.

        :raises NamespacesError: where that is not allowed, or the kernel has no shaping.
        """
        for tool in ('ip', 'tc'):
            if shutil.which(tool) is None:
                raise NamespacesError(f'{tool} is not installed (package iproute2)')
        switch = f'{self._prefix}_s'
        made: list[str] = []
        try:
            for name in (switch, *self.names):
                _run('ip', 'netns', 'add', name)
                made.append(name)
            _run('ip', '-n', switch, 'link', 'add', 'bridge', 'type', 'bridge')
            _run('ip', '-n', switch, 'link', 'set', 'bridge', 'up')
            for index, (name, rate) in enumerate(zip(self.names, self.rates)):
                port = f'p{index}'
                _run(
                    *('ip', 'link', 'add', INTERFACE, 'netns', name, 'type', 'veth'),
                    *('peer', 'name', port, 'netns', switch),
                )
                _run('ip', '-n', switch, 'link', 'set', port, 'master', 'bridge', 'up')
                address = f'10.77.0.{index + 1}/24'
                _run('ip', '-n', name, 'addr', 'add', address, 'dev', INTERFACE)
                _run('ip', '-n', name, 'link', 'set', INTERFACE, 'up')
                _run('ip', '-n', name, 'link', 'set', 'lo', 'up')
                self.shape(index, rate)
            yield self
        finally:
            for name in made:
                subprocess.run(['ip', 'netns', 'del', name], capture_output=True)
