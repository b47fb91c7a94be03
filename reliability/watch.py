# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a fault costs: looks at a system before, during and after it."""

from __future__ import annotations

from dataclasses import dataclass
import re
import threading
import time

from deployment import System
from faults import Fault

BACK = 60.0
"""Seconds after a fault is over after which a service counts as not coming back by itself."""

CALM = 2.0
"""Seconds without a lack after which the service counts as back."""

PERIOD = 0.05
"""Seconds between two looks."""

UNHELD = 0.5
"""Seconds after the last word of a lease after which changed clocks count as left behind."""


@dataclass(frozen=True)
class Outcome:
    """
    What a fault cost.

    `back` and `after_end` are seconds from its begin and from its end until the service was whole
    for good, None where it was not within `BACK`. `lost` are frames that were not served until
    then. `clocks_unheld` is for how long clocks stayed changed without a lease, s. `left` are
    processes that belong to nobody any more. `lacked` is what was missed.
    """

    fault: str
    back: float | None
    after_end: float | None
    lost: int
    clocks_unheld: float
    left: int
    lacked: list[str]


class Watch:
    """Looks at a system again and again, in a thread of its own; a context manager."""

    def __init__(self, system: System) -> None:
        """Begin with no looks."""
        self._system = system
        self._lacks = ['nothing was seen yet']
        self._said: dict[str, None] = {}
        self._unheld_since: float | None = None
        self.longest_unheld = 0.0
        self.begun = self.last_lack = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name='watch', daemon=True)

    def __enter__(self) -> Watch:
        """Begin to look."""
        self.begun = self.last_lack = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    @property
    def lacks(self) -> list[str]:
        """Return what the service lacked at the last look."""
        return self._lacks

    @property
    def said(self) -> list[str]:
        """Return all that was missed, without figures."""
        return list(self._said)

    def wait(self, over: float) -> bool:
        """Wait until the service has been whole for a while after a time; tell whether it is."""
        while True:
            now = time.monotonic()
            if now - max(self.last_lack, over) >= CALM:
                return True
            if now - over > BACK:
                return False
            time.sleep(PERIOD)

    def _watch(self) -> None:
        while not self._ended.wait(PERIOD):
            now = time.monotonic()
            observer = self._system.observer
            self._lacks = observer.lacking()
            if self._lacks:
                self.last_lack = now
                self._said.update((_without_figures(lack), None) for lack in self._lacks)
            if self._system.clocks.changed and observer.seconds_since_lease() > UNHELD:
                self._unheld_since = self._unheld_since or now
                self.longest_unheld = max(self.longest_unheld, now - self._unheld_since)
            else:
                self._unheld_since = None


def _without_figures(lack: str) -> str:
    return re.sub(r' \d+ of \d+', ' too few', lack)


def hurt(system: System, fault: Fault) -> Outcome:
    """
    Do a fault to a system that is whole, and wait until it is whole again.

    :raises LookupError: when what is to be hurt is not there
    """
    observer, supervisor = system.observer, system.supervisor
    with Watch(system) as watch:
        fault.inject(system)
        over = time.monotonic()
        back = watch.wait(over)
    end = watch.last_lack if back else time.monotonic()
    expected = observer.expected * (end - watch.begun)
    served = sum(observer.served(name, watch.begun, end) for name in observer.applications)
    own = {supervisor.process_id(name) for name in supervisor.names()}
    orphans = [process for process in supervisor.here() if process.pid not in own]
    return Outcome(
        fault=fault.name,
        back=end - watch.begun if back else None,
        after_end=max(0.0, end - over) if back else None,
        lost=max(0, round(expected - served)),
        clocks_unheld=watch.longest_unheld,
        left=max(0, len(orphans) - 1),  # one guard belongs to the system
        lacked=watch.said if back else watch.lacks,
    )
