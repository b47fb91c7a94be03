# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Have sub-networks ready for one stream or several, in a thread that works aside."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
import threading
import time

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


class Overtaken(Exception):
    """A switch that waited for its preparation gave way to a newer one."""


@dataclass
class _Request:
    """One that is to serve once it is prepared, and all who wait for it."""

    key: Key
    ready: list[Ready]
    failed: list[Failed]


@dataclass(eq=False)
class Place:
    """What one stream has here: the one that serves it, and the one that it waits for."""

    serving: Held | None = None
    request: _Request | None = None


@dataclass
class _Loan:
    """One that somebody waits for, to use it aside; `held` stays None where it failed."""

    key: Key
    held: Held | None = None
    done: bool = False


class Preparation:
    """
    Holds the sub-networks that serve, and those that are ready to take their places.

    As many are ready as the memory budget allows; one that serves a stream is never evicted. A
    thread prepares those that are asked for before all else, then those that are likely to be
    wanted next. While those that serve and the one asked for are too large together, the budget
    is exceeded for as long as all are there.
    """

    def __init__(
        self,
        engine: Engine,
        manifest: Manifest,
        budget: int | None,
        on_unprepared: Unprepared,
        aside: bool,
    ) -> None:
        """Begin with none and for nobody; parameters as for `SubNetworkExchange`."""
        self._engine = engine
        self._manifest = manifest
        self._on_unprepared = on_unprepared
        self._condition = threading.Condition()
        self._set = PreparedSet(manifest, engine.memory_needed, budget, engine.shared_memory)
        self._recent: deque[Key] = deque(maxlen=RECENT)
        # The thread is asked for requests, the oldest first, then for loans, then for what may
        # come next.
        self._places: list[Place] = []
        self._requests: list[_Request] = []
        self._loans: list[_Loan] = []
        self._exchanged = -float('inf')
        self._idle = False
        self._closed = False
        self._begun = False
        self._thread = threading.Thread(target=self._work, args=(aside,), name='prepare')

    # What there is

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

    def enter(self) -> Place:
        """Have a place for a stream; `leave` ends it."""
        place = Place()
        with self._condition:
            self._places.append(place)
        return place

    def start(self, place: Place, identifier: str, processor: str) -> None:
        """
        Have a first sub-network serve a stream, and wait until it is prepared.

        :raises EngineError: when the engine cannot prepare it; another one may be tried
        :raises BundleError: when the bundle has none of that id
        """
        sub_network = self._manifest.sub_network(identifier)
        key = Key(identifier, processor)
        if self._begun:
            self._start_beside(place, key)
            return
        try:
            prepared = self._engine.prepare(sub_network, processor)
        except Exception as error:
            with self._condition:
                self._set.fail(key, error)
            free_frames(error)
            raise
        with self._condition:
            self._serve(place, key, self._set.add(key, prepared))
            self._begun = True
        self._thread.start()

    def request(self, place: Place, key: Key, ready: Ready, failed: Failed) -> None:
        """Have another one serve a stream; as `SubNetworkExchange.request`."""
        with self._condition:
            self._note(key)
            if place.request is not None and place.request.key == key:
                place.request.ready.append(ready)
                place.request.failed.append(failed)
                return
            overtaken = self._withdraw(place)
            held = self._set.get(key)
            if held is not None:
                self._serve(place, key, held)
            else:
                place.request = _Request(key, [ready], [failed])
                self._requests.append(place.request)
                self._wake()
        if overtaken is not None:
            late = Overtaken(f'{overtaken.key.sub_network!r} gave way to a newer switch.')
            for each in overtaken.failed:
                each(late)
        if held is not None:
            ready(held.prepared)

    def take(self, place: Place) -> Held:
        """Take the one that serves a stream, for a frame; `release` gives it back."""
        with self._condition:
            assert place.serving is not None, 'start() comes first'
            held = place.serving
            held.users += 1
            return held

    def release(self, held: Held) -> None:
        """Give back what was taken."""
        with self._condition:
            held.users -= 1
            left_behind = self._closed and not held.users
        if left_behind:
            held.prepared.close()

    def each(self, processor: str) -> Iterator[PreparedSubNetwork]:
        """Yield each on a processor; as `SubNetworkExchange.each`."""
        for sub_network in self._manifest.sub_networks:
            held = self._borrow(Key(sub_network.id, processor))
            if held is None:
                continue
            try:
                yield held.prepared
            finally:
                self.release(held)
                with self._condition:
                    self._wake()

    def leave(self, place: Place) -> None:
        """Give up a place; with the last one the memory of all goes back."""
        with self._condition:
            if place in self._places:
                self._places.remove(place)
            self._withdraw(place)
            self._wake()
            if self._places:
                return
            self._closed = True
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

    def _withdraw(self, place: Place) -> _Request | None:
        request, place.request = place.request, None
        if request is not None:
            self._requests.remove(request)
        return request

    def _serve(self, place: Place, key: Key, held: Held) -> None:
        before = place.serving
        place.serving = held
        self._exchanged = time.monotonic()
        self._note(key)
        # No thread is woken for an exchange of two that are ready: with a budget it looks around
        # by itself, without one only another processor changes anything.
        if before is not None and before.prepared.processor != key.processor:
            self._wake()

    def _start_beside(self, place: Place, key: Key) -> None:
        """Have a first one serve a stream where others are served already."""
        held = self._borrow(key)
        if held is None:
            error = self._set.failure(key)
            raise RuntimeError('the exchange is closed') if error is None else error
        with self._condition:
            self._serve(place, key, held)
            self._wake()
        self.release(held)

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

    def _serving(self) -> list[Key]:
        return [place.serving.key for place in self._places if place.serving is not None]

    def _wanted(self) -> tuple[Key | None, Sequence[Key], bool]:
        """Return the one that somebody waits for, all to have, and whether some lack room."""
        asked = None
        if self._requests:
            asked = self._requests[0].key
        elif self._loans:
            asked = self._loans[0].key
        return asked, *self._set.wanted(self._serving(), asked, self._recent)

    def _evict(self, kept: Sequence[Key]) -> list[PreparedSubNetwork]:
        return self._set.evict(self._serving(), kept)

    def _answered(self, key: Key) -> list[tuple[Place, _Request]]:
        """Take the requests for one out of the places that wait for it."""
        found = []
        for place in self._places:
            if place.request is not None and place.request.key == key:
                found.append((place, place.request))
                self._withdraw(place)
        return found

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
            settled = time.monotonic() - self._exchanged >= SETTLED_AFTER
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
            answered = self._answered(key)
            for place, _ in answered:
                self._serve(place, key, held)
            self._condition.notify_all()
        for _, request in answered:
            for ready in request.ready:
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
            answered = self._answered(key)
            self._condition.notify_all()
        for _, request in answered:
            for failed in request.failed:
                tell(failed, error)
        if not answered and new:
            tell(self._on_unprepared, sub_network, error)
        # The error is kept, and what the engine has half made would be with it.
        free_frames(error)


def _close(leaving: list[PreparedSubNetwork]) -> None:
    for prepared in leaving:
        prepared.close()
    leaving.clear()
    return_free_memory()
