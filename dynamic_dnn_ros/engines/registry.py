# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The engines by name; only the one that is asked for is imported."""

from __future__ import annotations

from collections.abc import Callable
import importlib
import importlib.util
import logging

from dynamic_dnn_ros.bundles.manifest import Manifest, SeparateModels
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import Engine, EngineError, Precision

_LOGGER = logging.getLogger(__name__)

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

ENGINE_NAMES = tuple(_ENGINES)

#: Stands for the fastest one, see `engines.automatic`.
AUTO = 'auto'

#: Stands for the one that suits a bundle: PyTorch for a super-network, which needs no graphs
#: then, ONNX Runtime for separate models.
BY_BUNDLE = ''

#: What a user may ask for.
ENGINE_CHOICES = (AUTO, *ENGINE_NAMES)


def installed_engines() -> tuple[str, ...]:
    """Return the engines whose package is installed; nothing is imported."""
    return tuple(
        name
        for name, (_, _, package) in _ENGINES.items()
        if importlib.util.find_spec(package) is not None
    )


def suitable_engines(manifest: Manifest) -> tuple[str, ...]:
    """Return the engines that run a bundle, installed or not, the one to measure with first."""
    if isinstance(manifest.source, SeparateModels):
        return _OF_SEPARATE_MODELS
    return tuple(_ENGINES)


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
) -> Engine:
    """
    Create an engine for a bundle.

    :param name: of an engine; `engines.automatic.open_engine` takes `AUTO` too
    :param threads: for one inference on the CPU, at least 1
    :param say: told what a user should know once: what is exported
    :raises EngineError: when it is unknown, what it needs is not installed or cannot be loaded,
        or it does not compute in that precision here
    :raises BundleError: when the bundle does not fit
    """
    if name not in _ENGINES:
        raise EngineError(f'engine {name!r} is unknown. Known are: {", ".join(ENGINE_CHOICES)}.')
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
    engine: Engine = getattr(module, class_name)(bundle, threads, precision, say)
    return engine
