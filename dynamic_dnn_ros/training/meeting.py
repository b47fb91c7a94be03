# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Where processes that train together meet: a store that holds nothing of an earlier start.

`torchrun` keeps one store over all its restarts (PyTorch 2.13, `dynamic_rendezvous.py`), and
nothing in it says at which restart a value was written. A process that is started again finds
addresses of those that were there before, and waits for them or is refused.
"""

from __future__ import annotations

import os
import time
import uuid

from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

SECONDS = 1800.0
"""How long a process waits for the others, as long as PyTorch does."""

_PAUSE = 0.05

_START = 'dynamic_dnn_start'


def meet(seconds: float = SECONDS) -> tuple[Store, int, int]:
    """
    Return a store that all processes of this start share, this one's number, and how many.

    :raises TimeoutError: naming who did not come
    """
    store, rank, count = next(rendezvous('env://'))
    if os.environ.get('TORCHELASTIC_USE_AGENT_STORE') == str(True):
        name = agree(store, rank, count, seconds)
        store = PrefixStore(name, store)
    return store, rank, count


def agree(store: Store, rank: int, count: int, seconds: float = SECONDS) -> str:
    """
    Return a name that all processes of this start agree on, and none of an earlier one has.

    The first process offers a new name, each other one signs it with a word of its own, and the
    first one publishes who signed. So nobody takes the name of an earlier start.

    :param store: may hold what earlier starts left
    :raises TimeoutError: naming who did not come
    """
    own = uuid.uuid4().hex
    end = time.monotonic() + seconds
    if rank:
        return _signed(store, rank, own, end)
    store.set(_START, own)
    signatures = []
    for other in range(1, count):
        key = f'{own}/{other}'
        _wait(store, key, end, f'process {other} of {count} did not come')
        signatures.append(store.get(key).decode())
    store.set(f'{own}/signed', ' '.join(signatures))
    return own


def _signed(store: Store, rank: int, own: str, end: float) -> str:
    signed = ''
    _wait(store, _START, end, 'the first process did not come')
    while True:
        name = store.get(_START).decode()
        if name != signed:
            store.set(f'{name}/{rank}', own)
            signed = name
        if store.check([f'{name}/signed']) and own in store.get(f'{name}/signed').decode().split():
            return name
        _pause(end, 'the first process did not start again')


def _wait(store: Store, key: str, end: float, missing: str) -> None:
    while not store.check([key]):
        _pause(end, missing)


def _pause(end: float, missing: str) -> None:
    if time.monotonic() > end:
        raise TimeoutError(f'{missing}: start it, and see whether its computer reaches this one')
    time.sleep(_PAUSE)
