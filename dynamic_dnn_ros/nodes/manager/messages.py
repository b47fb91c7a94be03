# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages of the manager node, to and from the values of `management`."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.profile import LARGEST_BATCH, OperatingPoints, ProfileKind
from dynamic_dnn_ros.management.decisions import (
    Constraint,
    Decision,
    DomainFrequency,
    Prediction,
    Switch,
    TargetReport,
    TargetState,
)
from dynamic_dnn_ros.management.observations import (
    Application,
    ApplicationState,
    DomainLoad,
    Load,
    StageShare,
    Status,
    StatusEvent,
)
from dynamic_dnn_ros.management.paths import Paths
from dynamic_dnn_ros.management.targets import (
    LONGEST_ID,
    Action,
    LateFrames,
    Objective,
    Target,
    TargetError,
    is_application_id,
)
from dynamic_dnn_ros.msg import Application as ApplicationMessage
from dynamic_dnn_ros.msg import (
    DomainSetting,
    InferenceStatus,
    ManagerStatus,
    NamedValue,
    PerformanceTarget,
    SubNetwork,
    SubNetworkSwitch,
    SystemLoad,
    TargetStatus,
)
from dynamic_dnn_ros.msg import OperatingPoints as OperatingPointsMessage
from dynamic_dnn_ros.msg import Prediction as PredictionMessage
from dynamic_dnn_ros.nodes.common.message_values import nanoseconds, stamp

LARGEST_TABLE = 500_000
"""Points of a table with a row a setting and a column an option, ten times those of a Jetson."""

MOST_NAMES = 4_096
"""Names of sub-networks, processors and frequency domains of one application."""

MOST_STAGES = 64
"""Stages of one sub-network."""


def target_of(message: PerformanceTarget) -> Target:
    """
    Return the target that a message carries.

    :raises TargetError: naming the field, its value and the remedy
    """
    if message.action not in list(Action):
        raise TargetError(
            'action',
            message.action,
            'is unknown',
            'Give 0 to set a target, 1 to clear it, 2 to ask what would become of it',
        )
    return Target(
        application=message.application,
        latency=message.latency,
        latency_quantile=message.latency_quantile,
        accuracy=message.accuracy,
        energy=message.energy,
        rate=message.rate,
        priority=message.priority,
        objective=Objective(message.objective)
        if message.objective in list(Objective)
        else message.objective,
        late_frames=LateFrames(message.late_frames)
        if message.late_frames in list(LateFrames)
        else message.late_frames,
        sender=message.sender,
        stamp=nanoseconds(message.header.stamp),
    )


def target_message(target: Target | None) -> PerformanceTarget:
    """Return a target as a message; an empty one for none."""
    message = PerformanceTarget()
    if target is None:
        return message
    message.header.stamp = stamp(target.stamp)
    message.application = target.application
    message.sender = target.sender
    message.latency = float(target.latency)
    message.latency_quantile = float(target.latency_quantile)
    message.accuracy = float(target.accuracy)
    message.energy = float(target.energy)
    message.rate = float(target.rate)
    message.priority = int(target.priority)
    message.objective = int(target.objective)
    message.late_frames = int(target.late_frames)
    return message


