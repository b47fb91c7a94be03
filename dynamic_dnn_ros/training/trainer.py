# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The training loop: phases, checkpoints, resumption."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import contextlib
import copy
import dataclasses
import functools
import itertools
import logging
from pathlib import Path
import random
import time
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from dynamic_dnn_ros.training.arithmetic import Arithmetic, choose_device, device_name
from dynamic_dnn_ros.training.averaging import AveragedWeights
from dynamic_dnn_ros.training.batches import Normalisation
from dynamic_dnn_ros.training.checkpoint import (
    CHECKPOINT_NAME,
    CheckpointError,
    held_out_otherwise,
    locked,
    read_state,
    write_state,
)
from dynamic_dnn_ros.training.configuration import (
    Optimizer,
    Phase,
    Rule,
    TrainingConfiguration,
    TrainingConfigurationError,
)
from dynamic_dnn_ros.training.evaluation import accuracy, recalibrate
from dynamic_dnn_ros.training.links.adaptive import Adaptive
from dynamic_dnn_ros.training.links.creation import create_exchange
from dynamic_dnn_ros.training.links.exchange import GradientExchange, LossyExchange, Nothing
from dynamic_dnn_ros.training.links.planning import staged_step
from dynamic_dnn_ros.training.links.staged import StagedStep
from dynamic_dnn_ros.training.logs import Log
from dynamic_dnn_ros.training.processes import (
    average_statistics,
    begin_alike,
    from_first,
    is_lost,
    process_count,
    process_rank,
)
from dynamic_dnn_ros.training.rules import Step, Teacher
from dynamic_dnn_ros.training.space import Space
from dynamic_dnn_ros.training.tasks.classification import ClassificationTraining
from dynamic_dnn_ros.training.tasks.contract import Batch, Batches, TrainingData, TrainingTask
from dynamic_dnn_ros.training.unfinished import Unfinished

_LOGGER = logging.getLogger(__name__)


class DivergenceError(RuntimeError):
    """Weights that are no finite numbers any more; says what to change."""


@dataclasses.dataclass(frozen=True)
class _WholeStep:
    """What all processes had before a step, but for what the step changes at its end alone."""

    step: int
    steps: int
    losses: float
    generator: Any
    buffers: Mapping[str, torch.Tensor]
    unsent: dict[str, Any]


