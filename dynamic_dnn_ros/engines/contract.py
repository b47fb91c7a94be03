# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The contract that every engine keeps: how one sub-network of a bundle runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
import re
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.engines.background import return_free_memory
from dynamic_dnn_ros.pictures.input import Picture as Picture
from dynamic_dnn_ros.tasks.contract import Outputs as Outputs

HeldT = TypeVar('HeldT')

#: Pictures of one size that run together, uint8, pictures x height x width x 3.
Batch = NDArray[np.uint8]


class EngineError(RuntimeError):
    """An engine cannot do what it was asked for. The text says what to do."""


class OutOfMemoryError(EngineError):
    """A processor has no memory left for what an engine was asked for; less may still fit."""


class Precision(Enum):
    """The numbers that an engine computes with; pictures and outputs stay what they are."""

    FLOAT32 = 'float32'
    BFLOAT16 = 'bfloat16'
    FLOAT16 = 'float16'
    INT8 = 'int8'


@dataclass(frozen=True)
class Stage:
    """
    A part of a sub-network that runs without a decision.

    :param exit: whether there is an answer after it, which may be good enough, or is final
    :param gate: whether scores after it say which stage runs next
    """

    name: str
    exit: bool
    gate: bool = False

    @property
    def decides(self) -> bool:
        """Tell whether what it gives first is for a decision: an answer, or a gate's scores."""
        return self.exit or self.gate


#: The stages of a sub-network that is one piece.
ONE_STAGE = (Stage('whole', exit=True),)


class Execution(ABC):
    """A picture on its way through the stages of a sub-network."""

    #: Gates whose scores were not finite so far: there the picture took the largest path.
    undecided: int = 0

    @property
    @abstractmethod
    def stage(self) -> int:
        """Return the number of the stage that runs next; the number of stages: none does."""

    @property
    @abstractmethod
    def done(self) -> bool:
        """Tell whether the last stage of its path has run."""

    @abstractmethod
    def advance(self) -> Outputs | None:
        """
        Run the next stage; return all outputs by name where it has an exit, None elsewhere.

        After a gate the stage with the highest score is next.

        :raises EngineError: when the engine fails, or the execution is done
        """

    def resume(self, parked: float) -> None:  # noqa: B027 (most need not know)
        """Go on after having been parked between two stages for some seconds."""


class SharedMemory(NamedTuple):
    """
    Memory that several prepared sub-networks have together, and that the last of them frees.

    `owner` is the same for all of them, on one processor; `size` in bytes.
    """

    owner: str
    size: int