def application_of(message: ApplicationMessage) -> tuple[Application, str]:
    """
    Return what an application says of itself.

    Operating points that contradict themselves count as none: they cost the application its
    profile, not its place.

    :return: the application, and what is wrong with it; empty: nothing
    :raises ValueError: when its id is no fully qualified node name, or the message is nobody's
    """
    if not is_application_id(message.id):
        raise ValueError(
            f'Application id {message.id[:LONGEST_ID]!r} is no fully qualified node name. The '
            'node that publishes it has to give its own.'
        )
    if not message.instance:
        raise ValueError(
            f'Application {message.id!r} names no instance of itself, as a message of another '
            "version may be read. Run one version of 'dynamic_dnn_ros' on all computers."
        )
    if max(len(message.instance), len(message.sub_network), len(message.processor)) > LONGEST_ID:
        raise ValueError(
            f'Application {message.id!r} has a name of more than {LONGEST_ID} characters. Give '
            'its sub-networks and processors shorter ones.'
        )
    names = tuple(entry.id for entry in message.sub_networks)
    problems = []
    try:
        _check_size(message.operating_points, names)
        points = _points(message.operating_points, names)
    except (BundleError, ValueError) as error:
        points = _points(OperatingPointsMessage(), names)
        problems.append(f'operating points cannot be used: {error}')
    stages = {}
    for entry in message.sub_networks:
        try:
            found = _stages(entry)
        except ValueError as error:
            problems.append(f'stages of {entry.id} cannot be used: {error}')
        else:
            stages.update({entry.id: found} if found else {})
    echo = None
    if message.target.application:
        try:
            echo = target_of(message.target)
        except TargetError as error:
            problems.append(f'echoed target cannot be used: {error}')
    application = Application(
        id=message.id,
        instance=message.instance,
        started=nanoseconds(message.started),
        state=ApplicationState(message.state),
        operating_points=points,
        # One that nobody knows is good for no target.
        accuracies={
            entry.id: 0.0 if math.isnan(entry.accuracy) else entry.accuracy
            for entry in message.sub_networks
        },
        sub_network=message.sub_network,
        processor=message.processor,
        bundle_sha256=message.bundle_sha256,
        switch_manager=message.switch_manager,
        switch_sequence=message.switch_sequence,
        target=echo,
        # Recordings of releases before this field have none.
        metric=message.metric,
        stages=stages,
        server=message.server,
        scheduler=message.scheduler,
    )
    return application, '; '.join(problems)


def status_of(message: InferenceStatus) -> Status:
    """Return what an application does; a stage that is not among the rows is NaN."""
    stages = {row.name: row.value for row in message.stages}
    return Status(
        application=message.application,
        instance=message.instance,
        event=StatusEvent(message.event),
        sub_network=message.sub_network,
        processor=message.processor,
        preprocessing=stages.get(InferenceStatus.STAGE_PREPROCESSING, math.nan),
        inference=stages.get(InferenceStatus.STAGE_INFERENCE, math.nan),
        total=stages.get(InferenceStatus.STAGE_TOTAL, math.nan),
        busy={row.name: row.value for row in message.busy},
        received=message.received,
        served=message.served,
        switch_manager=message.switch_manager,
        switch_sequence=message.switch_sequence,
        switch_result=message.switch_result,
        overrun=message.overrun,
        message=message.message,
        # Of what is no served frame, and in recordings of releases before these fields, 0.
        work=message.work if 0 < message.work <= 1 else 1.0,
        exit_stage=message.exit_stage,
        batch=max(message.batch, 1),
        sent=message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec,
    )


def load_of(message: SystemLoad) -> Load:
    """
    Return a sample of the platform's load.

    :raises ValueError: when it has no period, so that nobody could tell when it is stale
    """
    if not message.period > 0:
        raise ValueError(f'system_load has period {message.period}. Give seconds, above 0.')
    return Load(
        platform=message.platform,
        boot_id=message.boot_id,
        period=message.period,
        domains=tuple(
            DomainLoad(
                name=row.name,
                available=tuple(row.available),
                limit_minimum=row.limit_minimum,
                limit_maximum=row.limit_maximum,
                granted=row.granted,
                utilisation_own=row.utilisation_own,
                utilisation_foreign=row.utilisation_foreign,
                requested_minimum=row.requested_minimum,
                requested_maximum=row.requested_maximum,
            )
            for row in message.domains
        ),
        lease_manager=message.lease_manager,
        lease_remaining=message.lease_remaining,
        setting_manager=message.setting_manager,
        setting_sequence=message.setting_sequence,
        setting_result=message.setting_result,
        setting_message=message.setting_message,
        instance=message.instance,
        monotonic_time=message.monotonic_time,
        power=next(
            (row.value for row in message.power if row.name == message.total_power_rail), math.nan
        ),
        power_budget=message.power_budget if message.power_budget > 0 else math.inf,
        temperature=max(
            (row.value for row in message.temperatures if math.isfinite(row.value)),
            default=math.nan,
        ),
    )


