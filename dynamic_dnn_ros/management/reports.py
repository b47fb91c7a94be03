# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the manager says of each target: how it stands, what binds, and what came second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
import math

import numpy as np

from dynamic_dnn_ros.management.assessment import (
    CONSTRAINTS,
    RATE_TOLERANCE,
    Assessment,
    Evaluation,
    ResourceSettings,
    objective_values,
)
from dynamic_dnn_ros.management.decisions import (
    Constraint,
    Prediction,
    TargetReport,
    TargetState,
)
from dynamic_dnn_ros.management.infeasibility import Causes, Infeasibility
from dynamic_dnn_ros.management.measurements import ENOUGH
from dynamic_dnn_ros.management.narrowing import within
from dynamic_dnn_ros.management.reasons import in_words, objections
from dynamic_dnn_ros.management.records import ApplicationRecord, Registry
from dynamic_dnn_ros.management.resource_level import Plan, alternatives
from dynamic_dnn_ros.management.tables import Option
from dynamic_dnn_ros.management.targets import LONGEST_ID, Target, TargetError, TargetStore
from dynamic_dnn_ros.management.words import AT_LEAST, limit_title, told_apart

REFUSAL_SHOWN = 5.0
"""Seconds for which a refused target is shown, unless a good one arrives."""

MOST_REFUSALS = 32
"""Refused targets that are shown at once, the last ones."""


@dataclass(frozen=True)
class _Refusal:
    sender: str
    message: str
    until: float = math.nan


class Reporter:
    """Compose a report for every application that is known, has a target, or was refused one."""

    def __init__(self, settings: ResourceSettings) -> None:
        """Begin without refusals."""
        self._settings = settings
        self._refusals: dict[str, _Refusal] = {}
        self._causes = Causes(settings)

    def refuse(self, application: str, sender: str, error: TargetError) -> None:
        """Note a target that was not taken over."""
        application = application[:LONGEST_ID]
        self._refusals.pop(application, None)
        self._refusals[application] = _Refusal(sender, str(error))
        while len(self._refusals) > MOST_REFUSALS:
            del self._refusals[next(iter(self._refusals))]

    def accept(self, application: str) -> None:
        """Note a target that was taken over."""
        self._refusals.pop(application, None)

    def reports(
        self,
        registry: Registry,
        targets: TargetStore,
        plan: Plan | None,
        planned: Sequence[str],
        control: bool,
        now: float,
    ) -> tuple[TargetReport, ...]:
        """
        Return the reports, in the order of the applications' ids.

        :param planned: the applications that the plan is for, in its order
        :param control: whether decisions are carried out
        """
        self._expire(now)
        self._causes.begin(None if plan is None else plan.problem)
        reports = []
        for name in sorted({*registry, *targets, *self._refusals}):
            record, target = registry.get(name), targets.get(name)
            if record is None:
                report = _absent(name, target)
            elif plan is None or name not in planned:
                report = _unprofiled(record, target)
            else:
                index = planned.index(name)
                try:
                    report = self._planned(record, target, plan, index, control)
                except Exception as error:  # costs this report alone
                    report = replace(
                        _unprofiled(record, target),
                        message=f'How it stands cannot be told ({type(error).__name__}: {error}).',
                    )
            if record is not None:
                report = _with_paths(replace(report, metric=record.application.metric), record)
            refusal = self._refusals.get(name)
            if refusal is not None:
                sender = f' from {refusal.sender!r}' if refusal.sender else ''
                kept = 'The target before it stays in force.' if target else 'No target is set.'
                report = replace(
                    report,
                    state=TargetState.REFUSED,
                    message=f'Refused a target{sender}: {refusal.message}. {kept}',
                )
            reports.append(report)
        return tuple(reports)

    def _expire(self, now: float) -> None:
        for name, refusal in list(self._refusals.items()):
            if math.isnan(refusal.until):
                self._refusals[name] = replace(refusal, until=now + REFUSAL_SHOWN)
            elif now > refusal.until:
                del self._refusals[name]

    def _planned(
        self,
        record: ApplicationRecord,
        target: Target | None,
        plan: Plan,
        index: int,
        control: bool,
    ) -> TargetReport:
        found = plan.evaluation.applications[index]
        predicted = _predicted(found, plan.row)
        report = _judged(record, target, predicted)
        around = alternatives(plan, index, self._settings)
        missed = bool(found.shortfall[plan.row] > 0)
        too_slow = target is not None and _camera_is_too_slow(record, target)
        infeasible = target is not None and (missed or too_slow)
        message = ''
        state = report.state
        assignment = record.assignment
        settled = assignment.is_handed_over(target)
        if not control:
            settled = assignment.outstanding is None
        why = None
        if target is not None and missed:
            why = self._causes.of(plan.problem, index, record.application.metric)
        if target is not None and infeasible:
            state = TargetState.INFEASIBLE
            message = _infeasible_message(record, target, predicted, why)
        elif target is not None:
            message = unjudged(target, predicted, record.application.metric)
            if not settled or (message and state is TargetState.MET):
                state = TargetState.PENDING
        binding = _binding(plan, index, around)
        if infeasible:
            worst = int(np.argmax(found.misses[:, plan.row]))
            binding = CONSTRAINTS[worst] if missed else Constraint.RATE
            if why is not None and why.of_platform:
                binding = Constraint.PLATFORM
        second, reason = runner_up(plan, index, around, record.application.metric)
        return replace(
            report,
            state=state,
            binding_constraint=binding,
            decision=_prediction(plan.evaluation, plan, index, plan.row),
            runner_up=second,
            runner_up_reason=reason,
            slow_down=record.learnt.slow_down.mean,
            slow_down_deviation=record.learnt.slow_down.deviation,
            reason=plan.cause.value,
            message=message,
        )


