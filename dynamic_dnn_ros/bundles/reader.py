# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Read a bundle from disk: nothing in it is executed, nothing outside its folder is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.bundles.completeness import is_older_than_weights
from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.locking import real_folder
from dynamic_dnn_ros.bundles.manifest import (
    CLASSIFICATION,
    MANIFEST_NAME,
    Manifest,
    SeparateModels,
    SuperNetwork,
)
from dynamic_dnn_ros.bundles.model_files import ModelFiles
from dynamic_dnn_ros.bundles.profile import OperatingPoints, parse_profile
from dynamic_dnn_ros.bundles.responses import RESPONSES_NAME, Responses, parse_responses

#: How the names of tensors in the weights file begin; a sub-network's id follows the second.
NETWORK_PREFIX = 'network.'
STATISTICS_PREFIX = 'batch_norm.'

#: The numbers of a weights file, by their names in its header.
_NUMBERS = {'F16': '<f2', 'F32': '<f4', 'F64': '<f8'}

#: What content that is no safetensors file makes `_views` raise.
_NO_TENSORS = (
    AttributeError,
    KeyError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)

_DAMAGED = 'Install an undamaged copy of the bundle'

Tensors = dict[str, NDArray[Any]]

#: What is learned: the content of a super-network's weights file, or of separate models' ONNX
#: files by the names of the models.
SourceContent = bytes | Mapping[str, bytes]


@dataclass(frozen=True)
class Weights:
    """
    The tensors of a bundle.

    `network` holds the weights that all sub-networks share, `batch_norm_statistics` for each
    sub-network the running mean and variance of its batch-norm layers: nothing for a family whose
    sub-networks share these too.
    """

    network: Tensors
    batch_norm_statistics: dict[str, Tensors]


@dataclass(frozen=True)
class Bundle:
    """
    A bundle whose manifest and files were checked; `sha256` is that of the manifest.

    `weights_content` is that of a super-network's file, `models` that of the files of separate
    models, by their names. `responses` are empty where none were recorded; `other_files` are all
    others than these and profiles, by name.
    """

    folder: Path
    manifest: Manifest
    sha256: str
    profiles: tuple[OperatingPoints, ...]
    weights_content: bytes
    responses: Responses = field(default_factory=dict)
    other_files: Mapping[str, bytes] = field(default_factory=dict)
    models: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def source_content(self) -> SourceContent:
        """Return what is learned, as a writer takes it."""
        source = self.manifest.source
        if isinstance(source, SeparateModels):
            return {name: self.models[file] for name, file in source.models.items()}
        return self.weights_content

    def profile(
        self, platform: str, hardware: str | None = None, engine: tuple[str, str] | None = None
    ) -> OperatingPoints | None:
        """
        Return the profile for a platform, None where the bundle has none.

        One that was made with other weights is passed over: its sub-networks may be others.

        :param hardware: of the computer that is to serve, as `platforms.hardware` names it: a
            profile that was measured on other hardware is passed over then; None: any will do
        :param engine: name and precision of the engine that is to serve: a profile that was
            measured with another is passed over then; None: any will do
        """
        profiles = [profile for profile in self._profiles() if profile.platform == platform]
        if engine is not None:
            unknown = ('', '')
            profiles = [p for p in profiles if (p.engine, p.precision) in (engine, unknown)]
            profiles.sort(key=lambda profile: not profile.engine)
        if hardware is not None:
            profiles = [profile for profile in profiles if profile.hardware in (hardware, '')]
            profiles.sort(key=lambda profile: profile.hardware != hardware)
        return profiles[0] if profiles else None

    def accuracies(self, engine: str, precision: str) -> dict[str, float]:
        """Return the accuracies that were measured with an engine in a precision, by id."""
        return {
            name: float(accuracy)
            for profile in self._profiles()
            if (profile.engine, profile.precision) == (engine, precision)
            for name, accuracy in zip(profile.sub_networks, profile.accuracy)
            if 0 <= accuracy <= 1
        }

    def _profiles(self) -> list[OperatingPoints]:
        return [one for one in self.profiles if not is_older_than_weights(one, self.manifest)]

    def weights(self) -> Weights:
        """
        Return the tensors, as float32 and for the caller alone.

        :raises BundleError: as `weight_views`
        """
        views = self.weight_views()
        return Weights(
            _copied(views.network),
            {name: _copied(found) for name, found in views.batch_norm_statistics.items()},
        )

    def weight_views(self) -> Weights:
        """
        Return the tensors where they lie in the file's content: read-only, as they were written.

        :raises BundleError: when the bundle is of separate models, the file is no safetensors
            file, or some sub-networks have batch-norm statistics and others have none
        """
        where = self.folder / self.manifest.super_network.weights
        try:
            tensors = _views(self.weights_content)
        except _NO_TENSORS as error:
            raise BundleError(where, f'is no safetensors file ({error})', _DAMAGED) from error
        network: Tensors = {}
        statistics: dict[str, Tensors] = {
            sub_network.id: {} for sub_network in self.manifest.own_sub_networks
        }
        for name, tensor in tensors.items():
            if name.startswith(NETWORK_PREFIX):
                network[name[len(NETWORK_PREFIX) :]] = tensor
                continue
            identifier, _, rest = name[len(STATISTICS_PREFIX) :].partition('.')
            if not name.startswith(STATISTICS_PREFIX) or identifier not in statistics:
                raise BundleError(
                    where, f'holds a tensor {name!r} that belongs to nothing', _DAMAGED
                )
            statistics[identifier][rest] = tensor
        # A family may have one set of statistics, among its weights, for all sub-networks.
        for identifier, found in statistics.items():
            if not found and any(statistics.values()):
                raise BundleError(
                    where,
                    f'holds no batch-norm statistics for sub-network {identifier!r}',
                    'Recalibrate the sub-network and write the bundle again',
                )
        return Weights(network, statistics)


