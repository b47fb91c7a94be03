# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Deep Q-learning of a few actions in numpy, after Mnih et al., Nature 518, 2015.

Two hidden layers say what each action is worth in a state. They learn from transitions drawn from
a replay buffer, against a copy of themselves that follows now and then. Optimiser: Adam.
"""

from __future__ import annotations

from collections.abc import Mapping
import itertools

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

HIDDEN = 6
"""Neurons of each of the two hidden layers, as zTT has them."""

REPLAY, BATCH = 500, 64
"""Transitions that are kept, and drawn at each step, as zTT has them."""

RATE = 0.01
DISCOUNT = 0.9
FOLLOWS = 50
"""Steps after which the copy follows."""

EXPLORED = 600
"""Steps over which the share of random actions falls from 1 to `LEAST_EXPLORED`."""

LEAST_EXPLORED = 0.05

_DECAYS = (0.9, 0.999)


class QLearner:
    """
    Says what actions are worth, and learns it.

    :param states: numbers of a state, each about 0..1
    :param actions: how many there are
    """

    def __init__(self, states: int, actions: int, seed: int = 0) -> None:
        """Begin with small random weights and nothing to learn from."""
        self.states, self.actions = states, actions
        self._random = np.random.default_rng(seed)
        sizes = (states, HIDDEN, HIDDEN, actions)
        self._weights: list[FloatArray] = []
        for inputs, outputs in itertools.pairwise(sizes):
            deviation = (2 / inputs) ** 0.5
            self._weights.append(self._random.normal(0.0, deviation, (inputs, outputs)))
            self._weights.append(np.zeros(outputs))
        self._copy = [each.copy() for each in self._weights]
        self._means = [np.zeros_like(each) for each in self._weights]
        self._squares = [np.zeros_like(each) for each in self._weights]
        self._kept = np.zeros((REPLAY, 2 * states + 2))
        self.steps = 0

    def reseed(self, *seed: int) -> None:
        """Draw what follows from another seed."""
        self._random = np.random.default_rng(seed)

    def worth(self, state: FloatArray) -> FloatArray:
        """Return what each action is worth in states, shape (..., states)."""
        return _forward(self._weights, state)[-1]

    def best(self, state: FloatArray) -> int:
        """Return the action that is worth most."""
        return int(self.worth(state).argmax())

    def explore(self, state: FloatArray) -> int:
        """Return the best action, or, more often in the beginning, one at random."""
        random = max(LEAST_EXPLORED, 1 - self.steps / EXPLORED)
        if self._random.random() < random:
            return self.any_of(range(self.actions))
        return self.best(state)

    def any_of(self, actions: range | list[int]) -> int:
        """Return one of some actions at random."""
        return int(self._random.choice(np.array(actions)))

    def take(self, state: FloatArray, action: int, reward: float, after: FloatArray) -> None:
        """Keep a transition, and learn from some of those that are kept."""
        self._kept[self.steps % REPLAY] = (*state, action, reward, *after)
        self.steps += 1
        if self.steps >= BATCH:
            self._learn()
        if self.steps % FOLLOWS == 0:
            self._copy = [each.copy() for each in self._weights]

    def _learn(self) -> None:
        rows = self._random.integers(0, min(self.steps, REPLAY), BATCH)
        drawn, n = self._kept[rows], self.states
        before, after = drawn[:, :n], drawn[:, n + 2 :]
        actions, rewards = drawn[:, n].astype(np.int64), drawn[:, n + 1]
        wanted = rewards + DISCOUNT * _forward(self._copy, after)[-1].max(axis=1)
        layers = _forward(self._weights, before)
        error = np.zeros_like(layers[-1])
        each = np.arange(BATCH)
        # As far as 1 only: a transition that is far off moves no more (Huber's loss).
        error[each, actions] = np.clip(layers[-1][each, actions] - wanted, -1.0, 1.0) / BATCH
        gradients: list[FloatArray] = []
        for index in reversed(range(3)):
            gradients[:0] = [layers[index].T @ error, error.sum(axis=0)]
            error = (error @ self._weights[2 * index].T) * (layers[index] > 0)
        self._move(gradients)

    def _move(self, gradients: list[FloatArray]) -> None:
        one, two = _DECAYS
        moves = self.steps - BATCH + 1
        for weight, mean, square, slope in zip(
            self._weights, self._means, self._squares, gradients
        ):
            mean += (1 - one) * (slope - mean)
            square += (1 - two) * (slope**2 - square)
            unbiased = mean / (1 - one**moves)
            weight -= RATE * unbiased / (np.sqrt(square / (1 - two**moves)) + 1e-8)

    def arrays(self) -> dict[str, FloatArray]:
        """Return all that it takes to go on, by name: weights, and what was learnt from."""
        found = {'kept': self._kept, 'steps': np.array([float(self.steps)])}
        for kind, each in self._parts().items():
            found.update({f'{kind}{i}': array for i, array in enumerate(each)})
        return found

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of `arrays`."""
        return {name: array.shape for name, array in self.arrays().items()}

    def restore(self, arrays: Mapping[str, FloatArray]) -> None:
        """
        Go on from `arrays`.

        :raises ValueError: for a number of steps that cannot be
        """
        steps = float(arrays['steps'][0])
        if not 0 <= steps < 1e12 or steps % 1:
            raise ValueError(f'steps = {steps:g} is no count')
        self.steps = int(steps)
        self._kept[:] = arrays['kept']
        for kind, each in self._parts().items():
            for i, array in enumerate(each):
                array[:] = arrays[f'{kind}{i}']

    def _parts(self) -> dict[str, list[FloatArray]]:
        return {
            'weight': self._weights,
            'copy': self._copy,
            'mean': self._means,
            'square': self._squares,
        }


def _forward(weights: list[FloatArray], state: FloatArray) -> list[FloatArray]:
    """Return the state and what each layer makes of it."""
    layers = [state]
    for index in range(0, len(weights), 2):
        value = layers[-1] @ weights[index] + weights[index + 1]
        layers.append(value if index == len(weights) - 2 else np.maximum(value, 0.0))
    return layers
