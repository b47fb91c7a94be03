# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, Weights
from dynamic_dnn_ros.bundles.writer import weights_content
from dynamic_dnn_ros.engines import torch_engine
from dynamic_dnn_ros.engines.contract import EngineError, OutOfMemoryError, Precision
from dynamic_dnn_ros.engines.torch_engine import TorchEngine
from dynamic_dnn_ros.networks.registry import create, network_of
from dynamic_dnn_ros.pictures.placement import Size
from support.bundles import make_bundle
from support.engines import logits


def with_first(bundle: Bundle, **changes: Any) -> Bundle:
    first, *others = bundle.manifest.sub_networks
    sub_networks = (replace(first, **changes), *others)
    return replace(bundle, manifest=replace(bundle.manifest, sub_networks=sub_networks))


def with_source(bundle: Bundle, **changes: Any) -> Bundle:
    source = replace(bundle.manifest.super_network, **changes)
    return replace(bundle, manifest=replace(bundle.manifest, source=source))


def with_configuration(bundle: Bundle, **changes: Any) -> Bundle:
    first: SubNetwork = bundle.manifest.sub_networks[0]
    return with_first(bundle, configuration={**first.configuration, **changes})


def test_all_sub_networks_share_one_copy_of_the_weights(bundle: Bundle) -> None:
    engine = TorchEngine(bundle, 1)
    for entry in bundle.manifest.sub_networks:
        (module,), shared = engine._extracted(entry, 'cpu')
        owners = [p.untyped_storage().data_ptr() in shared for p in module.parameters()]
        # Kernels made by a learned transform are the only weights that cannot be views.
        assert sum(owners) >= 0.7 * len(owners)


def test_memory_is_that_of_what_is_not_shared(bundle: Bundle) -> None:
    entry = bundle.manifest.sub_networks[-1]
    engine = TorchEngine(bundle, 1)
    # Statistics and transformed kernels; the rest are views.
    own = engine.prepare(entry, 'cpu').memory - engine.memory_needed(entry)
    assert 0 < own < 0.5 * 4 * entry.parameters


PREPARED_AND_CLOSED = """
import sys
from pathlib import Path
import subprocess
import sys
import psutil
from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.engines.torch_engine import TorchEngine

bundle = read_bundle(Path(sys.argv[1]))
engine = TorchEngine(bundle, 1)

def memory_after(times):
    for _ in range(times):
        engine.prepare(bundle.manifest.sub_networks[0], 'cpu').close()
    return psutil.Process().memory_info().rss

before = memory_after(10)
print((memory_after(30) - before) / 30)
"""


def test_one_that_is_closed_leaves_nothing_behind(bundle: Bundle) -> None:
    answer = subprocess.run(
        [sys.executable, '-c', PREPARED_AND_CLOSED, str(bundle.folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    # bytes each; 4 MB with the classes of `torch.jit.trace`
    assert float(answer.stdout) < 200e3


def test_a_device_without_memory_costs_that_sub_network(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = TorchEngine(bundle, 1)
    first, second, _ = bundle.manifest.sub_networks
    served = engine.prepare(first, 'cpu')

    def full(*_: object) -> None:
        raise torch.cuda.OutOfMemoryError('out of memory')

    with monkeypatch.context() as patch:
        patch.setattr(torch_engine, '_traced', full)
        with pytest.raises(OutOfMemoryError, match=r"prepare.*'s1' on 'cpu': out of memory"):
            engine.prepare(second, 'cpu')
    assert logits(served, np.zeros((*first.size, 3), np.uint8)).any()
    assert engine.prepare(second, 'cpu').sub_network == second


def test_frames_are_served_while_another_is_prepared_in_bfloat16(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_engine, '_has_bfloat16', lambda: True)
    engine = TorchEngine(bundle, 1, Precision.BFLOAT16)
    first, second, third = bundle.manifest.sub_networks
    serving = engine.prepare(first, 'cpu')
    picture = np.zeros((*first.size, 3), np.uint8)
    expected = logits(serving, picture)
    errors: list[BaseException] = []

    def prepare() -> None:
        try:
            for entry in (second, third) * 2:
                engine.prepare(entry, 'cpu')
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=prepare)
    thread.start()
    while thread.is_alive():
        np.testing.assert_array_equal(logits(serving, picture), expected)
    thread.join()
    assert errors == []


def test_a_graph_with_a_tensor_in_it_runs_as_the_module() -> None:
    class Shifted(nn.Module):
        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            return picture.float() + torch.tensor([1.0, 2.0, 3.0])

    module = Shifted()
    picture = torch.full((4, 4, 3), 7, dtype=torch.uint8)
    forward = torch_engine._traced(module, torch.zeros_like(picture))
    assert torch.equal(forward(picture), module(picture))


def test_batch_norm_is_in_the_convolutions_of_a_folded_network(bundle: Bundle) -> None:
    network = network_of(bundle.manifest)
    static = network.extract(network.largest()).eval()
    for module in static.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.bias)
    folded = torch_engine.folded(static)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    pictures = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(folded(pictures), static(pictures), rtol=1e-3, atol=1e-3)


def test_bfloat16_where_the_processor_has_none(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_engine, '_has_bfloat16', lambda: False)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(EngineError, match='does not compute in bfloat16 here'):
        TorchEngine(bundle, 1, Precision.BFLOAT16)


def test_runs_with_the_threads_it_was_given(bundle: Bundle) -> None:
    TorchEngine(bundle, 1)
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(
    ('changes', 'named'),
    [
        ({'depth': [9, 9]}, 'depth'),
        ({'kernel_size': [4]}, 'kernel_size'),
        ({'colour': 'red'}, 'colour'),
    ],
)
def test_illegal_configuration_is_named(
    bundle: Bundle, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(BundleError, match=rf"'s0' has an illegal configuration.*{named}"):
        TorchEngine(with_configuration(bundle, **changes), 1)


def test_size_of_manifest_and_configuration_agree(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match='says size 40x32'):
        TorchEngine(with_first(bundle, size=Size(32, 40)), 1)


def test_unknown_family_and_weights_of_another_layout(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match='family'):
        TorchEngine(with_source(bundle, family='resnet'), 1)
    layout = {**bundle.manifest.super_network.layout, 'stem_width': 16}
    with pytest.raises(BundleError, match='do not fit the network'):
        TorchEngine(with_source(bundle, layout=layout), 1)


def test_serves_a_family_whose_sub_networks_share_their_statistics(tmp_path: Path) -> None:
    network = create('incremental_group', 'incremental_group_32x32').eval()
    bundle = make_bundle(tmp_path / 'groups', network=network)
    engine = TorchEngine(bundle, 1)
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    outputs = [
        logits(engine.prepare(each, 'cpu'), picture) for each in bundle.manifest.sub_networks
    ]
    assert len({output.tobytes() for output in outputs}) == 4
    # Whatever was prepared since, and without the groups that a sub-network does not have.
    again = logits(engine.prepare(bundle.manifest.sub_networks[1], 'cpu'), picture)
    assert np.array_equal(again, outputs[1])


def test_statistics_that_all_sub_networks_lack_are_missed(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / 'synthetic')
    content = weights_content(Weights(bundle.weights().network, {}))
    engine = TorchEngine(replace(bundle, weights_content=content), 1)
    with pytest.raises(BundleError, match=r"'s0'.*batch-norm statistics.*missing"):
        engine.prepare(bundle.manifest.sub_networks[0], 'cpu')
