# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The check of engines finds what is not kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
import time
from typing import Any

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.stages import Stage as ManifestStage
from dynamic_dnn_ros.engines import checks
from dynamic_dnn_ros.engines.batches import settle_batches
from dynamic_dnn_ros.engines.checks import answers_of, check_engine
from dynamic_dnn_ros.engines.contract import (
    Batch,
    Engine,
    EngineError,
    Execution,
    LoadedSubNetwork,
    Outputs,
    Picture,
    PreparedSubNetwork,
    Stage,
)
from dynamic_dnn_ros.pictures.placement import Size
from support.separate_models import entry

SUB_NETWORKS = (entry('s1', 'm', Size(8, 12)), entry('s2', 'm', Size(16, 16)))


class Sums(Engine):
    """An engine that weighs a picture, by what its sub-network is."""

    name = 'sums'
    processors = ('cpu', 'gpu')
    prepared_class: type[PreparedSubNetwork] = LoadedSubNetwork

    def __init__(self) -> None:
        self.last: PreparedSubNetwork | None = None

    def prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        if processor not in self.processors:
            raise EngineError(f'processor {processor!r} is not here')
        weight = 1 + SUB_NETWORKS.index(sub_network)

        def compute(batch: Batch) -> Outputs:
            return {'sums': weight * batch.sum(axis=(1, 2), dtype=np.float32)}

        made: Any = self.prepared_class
        self.last = made(sub_network, processor, compute, 100, 'sums')
        settle_batches(self.last, self.largest_batch)
        return self.last


class Prepared(LoadedSubNetwork):
    """One whose parts tests replace by broken ones."""


class Staged(Prepared):
    """One of two stages, with an answer after the second alone."""

    stages = (Stage('first', exit=False), Stage('second', exit=True))

    def begin(self, picture: Picture) -> Execution:
        if picture.shape != self._shape:
            raise EngineError(f'{self.sub_network.id!r} takes other pictures')
        return TwoStages(self, picture)


class TwoStages(Execution):
    def __init__(self, prepared: PreparedSubNetwork, picture: Picture) -> None:
        self.prepared, self.picture, self.run = prepared, picture, 0

    @property
    def stage(self) -> int:
        return self.run

    @property
    def done(self) -> bool:
        return self.run == 2

    def advance(self) -> Outputs | None:
        if self.done:
            raise EngineError(f'{self.prepared.sub_network.id} has run all of its stages')
        self.run += 1
        return self.prepared.run(self.picture) if self.done else None


def checked(engine: Engine) -> None:
    check_engine(engine, SUB_NETWORKS, answers_of(Sums()))


@pytest.mark.parametrize('prepared_class', [Prepared, Staged])
def test_an_engine_of_another_package(prepared_class: type[PreparedSubNetwork]) -> None:
    engine = Sums()
    engine.prepared_class = prepared_class
    checked(engine)


def test_sub_networks_that_answer_alike_are_no_check() -> None:
    with pytest.raises(AssertionError, match='needs sub-networks that answer differently'):
        check_engine(Sums(), SUB_NETWORKS[:1], answers_of(Sums()))


def _nameless(engine: Sums) -> None:
    engine.name = ''


def _no_processor(engine: Sums) -> None:
    engine.processors = ()


def _doubled_processor(engine: Sums) -> None:
    engine.processors = ('cpu', 'cpu')


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (_nameless, 'has a name'),
        (_no_processor, 'names the processors'),
        (_doubled_processor, 'named once'),
    ],
)
def test_finds_a_wrong_description(change: Callable[[Sums], None], said: str) -> None:
    engine = Sums()
    change(engine)
    with pytest.raises(AssertionError, match=said):
        check_engine(engine, SUB_NETWORKS, answers_of(Sums()), 'cpu')


def broken(**methods: Any) -> Sums:
    """Return an engine whose prepared sub-networks have other methods."""
    engine = Sums()
    engine.prepared_class = type('Broken', (Prepared,), methods)
    return engine