def _views(content: bytes) -> Tensors:
    """
    Return the tensors of a safetensors file without a copy, by their names.

    The library would copy each: 20 ms in which no other thread has the interpreter, and frames
    would wait for them. The format: https://github.com/huggingface/safetensors#format
    """
    begin = 8 + int.from_bytes(content[:8], 'little')
    header = json.loads(content[8:begin])
    header.pop('__metadata__', None)
    tensors = {}
    total = 0
    for name, entry in header.items():
        shape = [int(side) for side in entry['shape']]
        first, last = entry['data_offsets']
        if entry['dtype'] not in _NUMBERS:
            raise ValueError(f'tensor {name!r} is of {entry["dtype"]}, not {", ".join(_NUMBERS)}')
        numbers = np.dtype(_NUMBERS[entry['dtype']])
        size = math.prod(shape)
        if min(shape, default=0) < 0 or not 0 <= first <= last <= len(content) - begin:
            raise ValueError(f'tensor {name!r} lies outside of it')
        if last - first != size * numbers.itemsize:
            raise ValueError(f'tensor {name!r} has not the size that its shape says')
        total += last - first
        if total > len(content) - begin:
            # Small as the file is, copies of what overlaps would fill the memory.
            raise ValueError(f'tensor {name!r} overlaps another one')
        tensors[name] = np.frombuffer(content, numbers, size, begin + first).reshape(shape)
    return tensors


def _copied(tensors: Tensors) -> Tensors:
    return {name: np.array(tensor, np.float32) for name, tensor in tensors.items()}


def read_bundle(folder: Path) -> Bundle:
    """
    Read a bundle and check every file of it against its SHA-256.

    The weights are read once, checked, and kept as they were checked: a file that is exchanged
    later is not noticed, and does no harm.

    :raises BundleError: when the folder or a file is missing, a link, truncated or altered, or
        when the manifest, a profile or the responses are not what they should be
    """
    bundle, problems = inspect_bundle(folder)
    if bundle is None:
        raise problems[0]
    return bundle


def inspect_bundle(folder: Path) -> tuple[Bundle | None, list[BundleError]]:
    """Read a bundle as `read_bundle` does; return it, or None and everything that is wrong."""
    while True:
        before = _identity(folder)
        bundle, problems = _inspect(folder)
        # A command may have exchanged the whole bundle between the reading of two files.
        if bundle is not None or _identity(folder) == before:
            return bundle, problems


def _identity(folder: Path) -> tuple[int, ...]:
    try:
        found = real_folder(folder).stat()
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns)


