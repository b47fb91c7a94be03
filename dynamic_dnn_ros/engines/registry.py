# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The engines by name, those of other packages too (entry points `dynamic_dnn_ros.engines`).

Only the one that is asked for is imported.
"""

from __future__ import annotations

from collections.abc import Callable
import importlib
from importlib.metadata import PackageNotFoundError, packages_distributions, version
import importlib.util
import logging

from dynamic_dnn_ros.bundles.manifest import Manifest, SeparateModels
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.cascade import CascadeEngine, without_cascades
from dynamic_dnn_ros.engines.contract import Engine, EngineError, Precision
from dynamic_dnn_ros.extensions import ExtensionError, Extensions

_LOGGER = logging.getLogger(__name__)

#: The group of entry points in which another package offers an engine: name = module:callable
#: of what `create_engine` takes beside a name, in that order.
ENTRY_POINTS = 'dynamic_dnn_ros.engines'

#: Name: module, class, the package that it needs.
_ENGINES = {
    'torch': ('dynamic_dnn_ros.engines.torch_engine', 'TorchEngine', 'torch'),
    'onnxruntime': (
        'dynamic_dnn_ros.engines.onnxruntime_engine',
        'OnnxRuntimeEngine',
        'onnxruntime',
    ),
    'openvino': ('dynamic_dnn_ros.engines.openvino_engine', 'OpenVinoEngine', 'openvino'),
}

#: Those that run separate models, as ONNX files.
_OF_SEPARATE_MODELS = ('onnxruntime', 'openvino')

#: The engines of this package.
ENGINE_NAMES = tuple(_ENGINES)

#: Stands for the fastest one, see `engines.automatic`.
AUTO = 'auto'

#: Stands for the one that suits a bundle: PyTorch for a super-network, which needs no graphs
#: then, ONNX Runtime for separate models.
BY_BUNDLE = ''

_OTHERS = Extensions(ENTRY_POINTS, 'engine', (AUTO, *ENGINE_NAMES))


def engine_choices() -> tuple[str, ...]:
    """Return what a user may ask for: the fastest one, or one by name; nothing is imported."""
    return (AUTO, *ENGINE_NAMES, *_OTHERS.names())


def installed_engines() -> tuple[str, ...]:
    """Return the engines whose package is installed, ours first; nothing is imported."""
    own = (
        name
        for name, (_, _, package) in _ENGINES.items()
        if importlib.util.find_spec(package) is not None
    )
    return (*own, *_OTHERS.names())


def engine_version(name: str) -> str:
    """Return the version of the package that runs an engine, empty where it is not known."""
    if name not in _ENGINES:
        return _OTHERS.version(name)
    return _package_version(_ENGINES[name][2])


def _package_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        # Under another name: that of onnxruntime with CUDA is onnxruntime-gpu.
        names = sorted(set(packages_distributions().get(package, ())))
        return ', '.join(f'{name} {version(name)}' for name in names)


def suitable_engines(manifest: Manifest) -> tuple[str, ...]:
    """
    Return the engines that run a bundle, installed or not, the one to measure with first.

    Those of other packages come last; they say themselves what they do not run.
    """
    own = _OF_SEPARATE_MODELS if isinstance(manifest.source, SeparateModels) else ENGINE_NAMES
    return (*own, *_OTHERS.names())


def default_engine(manifest: Manifest) -> str:
    """Return the engine that a bundle is run with where nobody names one."""
    suitable = suitable_engines(manifest)
    installed = installed_engines()
    return next((name for name in suitable if name in installed), suitable[0])


def create_engine(
    name: str,
    bundle: Bundle,
    threads: int,
    precision: Precision = Precision.FLOAT32,
    say: Callable[[str], None] = _LOGGER.warning,
    largest_batch: int = 1,
) -> Engine:
    """
    Create an engine for a bundle.

    :param name: of an engine; `engines.automatic.open_engine` takes `AUTO` too
    :param threads: for one inference on the CPU, at least 1
    :param say: told what a user should know once: what is exported
    :param largest_batch: pictures that what it prepares is to take together, where it can
    :raises EngineError: when it is unknown, what it needs is not installed or cannot be loaded,
        or it does not compute in that precision here
    :raises BundleError: when the bundle does not fit
    """
    if name not in _ENGINES:
        make = _of_another_package(name)
        return _with_cascades(make, bundle, threads, precision, say, largest_batch)
    suitable = suitable_engines(bundle.manifest)
    if name not in suitable:
        raise EngineError(
            f'engine {name!r} runs super-networks of this package, and bundle '
            f'{bundle.manifest.name!r} holds separate models. Name one of: '
            f'{", ".join((AUTO, *suitable))}.'
        )
    module_name, class_name, needs = _ENGINES[name]
    try:
        module = importlib.import_module(module_name)
    except (ImportError, OSError) as error:  # an OSError: a library below it cannot be loaded
        absent = (error.name or '') if isinstance(error, ImportError) else ''
        if absent.partition('.')[0] == __name__.partition('.')[0]:
            raise
        if isinstance(error, ModuleNotFoundError):
            raise EngineError(
                f'engine {name!r} needs the Python package {absent!r}, which is not installed. '
                f'Install {needs!r}, or name another engine.'
            ) from error
        raise EngineError(
            f'engine {name!r} cannot be loaded: {error}. Install {needs!r} again, in a release '
            'for this computer, or name another engine.'
        ) from error
    make = getattr(module, class_name)
    return _with_cascades(make, bundle, threads, precision, say, largest_batch)


def _with_cascades(
    make: Callable[..., Engine],
    bundle: Bundle,
    threads: int,
    precision: Precision,
    say: Callable[[str], None],
    largest_batch: int,
) -> Engine:
    """Create an engine; where the bundle has cascades, one that runs these too."""
    has_cascades = any(entry.is_cascade for entry in bundle.manifest.sub_networks)
    engine = make(without_cascades(bundle) if has_cascades else bundle, threads, precision, say)
    engine = CascadeEngine(engine, bundle.manifest) if has_cascades else engine
    engine.largest_batch = largest_batch
    return engine


def _of_another_package(name: str) -> Callable[..., Engine]:
    try:
        make: Callable[..., Engine] | None = _OTHERS.find(name)
    except ExtensionError as error:
        raise EngineError(str(error)) from error
    if make is None:
        raise EngineError(
            f'engine {name!r} is unknown. Known are: {", ".join(engine_choices())}. Other '
            f'packages offer engines by the entry points {ENTRY_POINTS!r}.'
        )
    return make
