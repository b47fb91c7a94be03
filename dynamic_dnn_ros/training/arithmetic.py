# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""On which device a training computes, and in what numbers."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

from dynamic_dnn_ros.platforms.hardware import hardware_name
from dynamic_dnn_ros.training.configuration import Precision, TrainingConfigurationError
from dynamic_dnn_ros.training.processes import local_rank

_TYPES = {
    Precision.FLOAT32: torch.float32,
    Precision.BFLOAT16: torch.bfloat16,
    Precision.FLOAT16: torch.float16,
}


def choose_device(name: str) -> torch.device:
    """
    Return the device of a name; `auto` is a GPU where there is one, to each process its own.

    :raises TrainingConfigurationError: if torch does not have it.
    """
    if name == 'auto':
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        device = torch.device(name)
        if device.type == 'cuda' and device.index is None:
            device = torch.device('cuda', local_rank())
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise TrainingConfigurationError(
            f"device is {name!r}, which PyTorch cannot use here ({error}): give 'auto' or 'cpu'"
        ) from error
    if device.type == 'cuda':
        torch.cuda.set_device(device)
    return device


def device_name(device: torch.device) -> str:
    """Return what computes, for people."""
    return torch.cuda.get_device_name(device) if device.type == 'cuda' else hardware_name()


class Arithmetic:
    """
    Runs networks in a precision, and scales losses where gradients would underflow in it.

    :raises TrainingConfigurationError: for a precision that the device does not have.
    """

    def __init__(self, device: torch.device, precision: Precision) -> None:
        if precision is Precision.AUTO:
            fast = device.type == 'cuda' and torch.cuda.is_bf16_supported()
            precision = Precision.BFLOAT16 if fast else Precision.FLOAT32
        if precision is Precision.FLOAT16 and device.type == 'cpu':
            raise TrainingConfigurationError(
                'precision is float16, which needs a GPU: give float32 or bfloat16'
            )
        self.device = device
        self.precision = precision
        self._scaler = torch.amp.GradScaler(
            device.type, enabled=self.precision is Precision.FLOAT16
        )

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context in which networks run."""
        return torch.autocast(
            self.device.type,
            _TYPES[self.precision],
            enabled=self.precision is not Precision.FLOAT32,
        )

    def backward(self, loss: torch.Tensor) -> None:
        """Add a loss's gradients."""
        self._scaler.scale(loss).backward()

    def step(
        self, optimizer: torch.optim.Optimizer, module: torch.nn.Module, limit: float
    ) -> None:
        """Limit the norm of the gradients and change the weights; skip gradients that overflow."""
        self._scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(module.parameters(), limit)
        self._scaler.step(optimizer)
        self._scaler.update()

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return self._scaler.state_dict()

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what a checkpoint kept."""
        self._scaler.load_state_dict(state)
