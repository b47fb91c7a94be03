# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""PyTorch as engine: all sub-networks are views of one copy of the weights."""

from __future__ import annotations

import threading

import numpy as np
import torch
from torch import nn

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import Preprocessing, SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import (
    Engine,
    EngineError,
    Logits,
    Picture,
    PreparedSubNetwork,
)
from dynamic_dnn_ros.networks.contract import ConfigurationError, StateError
from dynamic_dnn_ros.networks.registry import create

_WARM_UP_RUNS = 3


class TorchEngine(Engine):
    """Runs sub-networks eagerly, on the processor and on CUDA devices."""

    name = 'torch'

    def __init__(self, bundle: Bundle, threads: int) -> None:
        """
        Build the network of a bundle and check every configuration of it.

        :param threads: for one inference on the CPU
        :raises BundleError: when the family is unknown, a configuration is illegal, or the
            weights do not fit the layout
        """
        torch.set_num_threads(threads)
        self._manifest = bundle.manifest
        weights = bundle.weights()
        self._statistics = weights.batch_norm_statistics
        # Activating a sub-network changes the shared network, so one thread at a time prepares.
        self._lock = threading.Lock()
        remedy = 'Export the bundle again'
        try:
            self._network = create(self._manifest.family, self._manifest.layout)
            self._network.load_state(weights.network, share_memory=True)
        except (ConfigurationError, StateError) as error:
            raise BundleError(bundle.folder, str(error), remedy) from error
        for entry in self._manifest.sub_networks:
            try:
                configuration = self._network.configuration(entry.configuration)
            except ConfigurationError as error:
                raise BundleError(
                    bundle.folder,
                    f'sub-network {entry.id!r} has an illegal configuration: {error}',
                    remedy,
                ) from error
            if configuration.resolution != entry.resolution:
                raise BundleError(
                    bundle.folder,
                    f'sub-network {entry.id!r} says resolution {entry.resolution}, its '
                    f'configuration {configuration.resolution}',
                    remedy,
                )

    @property
    def processors(self) -> tuple[str, ...]:
        """Return the processors of this machine that PyTorch can use."""
        return ('gpu', 'cpu') if torch.cuda.is_available() else ('cpu',)

    def prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        """
        Extract one sub-network and run it until its first slow runs are over.

        :raises EngineError: for a processor that is not here
        :raises BundleError: when its batch-norm statistics do not fit
        """
        if processor not in self.processors:
            raise EngineError(
                f'processor {processor!r} is not here. '
                f'PyTorch runs on: {", ".join(self.processors)}.'
            )
        with self._lock:
            configuration = self._network.configuration(sub_network.configuration)
            try:
                self._network.activate(configuration)
                self._network.load_batch_norm_statistics(self._statistics[sub_network.id])
            except StateError as error:
                raise BundleError(
                    f'sub-network {sub_network.id!r}', str(error), 'Export the bundle again'
                ) from error
            module = self._network.extract(configuration, share_weights=True)
        device = torch.device('cuda' if processor == 'gpu' else 'cpu')
        prepared = _TorchSubNetwork(
            sub_network, processor, module.to(device), self._manifest.preprocessing, device
        )
        side = sub_network.resolution
        for _ in range(_WARM_UP_RUNS):
            prepared.run(np.zeros((side, side, 3), np.uint8))
        return prepared


class _TorchSubNetwork(PreparedSubNetwork):
    def __init__(
        self,
        sub_network: SubNetwork,
        processor: str,
        module: nn.Module,
        preprocessing: Preprocessing,
        device: torch.device,
    ) -> None:
        super().__init__(sub_network, processor)
        self._module = module.eval()
        self._device = device
        mean = torch.tensor(preprocessing.mean, device=device).view(1, 3, 1, 1)
        deviation = torch.tensor(preprocessing.standard_deviation, device=device)
        deviation = deviation.view(1, 3, 1, 1)
        # (x / 255 - mean) / deviation, as one multiplication and one addition
        self._scale = 1 / (255 * deviation)
        self._offset = -mean / deviation

    def run(self, picture: Picture) -> Logits:
        side = self.sub_network.resolution
        if picture.shape != (side, side, 3):
            raise EngineError(
                f'sub-network {self.sub_network.id!r} takes pictures of shape '
                f'{(side, side, 3)}, not {picture.shape}'
            )
        try:
            with torch.inference_mode():
                pixels = torch.from_numpy(picture).to(self._device).permute(2, 0, 1)
                batch = torch.addcmul(self._offset, pixels.unsqueeze(0).float(), self._scale)
                logits: Logits = self._module(batch)[0].cpu().numpy()
        except RuntimeError as error:
            raise EngineError(
                f'PyTorch failed on sub-network {self.sub_network.id!r}: {error}'
            ) from error
        return logits
