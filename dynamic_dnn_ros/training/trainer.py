# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The training loop: schedule, checkpoints, resumption."""

from __future__ import annotations

import json
import logging
import math
import os
import random
import time
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from dynamic_dnn_ros.networks.contract import DynamicNetwork
from dynamic_dnn_ros.training.batches import Normalisation, training_batches
from dynamic_dnn_ros.training.configuration import TrainingConfiguration
from dynamic_dnn_ros.training.pictures import Pictures
from dynamic_dnn_ros.training.processes import (
    average_gradients,
    process_count,
    process_rank,
)
from dynamic_dnn_ros.training.sandwich import Sandwich

_LOGGER = logging.getLogger(__name__)
_CHECKPOINT = 'checkpoint.pt'
_LOG = 'training.jsonl'


class CheckpointError(ValueError):
    """A checkpoint that does not belong to this training, or cannot be read."""


class Trainer:
    """
    Trains a dynamic network; a new one continues after the last whole epoch of a killed one.

    Every random choice follows from the seed and the epoch, so with a budget of epochs a resumed
    training ends with the weights of one that was never killed.
    """

    def __init__(self, network: DynamicNetwork[Any], configuration: TrainingConfiguration) -> None:
        self.network = network
        self.epoch = 0
        self.seconds = 0.0
        self._configuration = configuration
        self._sorted = False
        self._optimizer = torch.optim.SGD(
            _parameter_groups(network, configuration.weight_decay),
            lr=configuration.learning_rate,
            momentum=configuration.momentum,
            nesterov=True,
        )
        self._checkpoint = configuration.work / _CHECKPOINT
        self._sandwich = Sandwich(
            network,
            Normalisation(configuration.mean, configuration.standard_deviation),
            configuration.label_smoothing,
            configuration.sampled,
        )

    def train(self, pictures: Pictures, quiet: bool = False) -> None:
        """
        Train until the budget is spent, with a checkpoint after every epoch.

        :raises CheckpointError: if the work folder holds a checkpoint of something else.
        """
        self._configuration.work.mkdir(parents=True, exist_ok=True)
        self._resume()
        while self._progress(0.0) < 1.0:
            self._train_epoch(pictures, quiet)
            self._save()

    def _train_epoch(self, pictures: Pictures, quiet: bool) -> None:
        configuration = self._configuration
        network = self.network.train()
        seed = configuration.seed * 1_000_003 + self.epoch
        generator = random.Random(seed)
        batches = training_batches(
            pictures,
            configuration.batch_size,
            configuration.padding,
            torch.Generator().manual_seed(seed),
            process_rank(),
            process_count(),
        )
        steps = max(1, len(pictures) // process_count() // configuration.batch_size)
        losses = 0.0
        done = 0
        progress_bar = tqdm(
            batches,
            total=steps,
            desc=f'epoch {self.epoch}',
            unit='step',
            disable=quiet or process_rank() > 0,
        )
        before = time.monotonic()
        for step, (images, labels) in enumerate(progress_bar):
            progress = self._progress(step / steps)
            if progress >= 1.0:
                break
            largest_only = progress < configuration.largest_only
            if not largest_only and not self._sorted:
                self._sort_channels()
            for group in self._optimizer.param_groups:
                group['lr'] = configuration.learning_rate * self._schedule(progress)
            self._optimizer.zero_grad()
            losses += self._sandwich.backward(images, labels, step, generator, largest_only)
            now = time.monotonic()
            self.seconds = average_gradients(network, self.seconds + now - before)
            before = now
            nn.utils.clip_grad_norm_(network.parameters(), configuration.gradient_limit)
            self._optimizer.step()
            done += 1
            if step % 20 == 0:
                progress_bar.set_postfix(loss=f'{losses / done:.3f}', done=f'{progress:.1%}')
        self.epoch += 1
        if process_rank() > 0:
            return
        row = {'epoch': self.epoch, 'seconds': self.seconds, 'loss': losses / max(done, 1)}
        with (configuration.work / _LOG).open('a', encoding='utf-8') as log:
            log.write(json.dumps(row) + '\n')

    def _sort_channels(self) -> None:
        """Put important channels first, once, before sub-networks rely on their order."""
        self.network.sort_channels()
        # Momentum belongs to the old order.
        self._optimizer.state.clear()
        self._sorted = True

    def _progress(self, part_of_epoch: float) -> float:
        configuration = self._configuration
        if configuration.seconds > 0:
            return self.seconds / configuration.seconds
        return (self.epoch + part_of_epoch) / configuration.epochs

    def _schedule(self, progress: float) -> float:
        """Return the share of the peak learning rate: linear warm-up, then half a cosine."""
        warm_up = self._configuration.warm_up
        if progress < warm_up:
            return (progress + 0.001) / (warm_up + 0.001)
        return 0.5 * (1.0 + math.cos(math.pi * (progress - warm_up) / (1.0 - warm_up)))

    def _save(self) -> None:
        """Write the checkpoint beside the old one, then exchange them at once."""
        if process_rank() > 0:
            return
        state = {
            'family': self._configuration.family,
            'layout': json.dumps(self.network.layout_mapping(), sort_keys=True),
            'epoch': self.epoch,
            'seconds': self.seconds,
            'sorted': self._sorted,
            'network': self.network.state_dict(),
            'optimizer': self._optimizer.state_dict(),
        }
        part = self._checkpoint.with_suffix('.part')
        with part.open('wb') as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(self._checkpoint)

    def _resume(self) -> None:
        if not self._checkpoint.exists():
            return
        try:
            # weights_only: tensors and plain values, nothing that could run code.
            state = torch.load(self._checkpoint, weights_only=True)
        except Exception as error:
            raise CheckpointError(
                f'{self._checkpoint} cannot be read ({error}): remove it to start anew'
            ) from error
        layout = json.dumps(self.network.layout_mapping(), sort_keys=True)
        if (state['family'], state['layout']) != (self._configuration.family, layout):
            raise CheckpointError(
                f'{self._checkpoint} is of another network: remove it, or give another work folder'
            )
        self.network.load_state_dict(state['network'])
        self._optimizer.load_state_dict(state['optimizer'])
        self.epoch = state['epoch']
        self.seconds = state['seconds']
        self._sorted = state['sorted']
        _LOGGER.info('continuing after epoch %d from %s', self.epoch, self._checkpoint)


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return the parameters with weight decay on matrices and filters only."""
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        # A transform matrix starts at the identity; decay would pull the kernel to zero.
        small = parameter.ndim < 2 or 'transform' in name
        (plain if small else decayed).append(parameter)
    return [
        {'params': decayed, 'weight_decay': weight_decay},
        {'params': plain, 'weight_decay': 0.0},
    ]