def switch_message(switch: Switch, manager: str) -> SubNetworkSwitch:
    """Return a switch as a message, without its stamp."""
    return SubNetworkSwitch(
        application=switch.application,
        manager=manager,
        sequence=switch.sequence,
        sub_network=switch.sub_network,
        processor=switch.processor,
        reason=int(switch.reason),
        prediction=prediction_message(switch.prediction),
        target=target_message(switch.target),
    )


def domain_messages(domains: tuple[DomainFrequency, ...]) -> list[DomainSetting]:
    """Return the frequencies of domains as messages."""
    return [
        DomainSetting(name=d.name, minimum=float(d.minimum), maximum=float(d.maximum))
        for d in domains
    ]


def prediction_message(prediction: Prediction) -> PredictionMessage:
    """Return a prediction as a message."""
    return PredictionMessage(
        sub_network=prediction.sub_network,
        processor=prediction.processor,
        frequencies=[
            NamedValue(name=name, value=float(value)) for name, value in prediction.frequencies
        ],
        latency=float(prediction.latency),
        accuracy=float(prediction.accuracy),
        energy=float(prediction.energy),
        power=float(prediction.power),
    )


def report_message(report: TargetReport) -> TargetStatus:
    """Return how a target stands as a message."""
    return TargetStatus(
        application=report.application,
        state=int(report.state),
        target=target_message(report.target),
        sender=report.target.sender if report.target is not None else '',
        names=list(report.names),
        required=[float(value) for value in report.required],
        predicted=[float(value) for value in report.predicted],
        measured=[float(value) for value in report.measured],
        missed_by=[float(value) for value in report.missed_by],
        metric=report.metric,
        binding_constraint=int(report.binding_constraint),
        decision=prediction_message(report.decision),
        reason=report.reason,
        runner_up=prediction_message(report.runner_up),
        runner_up_reason=report.runner_up_reason,
        slow_down=float(report.slow_down),
        slow_down_deviation=float(report.slow_down_deviation),
        stages=list(report.stages),
        stage_shares=[float(share) for share in report.stage_shares],
        difficulty=float(report.difficulty),
        message=report.message,
    )


def prediction_of(message: PredictionMessage) -> Prediction:
    """Return the prediction that a message carries."""
    return Prediction(
        message.sub_network,
        message.processor,
        tuple((row.name, row.value) for row in message.frequencies),
        message.latency,
        message.accuracy,
        message.energy,
        message.power,
    )


def report_of(message: TargetStatus) -> TargetReport:
    """
    Return how a target stands, as a message says.

    :raises ValueError: for a state or a constraint that this release does not know
    """
    target = message.target
    return TargetReport(
        application=message.application,
        state=TargetState(message.state),
        target=target_of(target) if target.application else None,
        names=tuple(message.names),
        required=tuple(message.required),
        predicted=tuple(message.predicted),
        measured=tuple(message.measured),
        missed_by=tuple(message.missed_by),
        metric=message.metric,
        binding_constraint=Constraint(message.binding_constraint),
        decision=prediction_of(message.decision),
        reason=message.reason,
        runner_up=prediction_of(message.runner_up),
        runner_up_reason=message.runner_up_reason,
        slow_down=message.slow_down,
        slow_down_deviation=message.slow_down_deviation,
        stages=tuple(message.stages),
        stage_shares=tuple(message.stage_shares),
        # Recordings of releases before this field have 0.
        difficulty=message.difficulty or 1.0,
        message=message.message,
    )