class PreparedSubNetwork(ABC):
    """
    One sub-network on one processor, ready to run.

    It is independent of every other one: preparing or running another changes no output of it.
    """

    #: In the order of the manifest; each runs after those that lead to it.
    stages: tuple[Stage, ...] = ONE_STAGE

    #: Pictures that `run_batch` takes at most.
    largest_batch: int = 1

    #: What it has together with others, beside its own `memory`; None: nothing that counts.
    shared_memory: SharedMemory | None = None

    def __init__(self, sub_network: SubNetwork, processor: str) -> None:
        self.sub_network = sub_network
        self.processor = processor

    @property
    def memory(self) -> int:
        """
        Return what it holds for itself, bytes: about what `close` gives back.

        An estimate. What it has together with others is not in it, see `shared_memory`; the
        weights of a super-network in its one file count for none.
        """
        return 0

    @abstractmethod
    def run(self, picture: Picture) -> Outputs:
        """
        Run one picture of the sub-network's own size through it; normalisation is done here.

        Returns all outputs by name, each with the batch of one picture as its first axis, when
        they are there, also where the processor works asynchronously. Where it has stages, the
        picture takes the largest path, whatever exits and gates would say.

        :raises EngineError: when the engine fails; the sub-network may be tried again
        """

    def run_batch(self, pictures: Sequence[Picture]) -> Outputs:
        """
        Run several pictures together, which may come of different cameras.

        Returns what `run` does, with the pictures as the first axis of each output, in their
        order; values are those of single runs within rounding.

        :param pictures: at least one, `largest_batch` at most
        :raises OutOfMemoryError: when the processor has no memory for so many; fewer may fit
        :raises EngineError: when the engine fails, or there are none or too many
        """
        if not 1 <= len(pictures) <= self.largest_batch:
            raise EngineError(
                f'sub-network {self.sub_network.id!r} takes 1 to {self.largest_batch} pictures at '
                f'once, not {len(pictures)}'
            )
        return self.run(pictures[0]) if len(pictures) == 1 else self._run_together(pictures)

    def _run_together(self, pictures: Sequence[Picture]) -> Outputs:
        """Run two pictures or more, `largest_batch` at most."""
        raise NotImplementedError(f'{type(self).__name__} has a `largest_batch` and no batches')

    def advance_together(self, executions: Sequence[Execution]) -> list[Outputs | None]:
        """
        Run the next stage of several pictures; return what `advance` of each would, in order.

        They run together where they were begun by this one and have come equally far, and one by
        one elsewhere.

        :param executions: none is done; more than `largest_batch` run one by one
        :raises OutOfMemoryError: when the processor has no memory for so many; fewer may fit
        :raises EngineError: when the engine fails, or one of them is done
        """
        whole = [each for each in executions if isinstance(each, _WholeRun) and not each.done]
        if not len(executions) == len(whole) > 1 or len(whole) > self.largest_batch:
            return [each.advance() for each in executions]
        outputs = self.run_batch([each.picture for each in whole])
        for each in whole:
            each.finish()
        return [picture_of(outputs, index) for index in range(len(whole))]

    def begin(self, picture: Picture) -> Execution:
        """
        Begin with one picture, to run stage by stage; by default there is one.

        Where nobody decides between stages, `run` does the same in one call.
        """
        return _WholeRun(self, picture)

    @property
    def parts(self) -> tuple[PreparedSubNetwork, ...]:
        """Return the sub-networks that a cascade runs one after the other; none elsewhere."""
        return ()

    def twin(self) -> PreparedSubNetwork | None:
        """
        Return another one that has the same model in memory, to be closed by itself.

        None where it is closed, or an engine does not share: then it is prepared anew.
        """
        return None

    @property
    def remarks(self) -> object:
        """Return what there is to say of the last run besides its outputs; None: nothing."""
        return None

    def close(self) -> None:  # noqa: B027 (one that holds nothing has nothing to give back)
        """
        Give its memory back. Running it afterwards raises EngineError; closing again does nothing.

        May be called from any thread. A run that is in work ends as it would have, and the memory
        is free after it.
        """


class _WholeRun(Execution):
    """A picture through a sub-network of one stage."""

    def __init__(self, prepared: PreparedSubNetwork, picture: Picture) -> None:
        self.picture = picture
        self._prepared = prepared
        self._done = False

    @property
    def stage(self) -> int:
        return int(self._done)

    @property
    def done(self) -> bool:
        return self._done

    def finish(self) -> None:
        self._done = True

    def advance(self) -> Outputs | None:
        if self._done:
            name = self._prepared.sub_network.id
            raise EngineError(f'sub-network {name!r} has run all of its stages; begin again')
        outputs = self._prepared.run(self.picture)
        self._done = True
        return outputs


def picture_of(outputs: Outputs, index: int) -> Outputs:
    """Return the outputs of one picture of a batch; they lie where those of the batch do."""
    return {name: value[index : index + 1] for name, value in outputs.items()}


def ready(held: HeldT | None, name: str, shape: tuple[int, ...], picture: Picture) -> HeldT:
    """
    Return what a sub-network holds to run a picture.

    :param held: None: it is closed
    :param name: id of the sub-network
    :param shape: of the pictures that it takes
    :raises EngineError: when it is closed, or the picture is of another shape
    """
    if held is None:
        raise EngineError(f'sub-network {name!r} is closed; prepare it again')
    if picture.shape != shape:
        raise EngineError(
            f'sub-network {name!r} takes pictures of shape {shape}, not {picture.shape}'
        )
    return held


