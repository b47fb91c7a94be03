# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Conversions between messages and the manager's values."""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum
import math
from pathlib import Path

from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
import pytest

from dynamic_dnn_ros.bundles.profile import ProfileKind
from dynamic_dnn_ros.management import decisions, observations
from dynamic_dnn_ros.management.decisions import (
    Constraint,
    DomainFrequency,
    Mode,
    PlatformState,
    Prediction,
    Switch,
    SwitchReason,
    TargetReport,
    TargetState,
)
from dynamic_dnn_ros.management.observations import ApplicationState, StatusEvent
from dynamic_dnn_ros.management.targets import Action, LateFrames, Objective, Target, TargetError
from dynamic_dnn_ros.msg import (
    Application,
    FrequencyDomain,
    InferenceStatus,
    ManagerStatus,
    NamedValue,
    OperatingPoints,
    PerformanceTarget,
    SubNetwork,
    SubNetworkSwitch,
    SystemLoad,
    TargetStatus,
)
from dynamic_dnn_ros.nodes.common.message_values import nanoseconds, stamp
from dynamic_dnn_ros.nodes.inference.application_messages import sub_network_messages
from dynamic_dnn_ros.nodes.manager.messages import (
    application_of,
    decision_message,
    load_of,
    report_message,
    report_of,
    status_of,
    switch_message,
    target_message,
    target_of,
)
from support.applications import operating_points
from support.bundles import make_bundle
from support.cascades import with_cascades

FRONT = '/front/inference_node'


@pytest.mark.parametrize(
    ('values', 'message', 'prefix'),
    [
        (Action, PerformanceTarget, 'ACTION_'),
        (Objective, PerformanceTarget, 'OBJECTIVE_'),
        (LateFrames, PerformanceTarget, 'LATE_FRAMES_'),
        (Mode, ManagerStatus, 'MODE_'),
        (PlatformState, ManagerStatus, 'PLATFORM_'),
        (SwitchReason, SubNetworkSwitch, 'REASON_'),
        (TargetState, TargetStatus, 'STATE_'),
        (Constraint, TargetStatus, 'CONSTRAINT_'),
        (ApplicationState, Application, 'STATE_'),
        (StatusEvent, InferenceStatus, 'EVENT_'),
        (ProfileKind, OperatingPoints, 'KIND_'),
    ],
)
def test_enums_have_the_numbers_of_the_messages(
    values: type[IntEnum], message: type, prefix: str
) -> None:
    for value in values:
        assert getattr(message, prefix + value.name) == value


def test_results_of_switches_have_the_numbers_of_the_messages() -> None:
    for name in ('APPLIED', 'REFUSED_SUB_NETWORK', 'REFUSED_PROCESSOR', 'FAILED'):
        assert getattr(observations, f'SWITCH_{name}') == getattr(
            InferenceStatus, f'SWITCH_{name}'
        )


limit = st.floats(0, 1e6)


@given(
    st.builds(
        Target,
        application=st.just(FRONT),
        latency=st.floats(1e-6, 1e6),
        latency_quantile=st.floats(0, 1, exclude_max=True),
        accuracy=st.floats(0, 1),
        energy=limit,
        rate=limit,
        priority=st.integers(0, 255),
        objective=st.sampled_from(Objective),
        late_frames=st.sampled_from(LateFrames),
        sender=st.text(st.characters(codec='ascii'), max_size=9),
        stamp=st.integers(0, 2**31 * 10**9 - 1),
    )
)
def test_a_target_survives_the_echo(target: Target) -> None:
    assert target_of(target_message(target)) == target


def test_no_target_is_an_empty_message() -> None:
    assert target_message(None) == PerformanceTarget()


def test_stamps_are_exact() -> None:
    assert nanoseconds(stamp(1_795_198_701_406_939_987)) == 1_795_198_701_406_939_987


@pytest.mark.parametrize('fields', [{'action': 9}, {'objective': 7}, {'latency': math.nan}])
def test_bad_targets_name_the_field(fields: dict[str, float]) -> None:
    with pytest.raises(TargetError) as error:
        target_of(PerformanceTarget(application=FRONT, **fields))
    assert error.value.field == next(iter(fields))


def presentation() -> Application:
    points = operating_points()
    message = Application(
        id=FRONT,
        instance='first',
        state=Application.STATE_ACTIVE,
        sub_networks=[SubNetwork(id=f's{i}', accuracy=0.5 + 0.1 * i) for i in range(4)],
        sub_network='s1',
        processor='gpu',
    )
    message.operating_points = OperatingPoints(
        platform='board',
        kind=OperatingPoints.KIND_SIMULATED,
        domains=list(points.domains),
        processors=list(points.processors),
        sub_network=points.sub_network.tolist(),
        processor=points.processor.tolist(),
        frequencies=points.frequencies.ravel().tolist(),
        latency_mean=points.latency_mean.tolist(),
        latency_p50=points.latency_p50.tolist(),
        latency_p95=points.latency_p95.tolist(),
        latency_p99=points.latency_p99.tolist(),
        power=points.power.tolist(),
        idle_power=points.idle_power.tolist(),
        energy=points.energy.tolist(),
    )
    return message


