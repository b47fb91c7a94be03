# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable, Iterator
import threading
import time

import pytest
from rclpy.logging import get_logger

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import EngineError
from dynamic_dnn_ros.msg import InferenceStatus, SubNetworkSwitch
from dynamic_dnn_ros.nodes.inference import switching
from dynamic_dnn_ros.nodes.inference.served_bundle import ServedBundle
from dynamic_dnn_ros.nodes.inference.switching import SwitchAnswer, SwitchReceiver
from support.gated_engine import TIMEOUT, GatedEngine

ID = '/inference_node'
APPLIED, FAILED = InferenceStatus.SWITCH_APPLIED, InferenceStatus.SWITCH_FAILED


class Receiver(SwitchReceiver):
    """A receiver that serves `s0` of a synthetic bundle, with all that it answered."""

    def __init__(self, bundle: Bundle, engine: GatedEngine) -> None:
        self.engine = engine
        self.served = ServedBundle(bundle, engine, None, True, lambda *_: None, lambda *_: None)
        self.served.processor = 'cpu'
        self.served.begin('s0')
        self.answers: list[SwitchAnswer] = []
        self.exchanges: list[str] = []
        self.applied: list[SubNetworkSwitch] = []
        self.left_out: list[str] = []
        super().__init__(
            ID,
            self.served,
            lambda: ('cpu', 'gpu'),
            lambda: self.exchanges.append(f'{self.served.serving} {self.served.processor}'),
            lambda: self.answers.append(self.answer),
            self.applied.append,
            get_logger('test_switching'),
            lambda reason, _: self.left_out.append(reason),
        )

    def switch(self, sub_network: str, sequence: int, **fields: str) -> None:
        self.receive(
            SubNetworkSwitch(
                **{'application': ID, 'manager': 'm', 'processor': '', **fields},
                sub_network=sub_network,
                sequence=sequence,
            )
        )

    def wait_for(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < end, self.answers
            time.sleep(0.01)


@pytest.fixture
def receiver(bundle: Bundle) -> Iterator[Receiver]:
    receiver = Receiver(bundle, GatedEngine())
    yield receiver
    receiver.engine.open_gates()
    receiver.served.exchange.close()


def test_one_that_is_ready_is_applied_at_once(receiver: Receiver) -> None:
    receiver.switch('s0', 1)
    assert receiver.answers == [SwitchAnswer('m', 1, APPLIED, '')]


def test_the_same_switch_again_is_answered_again(receiver: Receiver) -> None:
    receiver.switch('s0', 1)
    receiver.switch('s0', 1)
    assert receiver.answers == [SwitchAnswer('m', 1, APPLIED, '')] * 2
    assert len(receiver.exchanges) == 1


def test_the_same_switch_again_while_it_is_prepared_is_answered_once(receiver: Receiver) -> None:
    receiver.switch('s1', 1)
    receiver.switch('s1', 1)
    assert receiver.answers == []
    receiver.engine.open_gates()
    receiver.wait_for(lambda: bool(receiver.answers))
    assert receiver.answers == [SwitchAnswer('m', 1, APPLIED, '')]
    assert receiver.exchanges == ['s1 cpu']


def test_a_manager_that_asks_again_each_second_has_it_prepared_once(receiver: Receiver) -> None:
    for sequence in range(1, 5):
        receiver.switch('s1', sequence)
    receiver.engine.open_gates()
    receiver.wait_for(lambda: len(receiver.answers) == 4)
    assert [(answer.sequence, answer.result) for answer in receiver.answers] == [
        (sequence, APPLIED) for sequence in range(1, 5)
    ]
    assert receiver.engine.attempts.count('s1') == 1
    assert receiver.exchanges == ['s1 cpu']


def test_one_older_than_the_one_that_waits_is_refused(receiver: Receiver) -> None:
    receiver.switch('s1', 5)
    receiver.switch('s0', 4)
    (answer,) = receiver.answers
    assert answer.result == InferenceStatus.SWITCH_REFUSED_SEQUENCE
    assert 'switch 4 is older than switch 5' in answer.problem
    receiver.engine.open_gates()
    receiver.wait_for(lambda: len(receiver.answers) == 2)
    assert receiver.answers[1] == SwitchAnswer('m', 5, APPLIED, '')


def test_a_number_far_beyond_the_last_is_refused(receiver: Receiver) -> None:
    receiver.switch('s0', 1)
    receiver.switch('s0', 2**63)
    assert receiver.answers[-1].result == InferenceStatus.SWITCH_REFUSED_SEQUENCE
    receiver.switch('s0', 2)
    assert receiver.answers[-1] == SwitchAnswer('m', 2, APPLIED, '')


def test_a_switch_in_the_manager_s_name_locks_it_out_for_seconds_only(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.switch('s0', 2**63)
    receiver.switch('s0', 1)
    assert receiver.answers[-1].result == InferenceStatus.SWITCH_REFUSED_SEQUENCE
    monkeypatch.setattr(switching, 'FORGOTTEN_AFTER', 0.0)
    receiver.switch('s0', 1)
    assert receiver.answers[-1] == SwitchAnswer('m', 1, APPLIED, '')


def test_a_newer_switch_that_comes_while_one_is_told_of_stays_the_last(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told of by the thread that prepared it, which has left the exchange's lock."""
    newer: list[threading.Thread] = []

    def come_in_between() -> None:
        if not newer:
            newer.append(threading.Thread(target=receiver.switch, args=('s0', 2)))
            newer[0].start()
            newer[0].join(0.3)

    monkeypatch.setattr(receiver, '_on_exchanged', come_in_between)
    receiver.switch('s1', 1)
    receiver.engine.open_gates()
    receiver.wait_for(lambda: bool(newer) and newer[0].ident is not None)
    newer[0].join()
    receiver.wait_for(lambda: len(receiver.answers) == 2)
    assert receiver.answer == SwitchAnswer('m', 2, APPLIED, '')
    assert [message.sequence for message in receiver.applied] == [1, 2]


def test_an_older_switch_that_is_told_of_late_is_answered_but_not_the_last(
    receiver: Receiver,
) -> None:
    receiver.switch('s0', 1)
    (older,) = receiver.answers
    receiver.switch('s0', 2)
    receiver._exchanged(SubNetworkSwitch(application=ID, manager='m', sequence=1))
    assert receiver.answers[-1] == older
    assert receiver.answer == SwitchAnswer('m', 2, APPLIED, '')
    assert [message.sequence for message in receiver.applied] == [1, 2]


def test_one_for_another_application_counts_for_nothing(receiver: Receiver) -> None:
    receiver.switch('s0', 5)
    receiver.switch('s0', 9, application='/rear/inference_node')
    assert receiver.answers[-1].result == InferenceStatus.SWITCH_REFUSED_APPLICATION
    # Sequence numbers are counted for each application.
    receiver.switch('s0', 5)
    receiver.switch('s0', 6)
    assert receiver.answers[-2:] == [
        SwitchAnswer('m', 5, APPLIED, ''),
        SwitchAnswer('m', 6, APPLIED, ''),
    ]


def test_failure_is_answered_with_its_reason(receiver: Receiver) -> None:
    receiver.engine.errors['s1'] = EngineError('no memory left')
    receiver.engine.open_gates()
    receiver.switch('s1', 1)
    receiver.wait_for(lambda: bool(receiver.answers))
    assert receiver.answers == [SwitchAnswer('m', 1, FAILED, "'s1': no memory left")]
    assert receiver.served.serving == 's0'


def test_processor_is_another_from_the_exchange_on(receiver: Receiver) -> None:
    receiver.switch('s1', 1, processor='gpu')
    assert receiver.served.processor == 'cpu'
    receiver.engine.open_gates()
    receiver.wait_for(lambda: bool(receiver.answers))
    assert receiver.exchanges == ['s1 gpu']


def test_processor_stays_where_the_new_one_fails(receiver: Receiver) -> None:
    receiver.engine.errors['s1'] = EngineError('no memory left')
    receiver.engine.open_gates()
    receiver.switch('s1', 1, processor='gpu')
    receiver.wait_for(lambda: bool(receiver.answers))
    assert receiver.served.processor == 'cpu'


def test_what_fails_once_it_serves_takes_the_answer_back(receiver: Receiver) -> None:
    receiver.serving_fails('the accelerator is gone')
    assert receiver.answers == []  # nobody has switched
    receiver.switch('s0', 1)
    receiver.serving_fails('the accelerator is gone')
    assert receiver.answers[-1] == SwitchAnswer('m', 1, FAILED, 'the accelerator is gone')
    receiver.serving_fails('the accelerator is gone')
    assert len(receiver.answers) == 2
    receiver.switch('s0', 2)
    assert receiver.answer == SwitchAnswer('m', 2, APPLIED, '')
    receiver.switch('s1', 3)  # on its way
    receiver.serving_fails('the accelerator is gone')
    assert receiver.answer == SwitchAnswer('m', 2, APPLIED, '')
