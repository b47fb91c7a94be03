# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the sub-networks of a bundle say of a picture, computed without engine and node."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.networks.registry import network_of
from dynamic_dnn_ros.pictures.scaling import CameraPicture, CompressedPicture, fitted
from support.images import Pixels

# The pictures are small: on a busy machine, threads would wait for each other.
torch.set_num_threads(1)

Scores = npt.NDArray[np.float64]


class OfflineClassifier:
    """
    Each sub-network of a bundle extracted into memory of its own.

    No weight is shared, so this is also the measure of whether a switch in the running node
    mixes two sub-networks.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.classes = bundle.manifest.labels
        weights = bundle.weights()
        self._modules: dict[str, torch.nn.Module] = {}
        for entry in bundle.manifest.sub_networks:
            network = network_of(bundle.manifest)
            network.load_state(weights.network)
            configuration = network.configuration(entry.configuration)
            network.activate(configuration)
            network.load_batch_norm_statistics(weights.batch_norm_statistics[entry.id])
            self._modules[entry.id] = network.extract(configuration).eval()

    @property
    def sub_networks(self) -> list[str]:
        """Return the ids, cheapest first."""
        return list(self._modules)

    def scores(self, picture: CameraPicture, sub_network: str) -> Scores:
        """Return the softmax probabilities of the classes, shape (classes,)."""
        entry = self.bundle.manifest.sub_network(sub_network)
        preprocessing = self.bundle.manifest.preprocessing
        pixels: Pixels = fitted(picture, entry.size, preprocessing)[0]
        return self.scores_of_square(pixels, sub_network)

    @torch.inference_mode()
    def scores_of_square(self, pixels: Pixels, sub_network: str) -> Scores:
        """Return the same for a picture that has the sub-network's resolution."""
        preprocessing = self.bundle.manifest.preprocessing
        normalised = (pixels / 255.0 - preprocessing.mean) / preprocessing.standard_deviation
        batch = torch.from_numpy(normalised.astype(np.float32)).permute(2, 0, 1).unsqueeze(0)
        logits = self._modules[sub_network](batch)[0].double()
        scores: Scores = torch.softmax(logits, 0).numpy()
        return scores

    @torch.inference_mode()
    def best_of_squares(self, pixels: Pixels, sub_network: str) -> npt.NDArray[np.int64]:
        """Return the index of the best class of each picture, shape (pictures, side, side, 3)."""
        preprocessing = self.bundle.manifest.preprocessing
        normalised = (pixels / 255.0 - preprocessing.mean) / preprocessing.standard_deviation
        batch = torch.from_numpy(normalised.astype(np.float32)).permute(0, 3, 1, 2)
        best: npt.NDArray[np.int64] = self._modules[sub_network](batch).argmax(1).numpy()
        return best

    def class_of(self, jpeg: bytes, sub_network: str) -> str:
        """Return the name of the best class of a picture's file."""
        return self.classes[int(self.scores(CompressedPicture(jpeg), sub_network).argmax())]

    def scores_of_message(self, message: Any) -> Scores:
        """Return what a `Classification` with all classes says, in the order of the bundle."""
        said = {result.class_id: result.score for result in message.results}
        return np.array([said[name] for name in self.classes])


@lru_cache(maxsize=4)
def offline_classifier(folder: Path) -> OfflineClassifier:
    """Return the classifier of a bundle, made once."""
    return OfflineClassifier(read_bundle(folder))