class LoadedSubNetwork(PreparedSubNetwork):
    """What a library has loaded: the part of the contract that no library does differently."""

    def __init__(
        self,
        sub_network: SubNetwork,
        processor: str,
        compute: Callable[[Batch], Outputs],
        memory: int,
        library: str,
        shared: SharedMemory | None = None,
    ) -> None:
        """
        Hold what a library has loaded.

        :param compute: runs a batch, of one picture where `largest_batch` is not set to more;
            nothing but twins may hold it, so that `close` frees it
        :param memory: bytes
        :param library: as errors name it
        :param shared: memory that it has together with others
        """
        super().__init__(sub_network, processor)
        self._compute: Callable[[Batch], Outputs] | None = compute
        self._shape = (*sub_network.size, 3)
        self._memory = memory
        self._library = library
        self.shared_memory = shared

    @property
    def memory(self) -> int:
        """Return what it was said to hold, bytes; nothing once it is closed."""
        return 0 if self._compute is None else self._memory

    def run(self, picture: Picture) -> Outputs:
        """Run one picture through it."""
        # One reference for the whole run: `close` may come from another thread meanwhile.
        compute = ready(self._compute, self.sub_network.id, self._shape, picture)
        return self._computed(compute, picture[np.newaxis])

    def _run_together(self, pictures: Sequence[Picture]) -> Outputs:
        compute = self._compute
        for picture in pictures:
            compute = ready(compute, self.sub_network.id, self._shape, picture)
        assert compute is not None, 'a batch has pictures'
        return self._computed(compute, np.stack(pictures))

    def _computed(self, compute: Callable[[Batch], Outputs], batch: Batch) -> Outputs:
        try:
            return compute(batch)
        except Exception as error:  # the libraries' errors have no common class
            raise library_failure(
                f'{self._library} failed on sub-network {self.sub_network.id!r}', error
            ) from error

    @property
    def parts(self) -> tuple[PreparedSubNetwork, ...]:
        """Return the sub-networks that a cascade runs one after the other; none elsewhere."""
        return ()

    def twin(self) -> PreparedSubNetwork | None:
        """Return another one that runs the same: its memory is free once both are closed."""
        compute = self._compute
        if compute is None:
            return None
        other = LoadedSubNetwork(
            self.sub_network,
            self.processor,
            compute,
            self._memory,
            self._library,
            self.shared_memory,
        )
        other.largest_batch = self.largest_batch
        return other

    def close(self) -> None:
        """Drop it; a run that is in work ends as it would have."""
        self._compute = None
        return_free_memory()


class Engine(ABC):
    """Runs the sub-networks of one bundle."""

    #: Name by which a user asks for it.
    name: str

    #: The numbers it computes with.
    precision: Precision = Precision.FLOAT32

    #: Pictures that what it prepares is to take together; it may prepare for fewer, or for one.
    largest_batch: int = 1

    @property
    @abstractmethod
    def processors(self) -> tuple[str, ...]:
        """Return the processors that it can run on here, the preferred one first."""

    @abstractmethod
    def prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        """
        Make one sub-network ready, its first slow runs included. May be called from any thread.

        :raises EngineError: when it cannot be run on that processor
        """

    def memory_needed(self, sub_network: SubNetwork) -> int:
        """Return an estimate of the `memory` of a sub-network before it is prepared, bytes."""
        return 4 * sub_network.parameters

    def shared_memory(self, sub_network: SubNetwork) -> SharedMemory | None:
        """Return an estimate of what a sub-network will have together with others."""
        return None


#: How often a sub-network runs before it counts as ready: first runs allocate and choose kernels.
WARM_UP_RUNS = 3


def warm_up(prepared: PreparedSubNetwork) -> None:
    """
    Run a sub-network until its first slow runs are over.

    :raises EngineError: when the engine fails
    """
    picture = np.zeros((*prepared.sub_network.size, 3), np.uint8)
    for _ in range(WARM_UP_RUNS):
        prepared.run(picture)


#: What libraries say of memory that a processor has not: the C++ library, PyTorch, the driver and
#: the libraries of CUDA, TensorRT, ONNX Runtime's arena, OpenCL and OpenVINO.
_OUT_OF_MEMORY = re.compile(
    r'bad_?\s?alloc|out[ _]?of[ _]?(host[ _])?memory|not enough memory|cannot allocate memory'
    r"|can't allocate memory|failed to allocate (\d+ bytes of )?memory|BFC_?Arena"
    r'|cudaErrorMemoryAllocation|(CUBLAS|CUDNN)_STATUS_ALLOC_FAILED'
    r'|CL_OUT_OF_RESOURCES|CL_MEM_OBJECT_ALLOCATION_FAILURE|exceeded max size of memory',
    re.IGNORECASE,
)


def library_failure(what: str, error: Exception, remedy: str = '') -> EngineError:
    """
    Return the error to raise for one of a library: `OutOfMemoryError` where it is of memory.

    Libraries have no class of their own for that, or do not pass it on, so what they say counts.

    :param what: the engine could not do, without a full stop
    :param remedy: where it is not of memory; a sentence
    """
    text = f'{what}: {one_line(error) or type(error).__name__}'
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
        return OutOfMemoryError(
            f'{text}. There is no memory left for it: end what else takes memory there, have '
            'fewer sub-networks held, or name another processor.'
        )
    return EngineError(f'{text}. {remedy}' if remedy else text)


def one_line(error: Exception) -> str:
    """Return what a library says, without its line breaks and the full stop at its end."""
    return ' '.join(str(error).split()).rstrip('.')
