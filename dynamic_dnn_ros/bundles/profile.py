# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Operating points of one bundle on one platform, kept by columns, and the file that has them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from enum import IntEnum
import json
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.bundles.errors import BundleError

FORMAT_VERSION = 1

#: Frames together that a profile speaks of at most.
LARGEST_BATCH = 64

FloatColumn = NDArray[np.float64]
IndexColumn = NDArray[np.int64]
FlagColumn = NDArray[np.bool_]


class ProfileKind(IntEnum):
    """How the figures of a profile came about; the values are those of `OperatingPoints.msg`."""

    NONE = 0
    MEASURED = 1
    SIMULATED = 2


@dataclass(frozen=True)
class OperatingPoints:
    """
    A table of n operating points: sub-networks on processors at frequency settings.

    `sub_network` and `processor` index `sub_networks` and `processors`; `frequencies` has the
    shape (n, domains), Hz. Latencies are seconds of preprocessing and inference, `power` and
    `idle_power` watts of the whole board, `energy` joules for one inference with what the board
    needs when idle; without that it is `energy - idle_power * latency_mean`. What was not measured
    is NaN.

    `hardware` names the computer that was measured; empty: the profile holds for any that is
    this platform. `interpolated` marks the points that were computed from measured ones, and
    `interpolation_error` and `interpolation_error_maximum` say how far off that is: the mean and
    the largest relative error of the mean latency where one measured setting after the other was
    left out and computed from the rest; NaN where nothing was interpolated. `weights_sha256` is
    that of the weights it was made with; empty where nobody took it down.

    `engine` and `precision` are those it was measured with, empty where none was. `accuracy`
    holds the top-1 accuracy, 0..1, of each of `sub_networks` that was measured with them on
    `accuracy_data`; empty where it was not measured.

    `measured_elsewhere` names the table of others that latencies were taken from; empty: none.

    `batch_latency` is what 1, 2, ... frames of a sub-network take together, as a multiple of what
    one takes, shape (sub-networks, largest batch); no rows where it was not measured.

    `works` has, of sub-networks with stages whose paths were measured, the share of the largest
    path's latency of a picture that leaves after each stage, and `taken` the share of the pictures
    of `accuracy_data` that do, both by the sub-network's id.
    """

    platform: str
    kind: ProfileKind
    extrapolated: bool
    domains: tuple[str, ...]
    processors: tuple[str, ...]
    sub_networks: tuple[str, ...]
    sub_network: IndexColumn
    processor: IndexColumn
    frequencies: FloatColumn
    latency_mean: FloatColumn
    latency_p50: FloatColumn
    latency_p95: FloatColumn
    latency_p99: FloatColumn
    power: FloatColumn
    idle_power: FloatColumn
    energy: FloatColumn
    description: str = ''
    hardware: str = ''
    interpolated: FlagColumn = field(default_factory=lambda: np.zeros(0, np.bool_))
    interpolation_error: float = math.nan
    interpolation_error_maximum: float = math.nan
    weights_sha256: str = ''
    engine: str = ''
    precision: str = ''
    accuracy: FloatColumn = field(default_factory=lambda: np.zeros(0))
    accuracy_data: str = ''
    measured_elsewhere: str = ''
    batch_latency: FloatColumn = field(default_factory=lambda: np.zeros((0, 0)))
    works: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    taken: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """
        Check that the columns agree with each other.

        :raises BundleError: when a column has another length, an index points outside its list,
            a latency is not positive, or a power or energy is negative or infinite
        """
        points = len(self.sub_network)
        if not len(self.interpolated):
            object.__setattr__(self, 'interpolated', np.zeros(points, np.bool_))
        where = f'profile for {self.platform!r}'
        remedy = "Make the profile again with 'dynamic-dnn profile'"
        if self.frequencies.shape != (points, len(self.domains)):
            raise BundleError(
                where,
                f'frequencies have shape {self.frequencies.shape}, not '
                f'{(points, len(self.domains))} (points x domains)',
                remedy,
            )
        for name in ('sub_network', *_COLUMNS):
            if getattr(self, name).shape != (points,):
                raise BundleError(
                    where,
                    f'column {name!r} has shape {getattr(self, name).shape}, not ({points},)',
                    remedy,
                )
        if self.accuracy.shape not in ((0,), (len(self.sub_networks),)):
            raise BundleError(
                where,
                f'accuracy has shape {self.accuracy.shape}, not ({len(self.sub_networks)},)',
                remedy,
            )
        batches = self.batch_latency
        rows = (0, len(self.sub_networks))
        if batches.ndim != 2 or len(batches) not in rows or batches.shape[1] > LARGEST_BATCH:
            raise BundleError(
                where,
                f'batch_latency has shape {batches.shape}, not '
                f'({len(self.sub_networks)}, up to {LARGEST_BATCH}) (sub-networks x batches)',
                remedy,
            )
        if not (np.all(np.isfinite(batches) & (batches > 0)) and np.all(batches[:, :1] == 1)):
            raise BundleError(
                where,
                'batch_latency holds a multiple that is not positive, or a first one that is not '
                '1',
                remedy,
            )
        self._check_paths(where, remedy)
        for name, names in (('sub_network', self.sub_networks), ('processor', self.processors)):
            column = getattr(self, name)
            if points and not (column.min() >= 0 and column.max() < len(names)):
                raise BundleError(
                    where, f'column {name!r} points outside its list of {len(names)}', remedy
                )
        for name in ('latency_mean', 'latency_p50', 'latency_p95', 'latency_p99'):
            column = getattr(self, name)
            if not np.all(np.isfinite(column) & (column > 0)):
                raise BundleError(
                    where, f'column {name!r} holds a latency that is not positive', remedy
                )
        for name in ('power', 'idle_power', 'energy'):
            column = getattr(self, name)
            if not np.all(np.isnan(column) | (np.isfinite(column) & (column >= 0))):
                raise BundleError(
                    where, f'column {name!r} holds a figure that is negative or infinite', remedy
                )
        if not np.all(np.isfinite(self.frequencies) & (self.frequencies > 0)):
            raise BundleError(where, 'a frequency is not positive', remedy)

    def _check_paths(self, where: str, remedy: str) -> None:
        for name in (*self.works, *self.taken):
            works, taken = self.works.get(name, ()), self.taken.get(name, ())
            shares = len(works) == len(taken) and all(0 <= each <= 1 for each in (*works, *taken))
            # Shares are written with six digits.
            if name not in self.sub_networks or not (shares and abs(sum(taken) - 1) < 1e-3):
                raise BundleError(
                    where,
                    f'the paths of {name!r} have works {works} and shares {taken}: of a '
                    'sub-network of the profile as many of each in 0..1 are needed, and shares '
                    'that sum to 1',
                    remedy,
                )

    def __len__(self) -> int:
        """Return the number of operating points."""
        return len(self.sub_network)

    @property
    def largest_batch(self) -> int:
        """Return how many frames were measured together at most; 0: none were."""
        return self.batch_latency.shape[1] if len(self.batch_latency) else 0

    def least_latency(self, sub_network: str, processor: str) -> float | None:
        """Return the mean latency of a sub-network at its fastest point, s; None: it has none."""
        if sub_network not in self.sub_networks or processor not in self.processors:
            return None
        rows = (self.sub_network == self.sub_networks.index(sub_network)) & (
            self.processor == self.processors.index(processor)
        )
        return float(np.min(self.latency_mean[rows])) if np.any(rows) else None

    def batch_multiples(self, sub_network: str) -> tuple[float, ...]:
        """Return what 1, 2, ... frames take together, as multiples of what one takes."""
        if sub_network not in self.sub_networks or not len(self.batch_latency):
            return ()
        return tuple(self.batch_latency[self.sub_networks.index(sub_network)].tolist())

    def only(self, sub_networks: Collection[str]) -> OperatingPoints:
        """Return the points of some sub-networks."""
        kept = [index for index, name in enumerate(self.sub_networks) if name in sub_networks]
        rows = np.isin(self.sub_network, kept)
        columns = {name: getattr(self, name)[rows] for name in ('frequencies', *_COLUMNS)}
        return replace(
            self,
            sub_networks=tuple(self.sub_networks[index] for index in kept),
            accuracy=self.accuracy[kept] if len(self.accuracy) else self.accuracy,
            batch_latency=(
                self.batch_latency[kept] if len(self.batch_latency) else self.batch_latency
            ),
            sub_network=np.searchsorted(kept, self.sub_network[rows]),
            works={name: each for name, each in self.works.items() if name in sub_networks},
            taken={name: each for name, each in self.taken.items() if name in sub_networks},
            **columns,
        )

    def to_mapping(self) -> dict[str, Any]:
        """Return the table as plain JSON data; figures keep six significant digits."""
        mapping: dict[str, Any] = {'format_version': FORMAT_VERSION}
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, np.ndarray) and value.dtype.kind == 'f':
                flat = [float(f'{number:.6g}') for number in value.ravel()]
                value = np.reshape(
                    np.array([None if np.isnan(n) else n for n in flat], dtype=object), value.shape
                ).tolist()
                if entry.name == 'frequencies':
                    value = getattr(self, entry.name).tolist()
            elif isinstance(value, np.ndarray):
                value = value.tolist()
            elif isinstance(value, float):
                value = None if math.isnan(value) else float(f'{value:.6g}')
            elif isinstance(value, tuple):
                value = list(value)
            elif isinstance(value, Mapping):
                value = {
                    name: [float(f'{share:.6g}') for share in shares]
                    for name, shares in value.items()
                }
            elif isinstance(value, ProfileKind):
                value = value.name.lower()
            mapping[entry.name] = value
        return mapping

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], where: object) -> OperatingPoints:
        """
        Build the table from the JSON data of a profile file.

        :param where: named in errors, the file usually
        :raises BundleError: when a field is missing or of the wrong kind
        """
        remedy = "Make the profile again with 'dynamic-dnn profile'"
        if mapping.get('format_version') != FORMAT_VERSION:
            raise BundleError(
                where,
                f'format_version is {mapping.get("format_version")!r}, this release reads '
                f'{FORMAT_VERSION}',
                remedy,
            )
        required = [
            entry.name
            for entry in fields(cls)
            if entry.default is MISSING and entry.default_factory is MISSING
        ]
        missing = [name for name in required if name not in mapping]
        if missing:
            raise BundleError(where, f'missing {", ".join(missing)}', remedy)
        try:
            values: dict[str, Any] = {
                name: np.array(mapping[name], dtype=np.float64) for name in FIGURES
            }
            for name in ('sub_network', 'processor'):
                values[name] = np.array(mapping[name], dtype=np.int64)
            for name in ('interpolation_error', 'interpolation_error_maximum'):
                error = mapping.get(name)
                values[name] = math.nan if error is None else float(error)
            # Files from before batches have none.
            batches = mapping.get('batch_latency') or np.zeros((0, 0))
            values['batch_latency'] = np.array(batches, dtype=np.float64)
            values['frequencies'] = np.array(mapping['frequencies'], dtype=np.float64).reshape(
                len(values['sub_network']), len(mapping['domains'])
            )
            return cls(
                platform=str(mapping['platform']),
                kind=ProfileKind[str(mapping['kind']).upper()],
                extrapolated=bool(mapping['extrapolated']),
                domains=tuple(map(str, mapping['domains'])),
                processors=tuple(map(str, mapping['processors'])),
                sub_networks=tuple(map(str, mapping['sub_networks'])),
                description=str(mapping.get('description', '')),
                weights_sha256=str(mapping.get('weights_sha256', '')),
                hardware=str(mapping.get('hardware', '')),
                interpolated=np.array(mapping.get('interpolated', ()), dtype=np.bool_),
                engine=str(mapping.get('engine', '')),
                precision=str(mapping.get('precision', '')),
                accuracy=np.array(mapping.get('accuracy', ()), dtype=np.float64),
                accuracy_data=str(mapping.get('accuracy_data', '')),
                measured_elsewhere=str(mapping.get('measured_elsewhere', '')),
                works=_shares(mapping.get('works', {})),
                taken=_shares(mapping.get('taken', {})),
                **values,
            )
        except BundleError:
            raise
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise BundleError(where, f'cannot be read ({error})', remedy) from error


def _shares(mapping: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    return {str(name): tuple(map(float, shares)) for name, shares in mapping.items()}


#: The columns of figures, in the order of `OperatingPoints.msg`.
FIGURES = (
    'latency_mean',
    'latency_p50',
    'latency_p95',
    'latency_p99',
    'power',
    'idle_power',
    'energy',
)
_COLUMNS = ('processor', *FIGURES, 'interpolated')


def parse_profile(content: bytes, where: object) -> OperatingPoints:
    """
    Read the content of a profile file.

    :param where: named in errors, the file usually
    :raises BundleError: when it is no JSON object, or its columns disagree
    """
    try:
        mapping = json.loads(content)
        if not isinstance(mapping, dict):
            raise ValueError('no JSON object')
    except (RecursionError, ValueError) as error:
        raise BundleError(
            where, f'cannot be read ({error})', "Make the profile again with 'dynamic-dnn profile'"
        ) from error
    return OperatingPoints.from_mapping(mapping, where)