def test_an_accuracy_that_nobody_knows_is_good_for_no_target() -> None:
    message = presentation()
    message.sub_networks[1].accuracy = math.nan
    application, problem = application_of(message)
    assert problem == ''
    assert application.accuracies == pytest.approx({'s0': 0.5, 's1': 0.0, 's2': 0.7, 's3': 0.8})


def test_an_application_arrives_whole() -> None:
    application, problem = application_of(presentation())
    assert problem == ''
    points = operating_points()
    assert (application.operating_points.frequencies == points.frequencies).all()
    assert (application.operating_points.energy == points.energy).all()
    assert application.accuracies == pytest.approx({'s0': 0.5, 's1': 0.6, 's2': 0.7, 's3': 0.8})
    assert application.target is None


def test_broken_operating_points_cost_the_profile_only() -> None:
    for field, value in (
        ('latency_p95', [0.1]),
        ('frequencies', [1e9]),
        ('sub_network', [9] * 20),
        ('kind', 77),
    ):
        message = presentation()
        setattr(message.operating_points, field, value)
        application, problem = application_of(message)
        assert 'operating points' in problem
        assert len(application.operating_points) == 0
        assert application.operating_points.kind is ProfileKind.NONE


def test_what_frames_take_together_arrives() -> None:
    message = presentation()
    message.operating_points.largest_batch = 2
    message.operating_points.batch_latency = [1.0, 1.5, 1.0, 1.6, 1.0, 1.7, 1.0, 1.8]
    application, problem = application_of(message)
    assert problem == ''
    assert application.operating_points.largest_batch == 2
    assert application.operating_points.batch_latency[:, 1] == pytest.approx([1.5, 1.6, 1.7, 1.8])


@pytest.mark.parametrize(
    ('largest', 'values', 'said'),
    [
        (3, [1.0, 1.5] * 4, 'reshape'),
        (0, [1.0, 1.5] * 4, 'largest batch is 0'),
        (10**9, [1.0, 1.5] * 4, 'largest batch is 1000000000; 1 to 64 are read'),
        (2, [1.0, -1.5] * 4, 'not positive'),
        (2, [1.0, math.nan] * 4, 'not positive'),
    ],
)
def test_batches_that_make_no_sense_cost_the_profile_only(
    largest: int, values: list[float], said: str
) -> None:
    message = presentation()
    message.operating_points.largest_batch = largest
    message.operating_points.batch_latency = values
    application, problem = application_of(message)
    assert said in problem
    assert len(application.operating_points) == 0 and len(application.accuracies) == 4


def test_a_broken_echo_costs_the_echo_only() -> None:
    message = presentation()
    message.target = PerformanceTarget(application=FRONT, latency=-1.0)
    application, problem = application_of(message)
    assert 'latency' in problem
    assert application.target is None
    assert len(application.operating_points) == 20


def test_an_application_without_a_name_is_none() -> None:
    message = presentation()
    message.id = 'front'
    with pytest.raises(ValueError, match='front'):
        application_of(message)


def test_stages_are_found_by_name() -> None:
    message = InferenceStatus(
        application=FRONT,
        event=InferenceStatus.EVENT_SERVED,
        stages=[NamedValue(name='inference', value=0.02), NamedValue(name='total', value=0.03)],
        busy=[NamedValue(name='gpu', value=1.5)],
    )
    message.header.stamp = Time(sec=7, nanosec=250_000_000)
    status = status_of(message)
    assert (status.inference, status.total, status.sent) == (0.02, 0.03, 7.25)
    assert math.isnan(status.preprocessing)
    assert status.busy == {'gpu': 1.5}


def test_a_load_arrives_whole_or_not_at_all() -> None:
    message = SystemLoad(
        platform='board',
        period=0.1,
        domains=[FrequencyDomain(name='gpu', available=[1e8, 2e8], granted=1e8)],
    )
    domain = load_of(message).domain('gpu')
    assert domain is not None
    assert domain.available == (1e8, 2e8)
    assert load_of(message).power_budget == math.inf
    message.power_budget = 15.0
    assert load_of(message).power_budget == 15.0
    message.period = 0.0
    with pytest.raises(ValueError, match='period'):
        load_of(message)