def _inspect(folder: Path) -> tuple[Bundle | None, list[BundleError]]:
    if not folder.is_dir():
        return None, [_no_folder(folder)]
    # `colcon build --symlink-install` installs links to the files of a bundle. Where the manifest
    # really lies is the bundle's folder; in there, no file may be a link.
    folder = real_folder(folder)
    try:
        content = _read_file(folder, MANIFEST_NAME)
        manifest = _parse_manifest(content, folder / MANIFEST_NAME)
    except BundleError as error:
        return None, [error]
    problems = []
    contents = {}
    source = manifest.source
    models = source.files if isinstance(source, SeparateModels) else ()
    for name in manifest.files:
        try:
            checked = _read_checked(folder, name, manifest)
        except BundleError as error:
            problems.append(error)
        else:
            # Models may be large; they are read again when an engine needs one.
            contents[name] = b'' if name in models else checked
    profiles = []
    for name in manifest.profiles:
        if name in contents:
            try:
                profiles.append(_parse_profile(contents[name], folder / name, manifest))
            except BundleError as error:
                problems.append(error)
    other = set(manifest.files) - {*source.files, *manifest.profiles}
    responses: Responses = {}
    if RESPONSES_NAME in other & contents.keys():
        try:
            responses = parse_responses(
                contents[RESPONSES_NAME],
                folder / RESPONSES_NAME,
                [entry.id for entry in manifest.sub_networks],
                len(manifest.labels)
                if isinstance(source, SuperNetwork) and manifest.task == CLASSIFICATION
                else None,
            )
        except BundleError as error:
            problems.append(error)
    if problems:
        return None, problems
    try:
        files = ModelFiles(folder, {name: manifest.files[name] for name in models})
    except OSError as error:
        return None, [BundleError(folder, f'cannot be read ({error})', _DAMAGED)]
    bundle = Bundle(
        folder=folder,
        manifest=manifest,
        sha256=hashlib.sha256(content).hexdigest(),
        profiles=tuple(profiles),
        weights_content=(contents[source.weights] if isinstance(source, SuperNetwork) else b''),
        responses=responses,
        other_files={name: contents[name] for name in manifest.files if name in other},
        models=files,
    )
    return bundle, []


def _no_folder(folder: Path) -> BundleError:
    old = folder.with_name(f'.{folder.name}.old')
    if old.is_dir():
        return BundleError(
            folder,
            'is not there: a command that was writing it was killed between its last two steps',
            f'The bundle is whole under the name {old.name!r} beside it: rename it',
        )
    return BundleError(
        folder,
        'is not a folder',
        'Give the name of a bundle that ships with the package, or the path of a bundle',
    )


def _parse_manifest(content: bytes, where: Path) -> Manifest:
    try:
        mapping = json.loads(
            content,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_of_64_bits,
        )
    except (RecursionError, ValueError) as error:
        raise BundleError(where, f'is not JSON ({error})', _DAMAGED) from error
    manifest = Manifest.from_mapping(mapping, where)
    manifest.make_task()
    source = manifest.source
    classes = source.layout.get('classes') if isinstance(source, SuperNetwork) else None
    if classes is not None and classes != len(manifest.labels):
        raise BundleError(
            where,
            f'has {len(manifest.labels)} labels, but its network has {classes} outputs',
            'Export the bundle again with the labels that the network was trained on',
        )
    return manifest


def _refuse_constant(name: str) -> None:
    raise ValueError(f'{name} is no number of JSON')


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f'{digits[:20]} is too large a number')
    return value


def _of_64_bits(digits: str) -> int:
    if len(digits) > 20 or abs(value := int(digits)) >= 2**63:
        raise ValueError(f'{digits[:20]} is too large a number')
    return value


def _parse_profile(content: bytes, where: Path, manifest: Manifest) -> OperatingPoints:
    profile = parse_profile(content, where)
    unknown = set(profile.sub_networks) - {entry.id for entry in manifest.sub_networks}
    if unknown:
        raise BundleError(
            where,
            f'is for sub-networks that the bundle does not have: {", ".join(sorted(unknown))}',
            "Make the profile again with 'dynamic-dnn profile'",
        )
    return profile


def _read_file(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        if path.is_symlink():
            raise BundleError(path, 'is a link', 'Copy the file itself into the bundle')
        if path.exists() and not path.is_file():
            raise BundleError(path, 'is no file', _DAMAGED)  # to read a pipe would never end
        return path.read_bytes()
    except FileNotFoundError as error:
        raise BundleError(path, 'is missing', _DAMAGED) from error
    except OSError as error:
        raise BundleError(path, f'cannot be read ({error.strerror})', _DAMAGED) from error


def _read_checked(folder: Path, name: str, manifest: Manifest) -> bytes:
    content = _read_file(folder, name)
    found = hashlib.sha256(content).hexdigest()
    if found != manifest.files[name]:
        raise BundleError(
            folder / name,
            f'has SHA-256 {found[:12]}…, the manifest says {manifest.files[name][:12]}…: '
            'it is truncated or was altered',
            _DAMAGED,
        )
    return content
