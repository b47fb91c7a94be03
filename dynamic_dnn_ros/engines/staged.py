# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A sub-network of several stages, whatever runs each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

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
    picture_of,
    ready,
)

#: What a stage takes: a batch of pictures, or the tensors that the stage before hands on. The
#: first axis of each is the pictures.
Values = tuple[Any, ...]

#: Runs one stage; returns the answer, None where there is no exit, and what the next one takes.
Step = Callable[[Values], tuple[Outputs | None, Values]]


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
        concatenate: Callable[[Sequence[Any]], Any] = np.concatenate,
    ) -> None:
        """
        Hold the steps of a sub-network, one for each of its stages.

        :param steps: nothing else may hold them, so that `close` frees them
        :param memory: bytes
        :param library: as errors name it
        :param concatenate: joins what steps hand on along the first axis
        """
        super().__init__(sub_network, processor)
        self.stages = stages_of(sub_network)
        self._steps: tuple[Step, ...] | None = tuple(steps)
        self._shape = (*sub_network.size, 3)
        self._memory = memory
        self._library = library
        self._concatenate = concatenate

    @property
    def memory(self) -> int:
        """Return what it was said to hold, bytes; nothing once it is closed."""
        return 0 if self._steps is None else self._memory

    def run(self, picture: Picture) -> Outputs:
        """Run one picture through all stages; return the outputs of the last."""
        return _run_through(self.begin(picture))

    def begin(self, picture: Picture) -> Execution:
        """Begin with one picture; the execution goes on also where this is closed meanwhile."""
        return self._begun([picture])

    def advance_together(self, executions: Sequence[Execution]) -> list[Outputs | None]:
        """Run the next stage of several pictures, together where they have come equally far."""
        steps = [each for each in executions if isinstance(each, _Steps)]
        alike = len(executions) == len(steps) and len({each.place for each in steps}) == 1
        if not alike or not 1 < len(steps) <= self.largest_batch:
            return [each.advance() for each in executions]
        joined = steps[0].joined(steps, self._concatenate)
        outputs = joined.advance()
        for index, each in enumerate(steps):
            each.take(joined, index)
        return [None if outputs is None else picture_of(outputs, i) for i in range(len(steps))]

    def _run_together(self, pictures: Sequence[Picture]) -> Outputs:
        return _run_through(self._begun(pictures))

    def _begun(self, pictures: Sequence[Picture]) -> _Steps:
        steps = self._steps
        for picture in pictures:
            steps = ready(steps, self.sub_network.id, self._shape, picture)
        assert steps is not None, 'a batch has pictures'
        batch = pictures[0][np.newaxis] if len(pictures) == 1 else np.stack(pictures)
        return _Steps(self.sub_network, steps, (batch,), self._library)

    def close(self) -> None:
        """Drop it; a run that is in work ends as it would have."""
        self._steps = None
        return_free_memory()


def _run_through(execution: Execution) -> Outputs:
    outputs = execution.advance()
    while not execution.done:
        outputs = execution.advance()
    assert outputs is not None, 'there is an answer after the last stage'
    return outputs


class _Steps(Execution):
    """A picture on its way, or several that go together."""

    def __init__(
        self,
        sub_network: SubNetwork,
        steps: tuple[Step, ...],
        values: Values,
        library: str,
        index: int = 0,
    ) -> None:
        self._sub_network = sub_network
        self._steps = steps
        self._library = library
        self._values = values
        self._index = index

    @property
    def place(self) -> tuple[int, int]:
        """Return what is the same for pictures that may go on together."""
        return id(self._steps), self._index

    @property
    def done(self) -> bool:
        return self._index == len(self._steps)

    def advance(self) -> Outputs | None:
        index = self._index
        name = self._sub_network.id
        if index == len(self._steps):
            raise EngineError(f'sub-network {name!r} has run all of its stages; begin again')
        try:
            outputs, values = self._steps[index](self._values)
        except EngineError:
            raise
        except Exception as error:  # the libraries' errors have no common class
            stage = self._sub_network.stages[index].name
            raise library_failure(
                f'{self._library} failed on stage {stage!r} of sub-network {name!r}', error
            ) from error
        self._values = values
        self._index = index + 1
        return outputs

    def joined(
        self, others: Sequence[_Steps], concatenate: Callable[[Sequence[Any]], Any]
    ) -> _Steps:
        """Return one execution that goes on with the pictures of others at the same place."""
        values = tuple(map(concatenate, zip(*(each._values for each in others))))
        return _Steps(self._sub_network, self._steps, values, self._library, self._index)

    def take(self, joined: _Steps, index: int) -> None:
        """Be where a joined execution is, with one picture of it."""
        self._values = tuple(value[index : index + 1] for value in joined._values)
        self._index = joined._index