def test_decisions_become_messages() -> None:
    prediction = Prediction('s1', 'gpu', (('gpu', 1e9),), 0.02, 0.8, 0.1, 5.0)
    target = Target(FRONT, latency=0.03, sender='op', stamp=7)
    message = switch_message(
        Switch(FRONT, 3, 's1', 'gpu', SwitchReason.TARGET, prediction, target), 'me'
    )
    assert (message.manager, message.sequence, message.reason) == ('me', 3, 1)
    assert message.prediction.frequencies == [NamedValue(name='gpu', value=1e9)]
    assert target_of(message.target) == target
    report = TargetReport(
        FRONT, TargetState.MET, target, ('latency',), (0.03,), (0.02,), (0.021,), (0.0,)
    )
    staged = replace(report, stages=('first', 'last'), stage_shares=(0.75, 0.25), difficulty=2.0)
    back = report_of(report_message(staged))
    assert (back.stages, back.stage_shares, back.difficulty) == (
        ('first', 'last'),
        (0.75, 0.25),
        2.0,
    )
    row = report_message(report)
    assert (row.sender, list(row.names), list(row.measured)) == ('op', ['latency'], [0.021])
    status = decision_message(
        decisions.Decision(
            0.0,
            (),
            (DomainFrequency('gpu', 1e9, 1e9),),
            None,
            (report,),
            PlatformState.FRESH,
            5.0,
        )
    )
    assert status.platform_state == ManagerStatus.PLATFORM_FRESH
    assert [(d.name, d.minimum, d.maximum) for d in status.domains] == [('gpu', 1e9, 1e9)]


def test_stages_of_sub_networks_and_paths_of_frames() -> None:
    message = Application(id=FRONT, instance='first')
    message.sub_networks = [
        SubNetwork(id='s0', accuracy=0.5),
        SubNetwork(
            id='c0',
            accuracy=0.6,
            stage_names=['first', 'last'],
            stage_work=[0.25, 1.0],
            stage_taken=[0.75, 0.25],
        ),
        SubNetwork(id='c1', accuracy=0.6, stage_names=['first', 'last'], stage_work=[0.25]),
    ]
    application, problem = application_of(message)
    assert application.stages == {
        'c0': (
            observations.StageShare('first', 0.25, 0.75),
            observations.StageShare('last', 1.0, 0.25),
        )
    }, 'one piece has none, and a table that is short is none'
    assert 'stages of c1 cannot be used' in problem
    served = InferenceStatus(application=FRONT, event=StatusEvent.SERVED)
    served.work, served.exit_stage = 0.25, 'first'
    status = status_of(served)
    assert (status.work, status.exit_stage) == (0.25, 'first')
    for work in (math.nan, -1.0, 3.0):
        served.work = work
        assert status_of(served).work == 1.0
    message.sub_networks = [
        SubNetwork(id='c2', stage_names=['x'] * 65, stage_work=[1.0] * 65, stage_taken=[0.0] * 65)
    ]
    application, problem = application_of(message)
    assert not application.stages and 'at most 64' in problem
    beat = status_of(InferenceStatus(application=FRONT))
    assert (beat.work, beat.exit_stage) == (1.0, '')


def test_an_application_tells_the_stages_of_its_bundle(tmp_path: Path) -> None:
    bundle = with_cascades(make_bundle(tmp_path / 'synthetic'))
    one, *_, told = sub_network_messages(bundle.manifest)
    assert not one.stage_names and not one.stage_work and not one.stage_taken
    assert told.id == 'c0' and told.stage_names == ['first', 'last']
    assert list(told.stage_work) == [0.4, 1.0] and list(told.stage_taken) == [0.6, 0.4]


def test_an_application_tells_with_whom_it_takes_turns() -> None:
    message = presentation()
    message.server, message.scheduler = 'one process', 'earliest_deadline'
    application, _ = application_of(message)
    assert (application.server, application.scheduler) == ('one process', 'earliest_deadline')


def test_a_table_that_would_be_made_dense_beyond_measure_is_refused() -> None:
    """Each sub-network at settings of its own: half a megabyte would become half a gigabyte."""
    message, count = presentation(), 2000
    points = message.operating_points
    message.sub_networks = [SubNetwork(id=f's{i}') for i in range(count)]
    points.domains, points.processors = ['gpu'], ['gpu']
    points.sub_network, points.processor = list(range(count)), [0] * count
    points.frequencies = [1e8 + i for i in range(count)]
    application, problem = application_of(message)
    assert '2000 settings' in problem and 'dynamic-dnn profile' in problem
    assert len(application.operating_points) == 0


def test_a_presentation_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match='another version may be read. Run one version'):
        application_of(Application(id=FRONT))


@pytest.mark.parametrize('field', ['domains', 'processors'])
def test_names_without_end_are_refused(field: str) -> None:
    message = presentation()
    setattr(message.operating_points, field, ['x' * 1000])
    assert 'the longest of 1000 characters' in application_of(message)[1]
    setattr(message.operating_points, field, [f'x{i}' for i in range(5000)])
    assert 'names' in application_of(message)[1]
    with pytest.raises(ValueError, match='more than 200 characters'):
        application_of(Application(id=FRONT, instance='first', sub_network='x' * 1000))
