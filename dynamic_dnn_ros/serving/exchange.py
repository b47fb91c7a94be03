# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Exchange the serving sub-network for another one that is ready, between two frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
import threading
import time
from typing import Protocol

from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork
from dynamic_dnn_ros.engines.background import (
    free_frames,
    return_free_memory,
    share_interpreter,
    tell,
    yield_to_others,
)
from dynamic_dnn_ros.engines.contract import Engine, OutOfMemoryError, PreparedSubNetwork
from dynamic_dnn_ros.serving.prepared_set import Held, Key, PreparedSet

#: s for which a sub-network has to serve before others are prepared for what may come next:
#: switches in quick succession would have each of them prepared and evicted in turn.
SETTLED_AFTER = 0.5

#: How many of those that switches named lately are remembered.
RECENT = 8


Ready = Callable[[PreparedSubNetwork], None]
Failed = Callable[[Exception], None]
Unprepared = Callable[[SubNetwork, Exception], None]


class Lender(Protocol):
    """Has a sub-network for each frame."""

    def lease(self) -> AbstractContextManager[PreparedSubNetwork]:
        """Have one for a frame: it stays whole until the frame is done."""


class Overtaken(Exception):
    """A switch that waited for its preparation gave way to a newer one."""


@dataclass
class _Request:
    """One that is to serve once it is prepared, and all who wait for it."""

    key: Key
    ready: list[Ready]
    failed: list[Failed]


@dataclass
class _Loan:
    """One that somebody waits for, to use it aside; `held` stays None where it failed."""

    key: Key
    held: Held | None = None
    done: bool = False


