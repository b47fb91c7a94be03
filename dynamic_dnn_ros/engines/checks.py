# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What every engine must keep, as a check for tests: of this package's engines and of yours.

    from dynamic_dnn_ros.bundles.reader import read_bundle
    from dynamic_dnn_ros.engines.checks import check_engine
    from dynamic_dnn_ros.engines.registry import create_engine

    def test_my_engine():
        bundle = read_bundle(folder)
        reference = create_engine('torch', bundle, threads=1)
        engine = MyEngine(bundle, 1, Precision.FLOAT32, print)
        check_engine(engine, bundle.manifest.sub_networks, answers_of(reference))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
import threading
import time

import numpy as np

from dynamic_dnn_ros.assertions import refused
from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.engines.contract import (
    Engine,
    EngineError,
    Outputs,
    Picture,
    Precision,
    PreparedSubNetwork,
    picture_of,
)

#: Outputs that a sub-network has to give for a picture, each with the batch of one as first axis.
Answers = Callable[[SubNetwork, Picture], Outputs]

#: s, after which a thread counts as stuck.
TIMEOUT = 60.0

_NO_PROCESSOR = 'no_such_processor'

#: How often a check that depends on the moment is made.
_ROUNDS = 5


def check_engine(
    engine: Engine,
    sub_networks: Sequence[SubNetwork],
    answers: Answers,
    processor: str = '',
    tolerance: float = 1e-4,
) -> None:
    """
    Check that an engine keeps its contract.

    :param engine: for a bundle whose sub-networks these are
    :param sub_networks: two at least, which answer differently
    :param answers: the right ones, see `answers_of`
    :param processor: to run on; empty: the engine's first
    :param tolerance: by which values may differ, of their size and beside it; the engine repeats
        its own values to the bit
    :raises AssertionError: naming what is not kept
    """
    _check_description(engine)
    suite = _Suite(engine, sub_networks, answers, processor or engine.processors[0], tolerance)
    suite.check_answers()
    suite.check_refusals()
    suite.check_pictures()
    suite.check_results_last()
    suite.check_stages()
    suite.check_independence()
    suite.check_preparing_while_running()
    suite.check_threads()
    suite.check_memory()
    suite.check_batches()
    suite.check_closing_while_running()


def answers_of(engine: Engine, processor: str = '') -> Answers:
    """Return the answers of another engine, as right ones for `check_engine`."""

    def answers(sub_network: SubNetwork, picture: Picture) -> Outputs:
        prepared = engine.prepare(sub_network, processor or engine.processors[0])
        outputs = {name: value.copy() for name, value in prepared.run(picture).items()}
        prepared.close()
        return outputs

    return answers


def _check_description(engine: Engine) -> None:
    assert isinstance(engine.name, str) and engine.name, 'an engine has a name'
    assert isinstance(engine.precision, Precision), 'an engine says what it computes with'
    processors = engine.processors
    assert processors and all(isinstance(each, str) and each for each in processors), (
        f'an engine names the processors that it runs on: {processors}'
    )
    assert len(set(processors)) == len(processors), f'a processor is named once: {processors}'