RUN = LoadedSubNetwork.run


def _other_processor(self: Any, *arguments: Any) -> None:
    LoadedSubNetwork.__init__(self, *arguments)
    self.processor = 'tpu'


def _without_axis(self: Any, picture: Picture) -> Outputs:
    return {'sums': RUN(self, picture)['sums'][0]}


def _of_another_name(self: Any, picture: Picture) -> Outputs:
    return {'total': RUN(self, picture)['sums']}


def _wrong(self: Any, picture: Picture) -> Outputs:
    return {'sums': RUN(self, picture)['sums'] * 1.01}


def _any_shape(self: Any, picture: Picture) -> Outputs:
    self._shape = picture.shape
    return RUN(self, picture)


def _value_error(self: Any, picture: Picture) -> Outputs:
    if picture.shape != self._shape:
        raise ValueError('shapes differ')
    return RUN(self, picture)


def _writes(self: Any, picture: Picture) -> Outputs:
    outputs = RUN(self, picture)
    if picture.shape == self._shape:
        picture[0, 0, 0] = 7
    return outputs


def _writes_where_it_may(self: Any, picture: Picture) -> Outputs:
    outputs = RUN(self, picture)
    if picture.flags.writeable:
        picture[...] = 7
    return outputs


def _reuses(self: Any, picture: Picture) -> Outputs:
    outputs = RUN(self, picture)
    self.buffer = getattr(self, 'buffer', outputs['sums'])
    self.buffer[...] = outputs['sums']
    return {'sums': self.buffer}


def _constant(self: Any, picture: Picture) -> Outputs:
    RUN(self, picture)
    return answers_of(Sums())(self.sub_network, checks._picture(self.sub_network))


def _never_ends(self: Any) -> None:
    """Closes nothing."""


def _closes_once(self: Any) -> None:
    if self._compute is None:
        raise EngineError('is closed already')
    LoadedSubNetwork.close(self)


@pytest.mark.parametrize(
    ('methods', 'said'),
    [
        ({'__init__': _other_processor}, 'on which processor'),
        ({'run': _without_axis}, 'the first axis the picture'),
        ({'run': _of_another_name}, "outputs are .'sums'. by name"),
        ({'run': _wrong}, 'are the right ones'),
        ({'run': _any_shape}, r'another shape, \(8, 13, 3\), is refused'),
        ({'run': _value_error}, 'is refused with EngineError, not ValueError'),
        ({'run': _writes}, 'read-only'),
        ({'run': _writes_where_it_may}, 'a picture is left as it is'),
        ({'run': _reuses}, 'a result outlives the next run'),
        ({'run': _constant}, 'answers differently to another picture'),
        ({'stages': ()}, 'stages have names'),
        ({'stages': (Stage('a', exit=True),) * 2}, 'stages have names'),
        ({'stages': (Stage('a', exit=False),)}, 'an answer after the last stage'),
        ({'stages': (Stage('a', exit=False), Stage('b', exit=True))}, "after stage 'a'"),
        ({'memory': -1}, 'memory counts in bytes: -1'),
        ({'memory': 100}, 'what is closed holds no memory'),
        ({'close': _closes_once}, 'is closed already'),
        ({'close': _never_ends, 'memory': 0}, 'running what is closed is refused'),
    ],
)
def test_finds_what_is_not_kept(methods: dict[str, Any], said: str) -> None:
    with pytest.raises((AssertionError, ValueError, EngineError), match=said):
        checked(broken(**methods))


def _set_nothing(self: Any, pictures: int) -> None:
    """Stay as it is."""


class Batched(Prepared):
    """One that takes several pictures whatever an engine finds."""

    largest_batch = property(lambda self: 3, _set_nothing)  # type: ignore[assignment]


def _mixed_up(self: Any, pictures: Sequence[Picture]) -> Outputs:
    return BATCH(self, pictures[::-1])


def _any_number(self: Any, pictures: Sequence[Picture]) -> Outputs:
    return self._run_together(pictures) if pictures else {}