class SubNetworkExchange:
    """
    Holds the sub-network that serves, and those that are ready to take its place.

    The exchange itself is the assignment of one reference: whoever took a lease for a frame keeps
    it to the end of that frame. As many are ready as the memory budget allows; the serving one is
    never evicted. A thread prepares the one that is asked for before all else, then those that are
    likely to be wanted next. While the serving one and the one asked for are too large together,
    the budget is exceeded for as long as both are there.
    """

    def __init__(
        self,
        engine: Engine,
        manifest: Manifest,
        budget: int | None = None,
        on_unprepared: Unprepared = lambda sub_network, error: None,
        aside: bool = True,
    ) -> None:
        """
        Begin with none; `start` prepares the first.

        :param budget: bytes for all prepared sub-networks together; None: all are prepared
        :param on_unprepared: told once of each failure that nobody else is told of
        :param aside: whether to prepare with less priority than others have. Not where an engine
            computes with threads that it starts while it prepares: they would keep that priority.
        """
        self._engine = engine
        self._manifest = manifest
        self._on_unprepared = on_unprepared
        self._condition = threading.Condition()
        self._set = PreparedSet(manifest, engine.memory_needed, budget, engine.shared_memory)
        self._recent: deque[Key] = deque(maxlen=RECENT)
        # The thread is asked for the newest request, then for loans, then for what may come next.
        self._request: _Request | None = None
        self._loans: list[_Loan] = []
        self._serving: Held | None = None
        self._serving_since = -float('inf')
        self._idle = False
        self._closed = False
        self._thread = threading.Thread(target=self._work, args=(aside,), name='prepare')

    # What there is

    @property
    def serving(self) -> PreparedSubNetwork:
        """Return the one that serves."""
        assert self._serving is not None, 'start() comes first'
        return self._serving.prepared

    @property
    def ready(self) -> tuple[PreparedSubNetwork, ...]:
        """Return those that are ready now, in the order of the bundle."""
        with self._condition:
            return self._set.prepared

    @property
    def failures(self) -> dict[str, Exception]:
        """Return why sub-networks could not be prepared, by their ids."""
        with self._condition:
            return self._set.failures

    @property
    def memory(self) -> int:
        """Return what those that are ready take together, bytes."""
        with self._condition:
            return self._set.memory

    @property
    def budget(self) -> int | None:
        """Return the bytes for all together: less than asked for once the processor ran full."""
        return self._set.budget

    def wait_until_idle(self, timeout: float) -> bool:
        """Wait until nothing is left to prepare; tell whether it is so within the seconds."""
        with self._condition:
            return self._condition.wait_for(lambda: self._idle or self._closed, timeout)

    # Who uses it

    def start(self, identifier: str, processor: str) -> None:
        """
        Prepare the first sub-network and wait for it; the others follow in the background.

        :raises EngineError: when the engine cannot prepare it; another one may be tried
        :raises BundleError: when the bundle has none of that id
        """
        key = Key(identifier, processor)
        try:
            prepared = self._engine.prepare(self._manifest.sub_network(identifier), processor)
        except Exception as error:
            with self._condition:
                self._set.fail(key, error)
            free_frames(error)
            raise
        with self._condition:
            self._serve(key, self._set.add(key, prepared))
        self._thread.start()

    def request(self, identifier: str, processor: str, ready: Ready, failed: Failed) -> None:
        """
        Have another one serve as soon as it is ready; at once where it is.

        A newer request overtakes one that still waits: that one fails with `Overtaken`. One for
        what is waited for already joins it.

        :param ready: called once it serves, from any thread
        :param failed: called with the reason when it cannot be prepared; the old one goes on
        :raises BundleError: when the bundle has none of that id
        """
        key = Key(self._manifest.sub_network(identifier).id, processor)
        with self._condition:
            self._note(key)
            if self._request is not None and self._request.key == key:
                self._request.ready.append(ready)
                self._request.failed.append(failed)
                return
            overtaken, self._request = self._request, None
            held = self._set.get(key)
            if held is not None:
                self._serve(key, held)
            else:
                self._request = _Request(key, [ready], [failed])
                self._wake()
        if overtaken is not None:
            late = Overtaken(f'{overtaken.key.sub_network!r} gave way to a newer switch.')
            for each in overtaken.failed:
                each(late)
        if held is not None:
            ready(held.prepared)

    @contextmanager
    def lease(self) -> Iterator[PreparedSubNetwork]:
        """Have the serving one for a frame: it stays whole until the frame is done."""
        with self._condition:
            assert self._serving is not None, 'start() comes first'
            held = self._serving
            held.users += 1
        try:
            yield held.prepared
        finally:
            self._release(held)

    def each(self, processor: str) -> Iterator[PreparedSubNetwork]:
        """
        Yield each in the order of the bundle, whether all fit together or not.

        Those that fail are left out; `close` ends it.
        """
        for sub_network in self._manifest.sub_networks:
            held = self._borrow(Key(sub_network.id, processor))
            if held is None:
                continue
            try:
                yield held.prepared
            finally:
                self._release(held)
                with self._condition:
                    self._wake()

    def close(self) -> None:
        """End the preparation in work, and give back the memory of all."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        with self._condition:
            # Whoever still uses one closes it.
            leaving = self._set.evict_all()
        _close(leaving)

    # The state, under the lock

    def _wake(self) -> None:
        self._idle = False
        self._condition.notify_all()

    def _note(self, key: Key) -> None:
        if key in self._recent:
            self._recent.remove(key)
        self._recent.appendleft(key)

    def _serve(self, key: Key, held: Held) -> None:
        before = self._serving
        self._serving = held
        self._serving_since = time.monotonic()
        self._note(key)
        # No thread is woken for an exchange of two that are ready: with a budget it looks around
        # by itself, without one only another processor changes anything.
        if before is not None and before.prepared.processor != key.processor:
            self._wake()

    def _borrow(self, key: Key) -> Held | None:
        with self._condition:
            held = self._set.get(key)
            if held is not None:
                held.users += 1
                return held
            loan = _Loan(key)
            self._loans.append(loan)
            self._wake()
            self._condition.wait_for(lambda: loan.done or self._closed)
            if not loan.done:
                self._loans.remove(loan)
            return loan.held

    def _settle_loans(self, key: Key, held: Held | None) -> None:
        for loan in self._loans:
            if loan.key == key:
                loan.held, loan.done = held, True
                if held is not None:
                    held.users += 1
        self._loans = [loan for loan in self._loans if not loan.done]

    def _release(self, held: Held) -> None:
        with self._condition:
            held.users -= 1
            left_behind = self._closed and not held.users
        if left_behind:
            held.prepared.close()

    def _wanted(self) -> tuple[Key | None, Sequence[Key], bool]:
        """Return the one that somebody waits for, all to have, and whether some lack room."""
        asked = None
        if self._request is not None:
            asked = self._request.key
        elif self._loans:
            asked = self._loans[0].key
        return asked, *self._set.wanted(self._serving_key(), asked, self._recent)

    def _serving_key(self) -> Key:
        assert self._serving is not None, 'start() comes first'
        return self._serving.key

    def _evict(self, kept: Sequence[Key]) -> list[PreparedSubNetwork]:
        return self._set.evict(self._serving_key(), kept)

    # The thread

    def _work(self, aside: bool) -> None:
        share_interpreter()
        if aside:
            yield_to_others()
        # What the first one left behind, which `start` has prepared.
        return_free_memory()
        while not self._closed:
            with self._condition:
                key, leaving = self._next()
            if leaving:
                _close(leaving)
            if key is not None:
                self._prepare(key)

    def _next(self) -> tuple[Key | None, list[PreparedSubNetwork]]:
        """Wait for work: the one to prepare, and those to close before; neither at the end."""
        while not self._closed:
            asked, wanted, limited = self._wanted()
            missing = [key for key in wanted if key not in self._set]
            settled = time.monotonic() - self._serving_since >= SETTLED_AFTER
            if asked is not None:
                return asked, self._evict(wanted)
            if missing and (settled or not limited):
                return missing[0], self._evict(wanted)
            budget = self._set.budget
            if budget is not None and self._set.memory > budget:
                leaving = self._evict(wanted)
                if leaving:
                    return None, leaving
            self._idle = not missing
            self._condition.notify_all()
            # Where all fit, an exchange changes nothing; elsewhere other neighbours are wanted.
            self._condition.wait(SETTLED_AFTER if limited else None)
        return None, []

    def _prepare(self, key: Key) -> None:
        sub_network = self._manifest.sub_network(key.sub_network)
        try:
            prepared = self._prepare_or_make_room(sub_network, key)
        except Exception as error:  # an engine's own errors are of any type
            self._fail(key, sub_network, error)
            return
        with self._condition:
            held = self._set.add(key, prepared)
            self._settle_loans(key, held)
            request = self._answered(key)
            if request is not None:
                self._serve(key, held)
            self._condition.notify_all()
        for ready in request.ready if request is not None else ():
            tell(ready, prepared)
        # Putting a model together leaves as much behind as it takes.
        return_free_memory()

    def _prepare_or_make_room(self, sub_network: SubNetwork, key: Key) -> PreparedSubNetwork:
        try:
            return self._engine.prepare(sub_network, key.processor)
        except (OutOfMemoryError, MemoryError):
            with self._condition:
                self._set.allow_no_more()
                asked, _, _ = self._wanted()
                leaving = self._evict(()) if key == asked else []
            if not leaving:
                raise
        _close(leaving)
        return self._engine.prepare(sub_network, key.processor)

    def _fail(self, key: Key, sub_network: SubNetwork, error: Exception) -> None:
        with self._condition:
            new = self._set.fail(key, error)
            self._settle_loans(key, None)
            request = self._answered(key)
            self._condition.notify_all()
        for failed in request.failed if request is not None else ():
            tell(failed, error)
        if request is None and new:
            tell(self._on_unprepared, sub_network, error)
        # The error is kept, and what the engine has half made would be with it.
        free_frames(error)

    def _answered(self, key: Key) -> _Request | None:
        request = self._request
        if request is None or request.key != key:
            return None
        self._request = None
        return request


def _close(leaving: list[PreparedSubNetwork]) -> None:
    for prepared in leaving:
        prepared.close()
    leaving.clear()
    return_free_memory()