def _with_paths(report: TargetReport, record: ApplicationRecord) -> TargetReport:
    """Return a report with the paths that pictures take through what was decided on."""
    paths, scene = record.paths.get(report.decision.sub_network), record.learnt.scene
    if paths is None:
        return report
    difficulty = scene.estimate
    merged = record.merged.get(report.decision.sub_network)
    if merged is None:
        names, shares = paths.names, paths.shares(difficulty)
    else:
        # All leave after one stage there: what tells them apart is their work.
        names, shares = merged.shown()
    return replace(report, stages=names, stage_shares=shares, difficulty=difficulty)


def prediction(
    plan: Plan | None, planned: Sequence[str], name: str, record: ApplicationRecord
) -> Prediction:
    """Return what is expected of the option that an application is to serve."""
    if plan is not None and name in planned:
        index = planned.index(name)
        table = plan.problem.joint.tables[index]
        if table.options[plan.option(index)] == record.assignment.desired:
            return _prediction(plan.evaluation, plan, index, plan.row)
    return _accuracy_alone(record, record.assignment.desired)


def _accuracy_alone(record: ApplicationRecord, option: Option) -> Prediction:
    """Return what is expected of an option that nothing else is known of."""
    return Prediction(*option, accuracy=record.application.accuracies.get(option[0], math.nan))


def _prediction(evaluation: Evaluation, plan: Plan, index: int, row: int) -> Prediction:
    joint = plan.problem.joint
    found = evaluation.applications[index]
    option = joint.tables[index].options[int(evaluation.options[row, index])]
    frequencies = joint.frequencies(int(evaluation.settings[row]))
    return Prediction(
        *option,
        tuple(frequencies.items()),
        float(found.latency[row]),
        float(found.accuracy[row]),
        float(found.energy[row]),
        float(evaluation.power[row]) if evaluation.power_known else math.nan,
    )


def _predicted(found: Assessment, row: int) -> dict[str, float]:
    return {
        'latency': float(found.latency[row]),
        'accuracy': float(found.accuracy[row]),
        'energy': float(found.energy[row]),
        'rate': float(found.rate[row]),
    }


def _absent(name: str, target: Target | None) -> TargetReport:
    if target is None:
        return TargetReport(name, TargetState.NO_TARGET, message='No such application is known.')
    limits = target.limits()
    unknown = (math.nan,) * len(limits)
    return TargetReport(
        name,
        TargetState.WAITING,
        target,
        tuple(limits),
        tuple(limits.values()),
        unknown,
        unknown,
        unknown,
        message=f'{name} is not there; its target is kept until it appears.',
    )


def _unprofiled(record: ApplicationRecord, target: Target | None) -> TargetReport:
    """Report on an application that nothing can be decided for."""
    decision = _accuracy_alone(record, record.assignment.actual)
    report = _judged(record, target, {'accuracy': decision.accuracy})
    if not record.serves:
        message = 'It is not active; activate it to have its target served.'
        state = TargetState.NO_TARGET if target is None else TargetState.WAITING
        report = replace(report, state=state)
    elif record.failure:
        message = (
            f'Nothing can be decided for it ({record.failure}), so it is left as it is, and tried '
            "again later. Look at its profile with 'dynamic-dnn bundle check', or give it another "
            'target.'
        )
    elif record.refusal:
        message = f'It refuses every operating point of its profile: {record.refusal}'
    else:
        message = (
            'Its bundle has no profile for this platform, so its sub-network is left as it is. '
            "Make one with 'dynamic-dnn profile'."
        )
    return replace(report, decision=decision, message=message)