def _any_pictures(self: Any, pictures: Sequence[Picture]) -> Outputs:
    fitting = [each for each in pictures if each.shape == self._shape]
    return BATCH(self, fitting if len(pictures) <= 3 else pictures)


def _one_stage_for_all(self: Any, executions: Sequence[Execution]) -> list[Outputs | None]:
    return [executions[0].advance()] * len(executions)


def _stages_again(self: Any, executions: Sequence[Execution]) -> list[Outputs | None]:
    return [None if each.done else each.advance() for each in executions]


BATCH = LoadedSubNetwork.run_batch


@pytest.mark.parametrize(
    ('methods', 'said'),
    [
        ({'run_batch': _mixed_up}, 'a picture in a batch of 3 is answered as alone'),
        ({'run_batch': _any_number}, 'a batch of nothing is refused'),
        ({'run_batch': _any_pictures}, 'a batch of other shapes is refused'),
        ({'largest_batch': property(lambda self: 0, _set_nothing)}, 'at least one picture'),
        ({'advance_together': _one_stage_for_all}, 'go on together are answered as alone'),
        ({'advance_together': _stages_again}, 'stage of several after the last is refused'),
    ],
)
def test_finds_wrong_batches(methods: dict[str, Any], said: str) -> None:
    engine = Sums()
    engine.prepared_class = type('Broken', (Batched,), methods)
    with pytest.raises(AssertionError, match=said):
        checked(engine)


class Unfinished(TwoStages):
    @property
    def done(self) -> bool:
        return False

    def advance(self) -> Outputs | None:
        self.run += 1
        return self.prepared.run(self.picture) if self.run == 2 else None


class Endless(TwoStages):
    def advance(self) -> Outputs | None:
        self.run = min(2, self.run + 1)
        return self.prepared.run(self.picture) if self.done else None


class Doubled(TwoStages):
    def advance(self) -> Outputs | None:
        outputs = super().advance()
        return outputs and {'sums': 2 * outputs['sums']}


class OneAtOnce(TwoStages):
    """The picture that was begun last is the one that all are about."""

    last: Picture

    def __init__(self, prepared: PreparedSubNetwork, picture: Picture) -> None:
        super().__init__(prepared, picture)
        OneAtOnce.last = picture

    def advance(self) -> Outputs | None:
        self.picture = OneAtOnce.last
        return super().advance()


class Unchecked(TwoStages):
    def advance(self) -> Outputs | None:
        if self.picture.shape != (*self.prepared.sub_network.size, 3):
            return None
        return super().advance()


@pytest.mark.parametrize(
    ('execution', 'said'),
    [
        (OneAtOnce, 'two pictures may be on their way at once'),
        (Unchecked, 'beginning with a picture of another shape is refused'),
        (Unfinished, 'after its last stage an execution is done'),
        (Endless, 'a stage after the last is refused'),
        (Doubled, 'stage by stage the outputs are those of a whole run'),
    ],
)
def test_finds_wrong_stages(execution: type[TwoStages], said: str) -> None:
    engine = broken(stages=Staged.stages, begin=lambda self, picture: execution(self, picture))
    with pytest.raises(AssertionError, match=said):
        checked(engine)


class Anywhere(Sums):
    """Takes any processor for its own."""

    def prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        prepared = super().prepare(sub_network, 'cpu')
        prepared.processor = processor
        return prepared


class OneMemory(Sums):
    """What was prepared last answers for all that are of its size."""

    def prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        prepared = super().prepare(sub_network, processor)
        prepared.run = self._run  # type: ignore[method-assign]
        self.active = sub_network
        return prepared

    def _run(self, picture: Picture) -> Outputs:
        if picture.shape not in [(*each.size, 3) for each in SUB_NETWORKS]:
            raise EngineError('s1 takes pictures of another shape')
        weight = 1 + SUB_NETWORKS.index(self.active)
        return {'sums': weight * picture.sum(axis=(0, 1), dtype=np.float32)[None]}