def decision_message(decision: Decision) -> ManagerStatus:
    """Return a decision as a message; who decided and how long it took is left to the node."""
    return ManagerStatus(
        platform_state=int(decision.platform_state),
        targets=[report_message(report) for report in decision.reports],
        domains=domain_messages(decision.domains),
        power=float(decision.power),
        message=decision.message,
    )


def _stages(entry: SubNetwork) -> tuple[StageShare, ...]:
    """
    Return the stages of a sub-network, none where it is one piece.

    :raises ValueError: where there are no paths through them
    """
    if len(entry.stage_names) > MOST_STAGES:
        raise ValueError(f'there are {len(entry.stage_names)}; at most {MOST_STAGES} are read')
    rows = zip(entry.stage_names, entry.stage_work, entry.stage_taken)
    stages = tuple(StageShare(name, float(work), float(taken)) for name, work, taken in rows)
    if len(stages) != len(entry.stage_names):
        raise ValueError('their tables are not of one length')
    if stages:
        Paths(stages)
    return stages


def _check_size(message: OperatingPointsMessage, sub_networks: tuple[str, ...]) -> None:
    """
    Check that a table is one that a manager has memory and time for.

    :raises ValueError: naming what there is too much of
    """
    points = len(message.sub_network)
    names = (*message.domains, *message.processors, *sub_networks)
    if len(names) > MOST_NAMES or max(map(len, names), default=0) > LONGEST_ID:
        raise ValueError(
            f'there are {len(names)} names, the longest of {max(map(len, names), default=0)} '
            f'characters; at most {MOST_NAMES} of {LONGEST_ID} are read'
        )
    settings, options = points, min(points, len(sub_networks) * len(message.processors))
    if settings * options <= LARGEST_TABLE or points * len(message.domains) != len(
        message.frequencies
    ):
        return  # What contradicts itself is said where it is read.
    rows = np.array(message.frequencies, dtype=np.float64).reshape(points, -1)
    settings = len(np.unique(rows, axis=0))
    if settings * options > LARGEST_TABLE:
        raise ValueError(
            f'{options} sub-networks on processors at {settings} settings of the frequencies make '
            f'a table of {settings * options} points; {LARGEST_TABLE} are read. Profile fewer '
            "with 'dynamic-dnn profile'"
        )


def _batch_latency(
    message: OperatingPointsMessage, sub_networks: tuple[str, ...]
) -> NDArray[np.float64]:
    """
    Return what frames together take, a row a sub-network; no rows where that is not said.

    :raises ValueError: where there are too many, or not as many as are said to be there
    """
    # Recordings of releases before these fields have none.
    values, largest = message.batch_latency, message.largest_batch
    if not len(values):
        return np.zeros((0, 0))
    if not 1 <= largest <= LARGEST_BATCH:
        raise ValueError(f'the largest batch is {largest}; 1 to {LARGEST_BATCH} are read')
    return np.array(values, dtype=np.float64).reshape(len(sub_networks), largest)


def _points(message: OperatingPointsMessage, sub_networks: tuple[str, ...]) -> OperatingPoints:
    index = np.array(message.sub_network, dtype=np.int64)
    return OperatingPoints(
        platform=message.platform,
        kind=ProfileKind(message.kind),
        extrapolated=message.extrapolated,
        domains=tuple(message.domains),
        processors=tuple(message.processors),
        sub_networks=sub_networks,
        sub_network=index,
        processor=np.array(message.processor, dtype=np.int64),
        frequencies=np.array(message.frequencies, dtype=np.float64).reshape(
            len(index), len(message.domains)
        ),
        latency_mean=np.array(message.latency_mean, dtype=np.float64),
        latency_p50=np.array(message.latency_p50, dtype=np.float64),
        latency_p95=np.array(message.latency_p95, dtype=np.float64),
        latency_p99=np.array(message.latency_p99, dtype=np.float64),
        power=np.array(message.power, dtype=np.float64),
        idle_power=np.array(message.idle_power, dtype=np.float64),
        energy=np.array(message.energy, dtype=np.float64),
        batch_latency=_batch_latency(message, sub_networks),
    )