class Trainer:
    """
    Trains phase after phase; a new one continues after the last whole epoch of a killed one.

    Every random choice follows from seed, phase and epoch, so a resumed training ends with the
    weights of one that was never killed.

    :param phases: instead of those of the configuration.
    :param work: instead of that of the configuration.
    :param task: what is trained; of the family's task.
    :raises ConfigurationError: if a phase names fields or values that the network does not have,
        or freezes what cannot be frozen.
    :raises TrainingConfigurationError: if a phase freezes all that it should train.
    """

    def __init__(
        self,
        space: Space,
        configuration: TrainingConfiguration,
        phases: tuple[Phase, ...] | None = None,
        work: Path | None = None,
        task: TrainingTask | None = None,
    ) -> None:
        self.seconds = 0.0
        self.epochs = 0
        #: That trained together, the most of all calls.
        self.processes = process_count()
        #: What trained last, by name.
        self.hardware = ''
        self._space = space
        self._configuration = configuration
        self._phases = configuration.phases if phases is None else phases
        self._work = configuration.work if work is None else work
        self._normalisation = Normalisation(configuration.mean, configuration.standard_deviation)
        self._task = task or ClassificationTraining()
        self._arithmetic = Arithmetic(choose_device(configuration.device), configuration.precision)
        self._phase_index = 0
        self._epoch = 0
        self._unfinished = Unfinished(self._work)
        #: What an interrupted epoch goes on with; None where the next one begins anew.
        self._interrupted: Mapping[str, Any] | None = None
        self._pictures = 0
        self._optimizer: torch.optim.Optimizer
        self._step: Step | StagedStep
        self._batches: Batches
        self._exchange: GradientExchange
        for phase in self._phases:
            self._check(phase)
        space.module.to(self._arithmetic.device)
        self._average = AveragedWeights(space.module, configuration.averaging)

    def _check(self, phase: Phase) -> None:
        """Refuse now what would end the training once the phase is reached."""
        space = self._space
        largest = space.largest(phase.within)
        space.enter(phase, (), anew=False)
        if phase.rule is Rule.EXITS:
            if not space.exits(phase.within):
                raise TrainingConfigurationError(
                    f'phase {phase.name!r}: the rule trains exits, and the network has none: give '
                    'the training file `exits`, each with the place that it comes after'
                )
            return
        if not (phase.freeze or phase.only):
            return
        each = largest if phase.rule.trains_largest_alone else space.smallest(phase.within)
        space.activate(space.module.eval(), each)
        trains = space.module(torch.zeros(1, 3, *each.size)).requires_grad
        space.module.train()
        if not trains:
            raise TrainingConfigurationError(
                f'phase {phase.name!r}: freeze is {dict(phase.freeze)}, only {list(phase.only)}, '
                f'which leaves nothing to train of sub-network {each.to_mapping()}: train more of '
                'it, or only larger ones (`within`)'
            )

    def train(
        self, pictures: TrainingData, held_out: TrainingData | None = None, quiet: bool = False
    ) -> None:
        """
        Train all phases, with a checkpoint after every epoch.

        :param held_out: pictures on which accuracy is watched.
        :raises CheckpointError: if the work folder holds a checkpoint of something else, if
            another training works there, or if it is full.
        :raises DataError: if pictures do not become of one size by the augmentation, or if one
            cannot be read.
        :raises DivergenceError: if weights are no finite numbers after an epoch; the checkpoint of
            the one before stays.
        :raises RuntimeError: if another process is lost; the last whole step is kept.
        """
        on_gpu = self._arithmetic.device.type == 'cuda'
        if on_gpu and self._task.one_size_a_step and self._space.changes_shapes:
            # It would plan every convolution anew in every step.
            torch.backends.cudnn.enabled = False
        self._task.check(self._configuration, pictures)
        self._pictures = len(pictures)
        self._exchange = create_exchange(self._configuration.compression)
        if process_rank() > 0:
            self._train_phases(pictures, None, self._resume(), quiet=True)
            self._average.put_in_place()
            return
        with locked(self._work):
            optimizer_state = self._resume()
            with contextlib.closing(Log(self._work, self.epochs)) as log:

                def report(phase: Phase, row: Mapping[str, Any]) -> None:
                    log.write({**row, **self._watch(phase, pictures, held_out)})

                self._train_phases(pictures, report, optimizer_state, quiet)
        self._average.put_in_place()

    def _train_phases(
        self,
        pictures: TrainingData,
        report: Callable[[Phase, Mapping[str, Any]], None] | None,
        optimizer_state: Mapping[str, Any] | None,
        quiet: bool,
    ) -> None:
        while self._phase_index < len(self._phases):
            phase = self._phases[self._phase_index]
            self._enter(phase, optimizer_state, pictures)
            optimizer_state = None
            for epoch in range(self._epoch, phase.epochs):
                row = self._train_epoch(phase, quiet)
                self.epochs += 1
                self._epoch = epoch + 1
                if self._epoch == phase.epochs:
                    self._keep_teacher(phase)
                    self._phase_index += 1
                    self._epoch = 0
                self._save()
                if report is not None:
                    report(phase, row)

    def _enter(
        self, phase: Phase, optimizer_state: Mapping[str, Any] | None, pictures: TrainingData
    ) -> None:
        configuration = self._configuration
        self._space.module.train()
        earlier = self._phases[: self._phase_index]
        anew = self._epoch == 0 and self._interrupted is None
        self._space.enter(phase, earlier, anew)
        if anew:
            self._average.begin()
        groups = _parameter_groups(self._space.module, configuration.weight_decay)
        if configuration.optimizer is Optimizer.ADAMW:
            self._optimizer = torch.optim.AdamW(groups, lr=phase.learning_rate)
        else:
            self._optimizer = torch.optim.SGD(
                groups, lr=phase.learning_rate, momentum=configuration.momentum, nesterov=True
            )
        if optimizer_state is not None:
            self._optimizer.load_state_dict(dict(optimizer_state))
        staged = staged_step(
            self._space, phase, configuration, self._arithmetic, pictures, self._task
        )
        if staged is not None:
            self._step, self._exchange = staged, Nothing()
            self._batches = staged.batches(self._task, configuration, pictures)
            return
        self._step = Step(
            self._space,
            phase,
            self._arithmetic,
            self._teacher(phase.teacher) if phase.teacher else None,
            self._task.one_size_a_step,
            self._average,
        )
        if isinstance(self._exchange, Nothing):
            self._exchange = create_exchange(configuration.compression)
        self._batches = self._task.batches(
            configuration, pictures, self._arithmetic.device, process_rank(), process_count()
        )

    def _train_epoch(self, phase: Phase, quiet: bool) -> dict[str, Any]:
        module, batches = self._space.module.train(), self._batches
        parameters = list(module.parameters())
        seed = (self._configuration.seed * 1009 + self._phase_index) * 1_000_003 + self._epoch
        generator = random.Random(seed)
        first, losses = self._go_on(generator, len(batches))
        progress_bar = tqdm(
            itertools.islice(batches.batches(seed), first, None),
            total=len(batches),
            initial=first,
            desc=f'{phase.name} {self._epoch + 1}/{phase.epochs}',
            unit='step',
            disable=quiet or process_rank() > 0,
        )
        seen = 0
        learning_rate = phase.learning_rate_at(self._epoch + 1)
        start = time.monotonic()
        whole = self._whole_step(first, len(batches), losses, generator)
        # Until the step is kept, too: a SIGTERM would end that.
        with self._unfinished.noticing():
            try:
                for step, batch in enumerate(progress_bar, first):
                    whole = self._whole_step(step, len(batches), losses, generator)
                    self._unfinished.check()
                    epochs = self._epoch + (step + 0.5) / len(batches)
                    learning_rate = phase.learning_rate_at(epochs)
                    progress = epochs / phase.epochs
                    losses += self._train_step(
                        batch, generator, learning_rate, progress, parameters
                    )
                    seen += len(batch)
                    if step % 20 == 0:
                        progress_bar.set_postfix(loss=f'{losses / (step + 1):.3f}')
                whole = self._whole_step(len(batches), len(batches), losses, generator)
                if isinstance(self._step, StagedStep):
                    self._step.gather(self._optimizer, self._average)
                else:
                    average_statistics(module)
            except RuntimeError as error:
                if is_lost(error):
                    self._keep(whole)
                raise
        self._check_weights(phase)
        seconds = time.monotonic() - start
        self.seconds += seconds
        self.hardware = device_name(self._arithmetic.device)
        return {
            'epoch': self.epochs + 1,
            'phase': phase.name,
            'seconds': self.seconds,
            'loss': losses / len(batches),
            'learning_rate': learning_rate,
            'pictures_per_second': seen * process_count() / seconds,
        }

    def _train_step(
        self,
        batch: Batch,
        generator: random.Random,
        learning_rate: float,
        progress: float,
        parameters: Sequence[nn.Parameter],
    ) -> float:
        """Train one batch, together with the other processes, and return the loss."""
        configuration = self._configuration
        for group in self._optimizer.param_groups:
            group['lr'] = learning_rate
        if isinstance(self._exchange, Adaptive) and isinstance(self._step, Step):
            self._exchange.judge(
                functools.partial(self._step.loss, batch),
                learning_rate,
                configuration.gradient_limit,
            )
        self._optimizer.zero_grad()
        loss = self._step.backward(batch, generator, progress)
        self._exchange.average(parameters)
        self._arithmetic.step(self._optimizer, self._space.module, configuration.gradient_limit)
        self._average.update()
        return loss

    def _go_on(self, generator: random.Random, steps: int) -> tuple[int, float]:
        """Return the step that an epoch goes on with, and the sum of its losses until then."""
        interrupted, self._interrupted = self._interrupted, None
        if interrupted is None:
            return 0, 0.0
        generator.setstate(interrupted['generator'])
        # With another number of processes an epoch has another number of steps.
        share = steps / interrupted['steps']
        return round(interrupted['step'] * share), interrupted['losses'] * share

    def _whole_step(
        self, step: int, steps: int, losses: float, generator: random.Random
    ) -> _WholeStep | None:
        """
        Return what a step may spoil before it is whole.

        None where nobody can be lost, and where a lost one takes its stage along.
        """
        if process_count() == 1 or isinstance(self._step, StagedStep):
            return None
        buffers = {name: each.clone() for name, each in self._space.module.named_buffers()}
        unsent = self._exchange.state() if isinstance(self._exchange, LossyExchange) else {}
        return _WholeStep(step, steps, losses, generator.getstate(), buffers, unsent)

    def _keep(self, whole: _WholeStep | None) -> None:
        """Write the last whole step down, as far as this process has it."""
        if whole is None:
            return
        with torch.no_grad():
            for name, each in self._space.module.named_buffers():
                each.copy_(whole.buffers[name])
        state = {
            **self._state(begun=True),
            'optimizer': self._optimizer.state_dict(),
            'interrupted': {
                'step': whole.step,
                'steps': whole.steps,
                'losses': whole.losses,
                'generator': whole.generator,
            },
        }
        self._unfinished.write((self.epochs, whole.step), state, whole.unsent)

    def _check_weights(self, phase: Phase) -> None:
        finite = [p.detach().isfinite().all() for p in self._space.module.parameters()]
        if not torch.stack(finite).all():
            raise DivergenceError(
                f'phase {phase.name!r} diverged in epoch {self._epoch + 1}: weights are no finite '
                "numbers. Lower the phase's learning_rate, or raise its warm_up; where epochs of "
                f'it were trained already, that needs a new work folder instead of {self._work}'
            )

    def _keep_teacher(self, phase: Phase) -> None:
        """Write the network down where a later phase learns from it."""
        learners = self._phases[self._phase_index + 1 :]
        if process_rank() == 0 and any(later.teacher == phase.name for later in learners):
            path = self._teacher_path(phase.name)
            write_state(path, {'network': self._space.module.state_dict()})

    def _watch(
        self, phase: Phase, pictures: TrainingData, held_out: TrainingData | None
    ) -> dict[str, float]:
        """Return the accuracy of what the phase trains, on some held-out pictures."""
        count = self._configuration.evaluation_pictures
        if held_out is None or not count:
            return {}
        part = held_out.first(count)
        calibration = pictures.first(count)
        values = {}
        watched = {'largest': self._space.largest(phase.within)}
        if not phase.rule.trains_largest_alone:
            watched['smallest'] = self._space.smallest(phase.within)
        with self._average.in_place():
            for name, each in watched.items():
                module = self._space.extract(each)
                if self._space.recalibrated:
                    recalibrate(module, calibration, each.size, self._normalisation)
                found = accuracy(module, part, each.size, self._normalisation)
                values[f'accuracy_{name}'] = found
        return values

    def _teacher(self, name: str) -> Teacher:
        """Return the network as it was at the end of a phase."""
        path = self._teacher_path(name)
        state = from_first(read_state(path) if process_rank() == 0 else None)
        if state is None:
            raise CheckpointError(
                f'{path} is missing: put it back, or remove {self._work} to start anew'
            )
        module = copy.deepcopy(self._space.module)
        module.load_state_dict(state['network'])
        module.requires_grad_(False).train()
        phase = next(phase for phase in self._phases if phase.name == name)
        return Teacher(module, self._space.largest(phase.within))

    def _teacher_path(self, name: str) -> Path:
        index = [phase.name for phase in self._phases].index(name)
        return self._work / f'teacher_{index}.pt'

    def _save(self) -> None:
        if isinstance(self._exchange, LossyExchange):
            self._unfinished.write_unsent((self.epochs, 0), self._exchange.state())
        if process_rank() == 0:
            write_state(self._work / CHECKPOINT_NAME, self._state(begun=self._epoch > 0))
        self._unfinished.remove()

    def _state(self, begun: bool) -> dict[str, Any]:
        """
        Return what a checkpoint has.

        :param begun: whether the present phase has begun; until then it may still be changed.
        """
        return {
            **self._space.identity(),
            'seed': self._configuration.seed,
            'pictures': self._pictures,
            'phases': [each.to_mapping() for each in self._phases[: self._phase_index + begun]],
            'phase': self._phase_index,
            'epoch': self._epoch,
            'epochs': self.epochs,
            'seconds': self.seconds,
            'processes': self.processes,
            'hardware': self.hardware,
            'network': self._space.module.state_dict(),
            'optimizer': self._optimizer.state_dict() if self._epoch else None,
            'arithmetic': self._arithmetic.state(),
            'average': self._average.state(),
        }

    def _resume(self) -> dict[str, Any] | None:
        """Take over the checkpoint where there is one; return the optimizer's part of it."""
        path = self._work / CHECKPOINT_NAME
        state = from_first(read_state(path) if process_rank() == 0 else None)
        newer = self._unfinished.read(0 if state is None else state['epochs'])
        if newer is not None:
            state = newer
            path = self._work / 'step_*.pt'
        if state is None:
            begin_alike(self._space.module)
            return None
        remedy = 'remove it to start anew, or give another work folder'
        for name, value in self._space.identity().items():
            if state.get(name) != value:
                raise CheckpointError(f'{path} is of another network ({name} differs): {remedy}')
        different = held_out_otherwise(state, self._configuration.seed, self._pictures)
        if different:
            raise CheckpointError(f'{path} {different}: restore the data, {remedy}')
        begun = [Phase.from_mapping(phase) for phase in state['phases']]
        for old, new in zip(begun, self._phases):
            if old != new:
                raise CheckpointError(
                    f'{path} is of another training (phase {old.name!r} was given otherwise): '
                    f'restore the configuration, {remedy}'
                )
        if len(begun) > len(self._phases):
            raise CheckpointError(f'{path} is of a training with more phases: {remedy}')
        self._space.module.load_state_dict(state['network'])
        self._average.load_state(state.get('average'))
        self._phase_index = state['phase']
        self._epoch = state['epoch']
        self.epochs = state['epochs']
        self.seconds = state['seconds']
        self.processes = max(self.processes, state.get('processes', 1))
        self.hardware = state.get('hardware', '')
        if state.get('arithmetic'):
            self._arithmetic.load_state(state['arithmetic'])
        self._interrupted = state.get('interrupted')
        step = self._interrupted['step'] if self._interrupted else 0
        if isinstance(self._exchange, LossyExchange):
            unsent = self._unfinished.read_unsent((self.epochs, step))
            if unsent:
                self._exchange.load_state(unsent)
        if process_rank() == 0:
            place = f'step {step} of epoch {self.epochs + 1}' if step else f'epoch {self.epochs}'
            _LOGGER.info('continuing after %s, found in %s', place, self._work)
        optimizer: dict[str, Any] | None = state['optimizer']
        return optimizer


def _parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return the parameters with weight decay on matrices and filters only."""
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        # A transform matrix starts at the identity; decay would pull the kernel to zero.
        small = parameter.ndim < 2 or 'transform' in name
        (plain if small else decayed).append(parameter)
    return [
        {'params': decayed, 'weight_decay': weight_decay},
        {'params': plain, 'weight_decay': 0.0},
    ]