class Greedy(Sums):
    """It says that memory is a part of a byte."""

    def memory_needed(self, sub_network: SubNetwork) -> int:
        return 0.5  # type: ignore[return-value]


class Once(Sums):
    """What was closed cannot be prepared again."""

    def __init__(self) -> None:
        super().__init__()
        self.prepared_class = _Remembering
        _Remembering.closed.clear()

    def prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        if sub_network.id in _Remembering.closed:
            raise EngineError(f'{sub_network.id} was closed')
        return super().prepare(sub_network, processor)


class _Remembering(Prepared):
    closed: set[str] = set()

    def close(self) -> None:
        self.closed.add(self.sub_network.id)
        super().close()


class Together(Sums):
    """Closing one closes all."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[PreparedSubNetwork] = []

    def prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        prepared = super().prepare(sub_network, processor)
        self.made.append(prepared)

        def close() -> None:
            for each in self.made:
                LoadedSubNetwork.close(each)

        prepared.close = close  # type: ignore[method-assign, assignment]
        return prepared


class Interrupted(Sums):
    """Preparing spoils what runs meanwhile in another thread, and only that."""

    preparing = False

    def prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        self.preparing = True
        time.sleep(0.02)
        self.preparing = False
        prepared = super().prepare(sub_network, processor)
        run = prepared.run

        def spoiled(picture: Picture) -> Outputs:
            outputs = run(picture)
            return {'sums': outputs['sums'] + 1} if self.preparing else outputs

        prepared.run = spoiled  # type: ignore[method-assign]
        return prepared


class OneAtATime(Sums):
    """Two threads that prepare at once get wrong sub-networks."""

    inside = 0

    def prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        self.inside += 1
        time.sleep(0.02)
        wrong = self.inside > 1
        time.sleep(0.02)
        self.inside -= 1
        prepared = super().prepare(sub_network, processor)
        if wrong:
            prepared.run = lambda picture: {'sums': np.zeros((1, 3), np.float32)}  # type: ignore[method-assign]
        return prepared


class Torn(Sums):
    """A run that is in work while it is closed ends with something else."""

    def __init__(self) -> None:
        super().__init__()
        self.prepared_class = _Torn


class _Torn(Prepared):
    def run(self, picture: Picture) -> Outputs:
        held = self._compute is not None
        outputs = super().run(picture)
        time.sleep(0.05)
        return outputs if held and self._compute is not None else {'sums': outputs['sums'] + 1}


@pytest.mark.parametrize(
    ('engine_class', 'said'),
    [
        (Anywhere, 'a processor that is not here is refused'),
        (OneMemory, 'changes no output of the first'),
        (Greedy, 'memory counts in bytes: 0.5'),
        (Once, 's1 was closed'),
        (Together, 's2. is closed'),
        (Interrupted, 'while another thread prepares others'),
        (OneAtATime, 'several threads may prepare and run at once'),
        (Torn, 'while another thread closes ends as it would have'),
    ],
)
def test_finds_engines_that_keep_less(engine_class: type[Sums], said: str) -> None:
    with pytest.raises((AssertionError, EngineError), match=said):
        checked(engine_class())


@pytest.fixture(autouse=True)
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, 'TIMEOUT', 10.0)


def test_finds_stages_that_are_not_the_manifest_s() -> None:
    engine = Sums()
    engine.prepared_class = Staged
    stages = (ManifestStage('one', '', 0.5, 0.5, 0.5), ManifestStage('two', '', None, 1.0, 0.5))

    class Renamed(Sums):
        def prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
            prepared = engine.prepare(replace(sub_network, stages=()), processor)
            prepared.sub_network = sub_network
            return prepared

    staged = [replace(each, stages=stages) for each in SUB_NETWORKS]
    right = answers_of(Renamed())
    with pytest.raises(AssertionError, match='stages are those of the manifest'):
        check_engine(Renamed(), staged, right)
