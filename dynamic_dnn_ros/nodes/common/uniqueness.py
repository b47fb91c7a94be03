# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which of two nodes that may exist only once gives way to the other."""

from __future__ import annotations

from dataclasses import dataclass, field
import time
import uuid


@dataclass(frozen=True)
class Identity:
    """
    One instance of a node: a new one at each start.

    `started` is in nanoseconds of the system clock, also where nodes run on simulated time:
    the order of two starts does not depend on a recording.
    """

    instance: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: int = field(default_factory=time.time_ns)

    def gives_way_to(self, other: Identity) -> bool:
        """
        Tell whether this instance, rather than the other, has to stop: the later one does.

        Never to one without an id: messages of another version may be read so.
        """
        if other.instance in ('', self.instance):
            return False
        return (self.started, self.instance) > (other.started, other.instance)
