# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A sub-network of several stages, whatever runs each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.engines.background import return_free_memory
from dynamic_dnn_ros.engines.contract import (
    EngineError,
    Execution,
    Outputs,
    Picture,
    PreparedSubNetwork,
    Stage,
    library_failure,
    ready,
)

#: Runs one stage: takes the picture, or what the stage before hands on; returns the answer, None
#: where there is no exit, and what the next stage takes.
Step = Callable[[Any], tuple[Outputs | None, Any]]


def stages_of(sub_network: SubNetwork) -> tuple[Stage, ...]:
    """Return the stages that a manifest says, as an engine runs them."""
    last = len(sub_network.stages) - 1
    return tuple(
        Stage(stage.name, exit=index == last or stage.threshold is not None)
        for index, stage in enumerate(sub_network.stages)
    )


class StagedSubNetwork(PreparedSubNetwork):
    """
    Steps that run one after the other.

    `run` takes the largest path: all of them, without a decision.
    """

    def __init__(
        self,
        sub_network: SubNetwork,
        processor: str,
        steps: Sequence[Step],
        memory: int,
        library: str,
    ) -> None:
        """
        Hold the steps of a sub-network, one for each of its stages.

        :param steps: nothing else may hold them, so that `close` frees them
        :param memory: bytes
        :param library: as errors name it
        """
        super().__init__(sub_network, processor)
        self.stages = stages_of(sub_network)
        self._steps: tuple[Step, ...] | None = tuple(steps)
        self._shape = (*sub_network.size, 3)
        self._memory = memory
        self._library = library

    @property
    def memory(self) -> int:
        """Return what it was said to hold, bytes; nothing once it is closed."""
        return 0 if self._steps is None else self._memory

    def run(self, picture: Picture) -> Outputs:
        """Run one picture through all stages; return the outputs of the last."""
        execution = self.begin(picture)
        outputs = execution.advance()
        while not execution.done:
            outputs = execution.advance()
        assert outputs is not None, 'there is an answer after the last stage'
        return outputs

    def begin(self, picture: Picture) -> Execution:
        """Begin with one picture; the execution goes on also where this is closed meanwhile."""
        steps = ready(self._steps, self.sub_network.id, self._shape, picture)
        return _Steps(self, steps, picture, self._library)

    def close(self) -> None:
        """Drop it; a run that is in work ends as it would have."""
        self._steps = None
        return_free_memory()


class _Steps(Execution):
    """A picture on its way."""

    def __init__(
        self, prepared: StagedSubNetwork, steps: tuple[Step, ...], picture: Picture, library: str
    ) -> None:
        self._sub_network = prepared.sub_network
        self._steps = steps
        self._library = library
        self._value: Any = picture
        self._index = 0

    @property
    def done(self) -> bool:
        return self._index == len(self._steps)

    def advance(self) -> Outputs | None:
        index = self._index
        name = self._sub_network.id
        if index == len(self._steps):
            raise EngineError(f'sub-network {name!r} has run all of its stages; begin again')
        try:
            outputs, value = self._steps[index](self._value)
        except EngineError:
            raise
        except Exception as error:  # the libraries' errors have no common class
            stage = self._sub_network.stages[index].name
            raise library_failure(
                f'{self._library} failed on stage {stage!r} of sub-network {name!r}', error
            ) from error
        self._value = value
        self._index = index + 1
        return outputs