def _judged(
    record: ApplicationRecord, target: Target | None, predicted: dict[str, float]
) -> TargetReport:
    """Compare predictions and measurements with each limit."""
    name = record.application.id
    if target is None:
        return TargetReport(name, TargetState.NO_TARGET)
    limits = target.limits()
    measured = {
        'latency': record.learnt.measurements.latency(target.quantile),
        'rate': record.learnt.measurements.served_rate(),
    }
    rows = [
        (key, limit, predicted.get(key, math.nan), measured.get(key, math.nan))
        for key, limit in limits.items()
    ]
    measured_beyond = [beyond(key, limit, found) for key, limit, _, found in rows]
    missed = [
        max(b, beyond(key, limit, p)) for b, (key, limit, p, _) in zip(measured_beyond, rows)
    ]
    if record.learnt.measurements.frames < ENOUGH:
        state = TargetState.PENDING
    else:
        state = TargetState.MISSED if any(b > 0 for b in measured_beyond) else TargetState.MET
    return TargetReport(
        name,
        state,
        target,
        tuple(limits),
        tuple(limits.values()),
        tuple(p for _, _, p, _ in rows),
        tuple(found for _, _, _, found in rows),
        tuple(missed),
    )


def beyond(key: str, limit: float, value: float) -> float:
    """Return how far a value lies beyond a limit, in its unit; 0 for what is not known."""
    if math.isnan(value):
        return 0.0
    if key == 'rate' and value >= limit * (1 - RATE_TOLERANCE):
        return 0.0
    return max(0.0, limit - value if key in AT_LEAST else value - limit)


def unjudged(target: Target, predicted: Mapping[str, float], metric: str) -> str:
    """Return which limits nothing is known of, and what to do; empty where there is none."""
    names = [limit_title(name, metric) for name in target.limits() if math.isnan(predicted[name])]
    if not names:
        return ''
    return (
        f'Nothing is known of its {" and ".join(names)} here, so that limit is not judged. '
        "Profile on a platform that measures it ('dynamic-dnn profile'), or leave it out."
    )


def _infeasible_message(
    record: ApplicationRecord,
    target: Target,
    predicted: dict[str, float],
    found: Infeasibility | None,
) -> str:
    # Those that are met at what was chosen may be met at its expense: they belong to the sentence.
    missed, met = [], []
    for key, limit in target.limits().items():
        value, asked = told_apart(key, predicted[key], limit)
        words = f'{limit_title(key, record.application.metric)} {asked}'
        if beyond(key, limit, predicted[key]) > 0:
            missed.append(f'{words} (expected: {value})')
        else:
            met.append(words)
    text = f'No operating point meets {" together with ".join([*missed, *met])}.'
    if _camera_is_too_slow(record, target):
        rate = record.learnt.measurements.camera_rate
        text += f' The camera itself delivers {rate:.4g} Hz.'
    if found is None:
        return text
    refusal = f' It says: {record.refusal}' if found.cause == 'refused' and record.refusal else ''
    return f'{text} {found.remedy}{refusal}'


def _camera_is_too_slow(record: ApplicationRecord, target: Target) -> bool:
    return 0 < record.learnt.measurements.camera_rate < target.rate * (1 - RATE_TOLERANCE)


def _binding(plan: Plan, index: int, around: Evaluation) -> Constraint:
    """Return which limit the nearest better point would break."""
    demand = plan.problem.demands[index]
    found = around.applications[index]
    values = objective_values(demand, found, around.power)
    better = values < values[0] - within(demand.target.objective) * abs(values[0])
    better &= demand.usable[around.options[:, index]] & np.isfinite(found.shortfall)
    if not better.any():
        return Constraint.NONE
    nearest = int(np.where(better, found.margined + around.excess, np.inf).argmin())
    if around.excess[nearest] > max(around.excess[0], found.margined[nearest]):
        return Constraint.PLATFORM
    if found.margined[nearest] > 0:
        return CONSTRAINTS[int(np.argmax(found.margined_misses[:, nearest]))]
    return Constraint.NONE


def runner_up(plan: Plan, index: int, around: Evaluation, metric: str) -> tuple[Prediction, str]:
    """
    Return the best other option at the chosen setting, and why it was not chosen.

    :param around: what `alternatives` returns
    :param metric: of the application's accuracy, for the sentence
    """
    second = next_best(plan, index, around)
    if second is None:
        return Prediction(), ''
    why = in_words(objections(plan, index, around, second, metric))
    return _prediction(around, plan, index, second), why


def next_best(plan: Plan, index: int, around: Evaluation) -> int | None:
    """Return the row of the best other option at the chosen setting, none where there is none."""
    demand = plan.problem.demands[index]
    found = around.applications[index]
    count = len(plan.problem.joint.tables[index].options)
    others = np.arange(1, count + 1)
    others = others[
        (around.options[others, index] != plan.option(index))
        & demand.usable[around.options[others, index]]
        & np.isfinite(found.shortfall[others])
    ]
    if not len(others):
        return None
    values = objective_values(demand, found, around.power)
    order = np.lexsort(
        (
            around.power[others],
            values[others],
            found.shortfall[others],
            np.round(around.excess[others], 2),
        )
    )
    return int(others[order[0]])
