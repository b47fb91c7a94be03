# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A sub-network of several stages, whatever runs each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.stages import routes
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

#: Runs one stage; returns the answer or the scores of a gate, None where there is neither, and
#: what the next one takes.
Step = Callable[[Values], tuple[Outputs | None, Values]]


def stages_of(sub_network: SubNetwork) -> tuple[Stage, ...]:
    """Return the stages that a manifest says, as an engine runs them."""
    return tuple(
        Stage(
            stage.name,
            exit=not onward or stage.threshold is not None,
            gate=bool(stage.choices),
        )
        for stage, onward in zip(sub_network.stages, routes(sub_network.stages))
    )


def decision(scores: Any) -> tuple[int, bool]:
    """
    Return the place of the highest score of a gate, and whether all scores are finite.

    Otherwise it is the last place, where the largest path begins.

    :param scores: of one picture
    """
    if not np.isfinite(scores).all():
        return len(scores) - 1, False
    return int(np.argmax(scores)), True


class StagedSubNetwork(PreparedSubNetwork):
    """
    Steps that run one after the other, or as gates say.

    `run` takes the largest path, without a decision: all of them, and of a gate the last choice.
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
        self._routes = routes(sub_network.stages)
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
        return _run_through(self._begun([picture], decides=False))

    def begin(self, picture: Picture) -> Execution:
        """Begin with one picture; the execution goes on also where this is closed meanwhile."""
        return self._begun([picture], decides=True)

    def advance_together(self, executions: Sequence[Execution]) -> list[Outputs | None]:
        """Run the next stage of several pictures, together where they have come equally far."""
        steps = [each for each in executions if isinstance(each, _Steps)]
        alike = len(executions) == len(steps) and len({each.place for each in steps}) == 1
        if not alike or not 1 < len(steps) <= self.largest_batch:
            return [each.advance() for each in executions]
        first, values = steps[0].joined(steps, self._concatenate).run()
        # From here on each goes its own way.
        return [
            each.take(
                None if first is None else picture_of(first, index),
                tuple(value[index : index + 1] for value in values),
            )
            for index, each in enumerate(steps)
        ]

    def _run_together(self, pictures: Sequence[Picture]) -> Outputs:
        return _run_through(self._begun(pictures, decides=False))

    def _begun(self, pictures: Sequence[Picture], decides: bool) -> _Steps:
        steps = self._steps
        for picture in pictures:
            steps = ready(steps, self.sub_network.id, self._shape, picture)
        assert steps is not None, 'a batch has pictures'
        batch = pictures[0][np.newaxis] if len(pictures) == 1 else np.stack(pictures)
        return _Steps(self.sub_network, steps, (batch,), self._library, self._routes, decides)

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
        following: Sequence[Sequence[int]],
        decides: bool,
        index: int = 0,
    ) -> None:
        self._sub_network = sub_network
        self._steps = steps
        self._library = library
        self._values = values
        self._following = following
        self._decides = decides
        self._index = index

    @property
    def place(self) -> tuple[int, int]:
        """Return what is the same for pictures that may go on together."""
        return id(self._steps), self._index

    @property
    def stage(self) -> int:
        return self._index

    @property
    def done(self) -> bool:
        return self._index == len(self._steps)

    def advance(self) -> Outputs | None:
        return self.take(*self.run())

    def run(self) -> tuple[Outputs | None, Values]:
        """Return what the next stage gives, and stay before it."""
        index = self._index
        name = self._sub_network.id
        if index == len(self._steps):
            raise EngineError(f'sub-network {name!r} has run all of its stages; begin again')
        try:
            return self._steps[index](self._values)
        except EngineError:
            raise
        except Exception as error:  # the libraries' errors have no common class
            stage = self._sub_network.stages[index].name
            raise library_failure(
                f'{self._library} failed on stage {stage!r} of sub-network {name!r}', error
            ) from error

    def joined(
        self, others: Sequence[_Steps], concatenate: Callable[[Sequence[Any]], Any]
    ) -> _Steps:
        """Return one execution that goes on with the pictures of others at the same place."""
        return _Steps(
            self._sub_network,
            self._steps,
            tuple(map(concatenate, zip(*(each._values for each in others)))),
            self._library,
            self._following,
            self._decides,
            self._index,
        )

    def take(self, first: Outputs | None, values: Values) -> Outputs | None:
        """
        Take what the next stage has come to, and go on behind it.

        :param first: its answer, or the scores of its gate
        :param values: that it hands on
        :return: its answer, where it has one
        """
        following = self._following[self._index]
        choice = 0
        answer = first
        if self._sub_network.stages[self._index].choices:
            choice = self._choice(first, len(following))
            answer = None
        self._values = values
        self._index = following[choice] if following else len(self._steps)
        return answer

    def _choice(self, first: Outputs | None, choices: int) -> int:
        """Return the place of the stage that a gate chooses."""
        scores = None if first is None else next(iter(first.values()))
        if scores is None or scores.shape[1:] != (choices,):
            found = 'nothing' if scores is None else f'shape {scores.shape}'
            stage = self._sub_network.stages[self._index]
            raise EngineError(
                f'the gate after stage {stage.name!r} of sub-network {self._sub_network.id!r} '
                f'gives {found}, and it chooses of {choices} stages: {", ".join(stage.choices)}. '
                'Write the bundle again with the stages of its family.'
            )
        if not self._decides:
            return choices - 1
        choice, finite = decision(scores[0])
        self.undecided += not finite
        return choice