class _Suite:
    """The checks of one engine on one processor."""

    def __init__(
        self,
        engine: Engine,
        sub_networks: Sequence[SubNetwork],
        answers: Answers,
        processor: str,
        tolerance: float,
    ) -> None:
        self.engine = engine
        self.sub_networks = sub_networks
        self.processor = processor
        self.tolerance = tolerance
        self.pictures = {each.id: _picture(each) for each in sub_networks}
        self.right = {each.id: answers(each, self.pictures[each.id]) for each in sub_networks}
        first, *others = self.right.values()
        assert any(not _near(first, other, tolerance) for other in others), (
            'check_engine needs sub-networks that answer differently'
        )

    def prepare(self, sub_network: SubNetwork) -> PreparedSubNetwork:
        return self.engine.prepare(sub_network, self.processor)

    def run(self, prepared: PreparedSubNetwork) -> Outputs:
        """Return a copy of what it answers to its picture."""
        outputs = prepared.run(self.pictures[prepared.sub_network.id].copy())
        return {name: value.copy() for name, value in outputs.items()}

    def is_right(self, outputs: Outputs, sub_network: SubNetwork) -> bool:
        return _near(outputs, self.right[sub_network.id], self.tolerance)

    def check_answers(self) -> None:
        for each in self.sub_networks:
            prepared = self.prepare(each)
            assert prepared.sub_network == each and prepared.processor == self.processor, (
                f'what is prepared says of what, and on which processor: {each.id!r}'
            )
            outputs = prepared.run(self.pictures[each.id].copy())
            right = self.right[each.id]
            assert set(outputs) == set(right), (
                f'outputs are {sorted(right)} by name: {sorted(outputs)}'
            )
            for name, value in outputs.items():
                assert isinstance(value, np.ndarray) and value.shape == right[name].shape, (
                    f'output {name!r} of {each.id!r} is an array {right[name].shape}, the first '
                    f'axis the picture: {getattr(value, "shape", type(value))}'
                )
            assert self.is_right(outputs, each), f'the outputs of {each.id!r} are the right ones'

    def check_refusals(self) -> None:
        first = self.sub_networks[0]
        refused(
            lambda: self.engine.prepare(first, _NO_PROCESSOR),
            EngineError,
            'a processor that is not here',
            _NO_PROCESSOR,
        )
        prepared = self.prepare(first)
        height, width = first.size
        for shape in ((height, width + 1, 3), (height, width), (height, width, 4)):
            wrong = np.zeros(shape, np.uint8)
            refused(
                lambda wrong=wrong: prepared.run(wrong),  # type: ignore[misc]
                EngineError,
                f'a picture of another shape, {shape},',
                first.id,
            )
        assert self.is_right(self.run(prepared), first), 'after an error it may be tried again'

    def check_pictures(self) -> None:
        first = self.sub_networks[0]
        prepared = self.prepare(first)
        picture = self.pictures[first.id].copy()
        picture.flags.writeable = False
        assert _same(prepared.run(picture), self.run(prepared)), (
            'a picture that may not be written gives the same'
        )
        picture = self.pictures[first.id].copy()
        prepared.run(picture)
        assert np.array_equal(picture, self.pictures[first.id]), 'a picture is left as it is'

    def check_results_last(self) -> None:
        first = self.sub_networks[0]
        prepared = self.prepare(first)
        outputs = prepared.run(self.pictures[first.id])
        kept = {name: value.copy() for name, value in outputs.items()}
        other = prepared.run(255 - self.pictures[first.id])
        assert not _same(other, kept), f'{first.id!r} answers differently to another picture'
        assert _same(outputs, kept), 'a result outlives the next run'

    def check_stages(self) -> None:
        for each in self.sub_networks:
            prepared = self.prepare(each)
            names = [stage.name for stage in prepared.stages]
            assert names and len(set(names)) == len(names), f'stages have names: {names}'
            assert prepared.stages[-1].exit, 'there is an answer after the last stage'
            gates = any(stage.gate for stage in prepared.stages)
            if each.stages:
                assert names == [stage.name for stage in each.stages], (
                    f'stages are those of the manifest: {names}'
                )
            assert prepared.largest_batch >= 1, 'a run takes at least one picture'
            execution = prepared.begin(self.pictures[each.id])
            outputs: Outputs | None = None
            index = -1
            while not execution.done:
                assert execution.stage < len(names), (
                    f'after its last stage an execution is done: {names}'
                )
                assert index < execution.stage, (
                    f'each stage is later in the list than the one before: {names}'
                )
                index = execution.stage
                outputs = execution.advance()
                assert (outputs is not None) == prepared.stages[index].exit, (
                    f'there are outputs after stage {names[index]!r} as its exit says'
                )
            assert execution.stage == len(names), 'no stage is left of an execution that is done'
            # Where a gate decides, a picture need not take the largest path.
            assert outputs is not None and (gates or _same(outputs, self.run(prepared))), (
                'stage by stage the outputs are those of a whole run'
            )
            refused(execution.advance, EngineError, 'a stage after the last', each.id)
            if len(names) > 1:
                self._check_pictures_on_their_way(prepared)

    def _check_pictures_on_their_way(self, prepared: PreparedSubNetwork) -> None:
        picture = self.pictures[prepared.sub_network.id]
        expected = self.run(prepared)
        along = prepared.begin(picture)
        expected_of_path: Outputs | None = None
        while not along.done:
            expected_of_path = along.advance()
        one, other = prepared.begin(picture), prepared.begin(255 - picture)
        outputs: Outputs | None = None
        while not one.done:
            outputs = one.advance()
            if not other.done:
                other.advance()
        assert outputs is not None and expected_of_path is not None, 'a path ends with an answer'
        assert _same(outputs, expected_of_path), (
            'two pictures may be on their way at once, stage by stage'
        )
        left = prepared.begin(255 - picture)
        left.advance()
        assert _same(self.run(prepared), expected), (
            'a picture that left early changes no output of the next'
        )
        left.advance()
        height, width = prepared.sub_network.size
        wrong = np.zeros((height + 1, width, 3), np.uint8)
        refused(
            lambda: prepared.begin(wrong).advance(),
            EngineError,
            'beginning with a picture of another shape',
            prepared.sub_network.id,
        )

    def check_batches(self) -> None:
        wanted = self.engine.largest_batch
        self.engine.largest_batch = 3
        try:
            batched = [self.prepare(each) for each in self.sub_networks]
        finally:
            self.engine.largest_batch = wanted
        for prepared in batched:
            self._check_batch(prepared)
            self._check_stages_together(prepared)

    def _check_batch(self, prepared: PreparedSubNetwork) -> None:
        name, most = prepared.sub_network.id, prepared.largest_batch
        pictures = self._different_pictures(prepared.sub_network, most)
        alone = [prepared.run(picture) for picture in pictures]
        assert _same(prepared.run_batch(pictures[:1]), alone[0]), (
            f'a batch of one picture is a run of it: {name!r}'
        )
        outputs = prepared.run_batch(pictures)
        for index, expected in enumerate(alone):
            assert _near(picture_of(outputs, index), expected, self.tolerance), (
                f'a picture in a batch of {most} is answered as alone: {name!r}'
            )
        refused(lambda: prepared.run_batch([]), EngineError, 'a batch of nothing', name)
        many = [pictures[0]] * (most + 1)
        refused(lambda: prepared.run_batch(many), EngineError, 'too large a batch', name)
        wrong = [*pictures[1:], np.zeros((*prepared.sub_network.size, 4), np.uint8)]
        refused(lambda: prepared.run_batch(wrong), EngineError, 'a batch of other shapes', name)

    def _check_stages_together(self, prepared: PreparedSubNetwork) -> None:
        name = prepared.sub_network.id
        pictures = self._different_pictures(prepared.sub_network, 2)
        together = [prepared.begin(picture) for picture in pictures]
        alone = [prepared.begin(picture) for picture in pictures]
        pairs = list(zip(together, alone))
        while pairs:
            stages = [prepared.stages[each.stage].name for _, each in pairs]
            answers = prepared.advance_together([each for each, _ in pairs])
            for answer, (_, each) in zip(answers, pairs):
                expected = each.advance()
                assert (answer is None) == (expected is None) and (
                    answer is None or expected is None or _near(answer, expected, self.tolerance)
                ), f'pictures that go on together are answered as alone: {name!r}, {stages}'
            pairs = [pair for pair in pairs if not pair[1].done]
        assert all(each.done for each in together), (
            f'pictures that went on together are done after the last stage: {name!r}'
        )
        refused(
            lambda: prepared.advance_together(together),
            EngineError,
            'another stage of several after the last',
            name,
        )

    def _different_pictures(self, sub_network: SubNetwork, number: int) -> list[Picture]:
        picture = self.pictures[sub_network.id]
        return [picture, *(255 - picture, picture // 2)][:number]

    def check_independence(self) -> None:
        first, *others = self.sub_networks
        prepared = self.prepare(first)
        before = self.run(prepared)
        for other in others:
            self.run(self.prepare(other))
        assert _same(self.run(prepared), before), (
            'preparing and running another sub-network changes no output of the first'
        )

    def check_preparing_while_running(self) -> None:
        first, *others = self.sub_networks
        prepared = self.prepare(first)
        expected = self.run(prepared)
        done = threading.Event()

        def serve() -> bool:
            good = True
            while not done.is_set():
                good = good and _same(self.run(prepared), expected)
            return good

        with ThreadPoolExecutor(1) as pool:
            served = pool.submit(serve)
            try:
                for _ in range(_ROUNDS):
                    for other in others:
                        self.prepare(other)
            finally:
                done.set()
            assert served.result(TIMEOUT), (
                'a sub-network runs as it did while another thread prepares others'
            )

    def check_threads(self) -> None:
        def work(sub_network: SubNetwork) -> bool:
            return self.is_right(self.run(self.prepare(sub_network)), sub_network)

        with ThreadPoolExecutor(len(self.sub_networks)) as pool:
            good = list(pool.map(work, self.sub_networks, timeout=TIMEOUT))
        assert all(good), 'several threads may prepare and run at once'

    def check_memory(self) -> None:
        first, *_, last = self.sub_networks
        for each in (first, last):
            needed = self.engine.memory_needed(each)
            assert isinstance(needed, int) and needed >= 0, f'memory counts in bytes: {needed!r}'
        closed, other = self.prepare(first), self.prepare(last)
        assert isinstance(closed.memory, int) and closed.memory >= 0, (
            f'memory counts in bytes: {closed.memory!r}'
        )
        expected = self.run(other)
        closed.close()
        closed.close()
        assert closed.memory == 0, f'what is closed holds no memory: {closed.memory}'
        refused(lambda: self.run(closed), EngineError, 'running what is closed', first.id)
        assert _same(self.run(other), expected), 'closing one changes no output of another'
        assert self.is_right(self.run(self.prepare(first)), first), (
            'what was closed may be prepared again'
        )

    def check_closing_while_running(self) -> None:
        # Several times: a run may end just before it is closed.
        for _ in range(_ROUNDS):
            self._close_while_running()

    def _close_while_running(self) -> None:
        prepared = self.prepare(self.sub_networks[-1])
        begun = time.monotonic()
        expected = self.run(prepared)
        lasts = time.monotonic() - begun
        running, closed = threading.Event(), threading.Event()

        def serve() -> bool:
            good = True
            while good:
                was_closed = closed.is_set()
                try:
                    good = _same(self.run(prepared), expected) and not was_closed
                except EngineError:
                    return True
                finally:
                    running.set()
            return False

        with ThreadPoolExecutor(1) as pool:
            served = pool.submit(serve)
            assert running.wait(TIMEOUT), 'a sub-network runs in another thread'
            time.sleep(lasts / 2)  # to the middle of the next run
            prepared.close()
            closed.set()
            assert served.result(TIMEOUT), (
                'a run that is in work while another thread closes ends as it would have'
            )


def _picture(sub_network: SubNetwork) -> Picture:
    generator = np.random.default_rng(0)
    picture: Picture = generator.integers(0, 256, (*sub_network.size, 3), np.uint8)
    return picture


def _same(one: Outputs, other: Outputs) -> bool:
    return set(one) == set(other) and all(
        np.array_equal(value, other[name]) for name, value in one.items()
    )


def _near(found: Outputs, right: Outputs, tolerance: float) -> bool:
    return set(found) == set(right) and all(
        value.shape == right[name].shape
        and np.allclose(value, right[name], rtol=tolerance, atol=tolerance)
        for name, value in found.items()
    )
