# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork, SuperNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, Tensors, Weights, read_bundle
from dynamic_dnn_ros.bundles.responses import RESPONSES_NAME
from dynamic_dnn_ros.bundles.writer import rewrite_bundle, weights_content, write_bundle
from dynamic_dnn_ros.engines.contract import Outputs, Picture, Precision, PreparedSubNetwork
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.engines.verification import (
    ResponseError,
    VerifyingEngine,
    record,
    response,
    verify,
    write_recorded_bundle,
)
from dynamic_dnn_ros.networks.contract import statistics_of
from dynamic_dnn_ros.networks.registry import network_of
from dynamic_dnn_ros.tasks.classification import Classification
from dynamic_dnn_ros.training.batches import Normalisation
from dynamic_dnn_ros.training.evaluation import accuracy, recalibrate
from dynamic_dnn_ros.training.pictures import Pictures
from support.bundles import PREPROCESSING, make_bundle
from support.training import CLASSES, small_network

NORMALISATION = Normalisation(PREPROCESSING.mean, PREPROCESSING.standard_deviation)
FEW = 0.02
TASK = Classification()


def striped_pictures(count: int, seed: int) -> Pictures:
    """Return pictures whose class is the direction and width of their stripes, in much noise."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    angle = (labels % 5) * np.pi / 5 + generator.normal(0, 0.08, count)
    width = np.where(labels < 5, 5.0, 9.0)
    y, x = np.mgrid[:32, :32]
    along = np.cos(angle)[:, None, None] * x + np.sin(angle)[:, None, None] * y
    phase = generator.uniform(0, 2 * np.pi, (count, 1, 1))
    stripes = np.sin(2 * np.pi * along / width[:, None, None] + phase)[..., None]
    colour = generator.uniform(-40, 40, (count, 1, 1, 3))
    images = 128 + 50 * stripes + colour + generator.normal(0, 70, (count, 32, 32, 3))
    return Pictures(np.clip(images, 0, 255).astype(np.uint8), labels.astype(np.int64), CLASSES)


TEST = striped_pictures(500, 1)


@pytest.fixture(scope='module')
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return the bundle of a network that was really trained, for some seconds."""
    torch.set_num_threads(1)
    network = small_network()
    pictures = striped_pictures(1500, 2)
    largest, smallest = network.largest(), network.smallest()
    middle = network.configuration({**smallest.to_mapping(), 'resolution': largest.resolution})
    chosen = {'s0': smallest, 's1': middle, 's2': largest}
    optimizer = torch.optim.SGD(network.parameters(), 0.05, 0.9, nesterov=True)
    generator = torch.Generator().manual_seed(0)
    network.train()
    for _ in range(80):
        indices = torch.randint(0, len(pictures), (32,), generator=generator).numpy()
        images = torch.from_numpy(pictures.images[indices]).permute(0, 3, 1, 2)
        labels = torch.from_numpy(pictures.labels[indices])
        optimizer.zero_grad()
        for each in (middle, largest):
            network.activate(each)
            nn.functional.cross_entropy(network(NORMALISATION(images)), labels).backward()
        optimizer.step()
    entries, statistics = [], {}
    for name, each in chosen.items():
        module = network.extract(each)
        recalibrate(module, pictures, each.size, NORMALISATION)
        statistics[name] = statistics_of(module)
        entries.append(
            SubNetwork(
                name,
                each.to_mapping(),
                each.size,
                accuracy(module, TEST, each.size, NORMALISATION),
                network.multiply_adds(each),
                network.parameter_count(each),
                network.layer_count(each),
            )
        )
    manifest = Manifest(
        'stripes',
        SuperNetwork(network.family, network.layout_mapping()),
        CLASSES,
        PREPROCESSING,
        tuple(entries),
    )
    folder = tmp_path_factory.mktemp('trained') / 'stripes'
    return write_recorded_bundle(
        folder, manifest, weights_content(Weights(network.state(), statistics))
    )


def module_of(bundle: Bundle, name: str, statistics: Mapping[str, Tensors]) -> nn.Module:
    network = network_of(bundle.manifest)
    network.load_state(bundle.weights().network)
    configuration = network.configuration(bundle.manifest.sub_network(name).configuration)
    network.activate(configuration)
    network.load_batch_norm_statistics(statistics[name])
    return network.extract(configuration).eval()


class Prepared(PreparedSubNetwork):
    """A module as some other engine would run it."""

    def __init__(self, sub_network: SubNetwork, module: nn.Module, dtype: torch.dtype) -> None:
        super().__init__(sub_network, 'cpu')
        self.module, self.dtype = module.to(dtype), dtype

    def run(self, picture: Picture) -> Outputs:
        batch = NORMALISATION(torch.from_numpy(picture).permute(2, 0, 1)[None])
        with torch.inference_mode():
            return {'logits': self.module(batch.to(self.dtype)).float().numpy()}


def altered(bundle: Bundle, amount: float) -> dict[str, Tensors]:
    """Return batch-norm statistics that are wrong by an amount, relative to their deviation."""
    generator = np.random.default_rng(0)
    result = {}
    for name, statistics in bundle.weights().batch_norm_statistics.items():
        result[name] = {}
        for key, value in statistics.items():
            noise = amount * generator.standard_normal(value.shape)
            variance = statistics[key.replace('running_mean', 'running_var')]
            changed = (
                value * np.exp(noise)
                if key.endswith('running_var')
                else value + noise * np.sqrt(variance)
            )
            result[name][key] = changed.astype(np.float32)
    return result


def never_recalibrated(bundle: Bundle) -> dict[str, Tensors]:
    return {
        name: {
            key: np.zeros_like(v) if key.endswith('running_mean') else np.ones_like(v)
            for key, v in statistics.items()
        }
        for name, statistics in bundle.weights().batch_norm_statistics.items()
    }


def test_the_network_has_learnt(bundle: Bundle) -> None:
    assert bundle.manifest.sub_network('s2').accuracy > 0.6
    assert bundle.manifest.sub_network('s1').accuracy > 0.5


def test_what_was_recorded_is_found_again(bundle: Bundle) -> None:
    engine = create_engine('torch', read_bundle(bundle.folder), 1)
    for entry in bundle.manifest.sub_networks:
        assert verify(engine.prepare(entry, 'cpu'), bundle.responses[entry.id], TASK) < 1e-5


def test_a_loss_of_more_than_two_points_is_always_noticed(bundle: Bundle) -> None:
    losses = []
    cases = [altered(bundle, amount) for amount in (0.01, 0.03, 0.1, 0.2, 0.4)]
    cases.append(never_recalibrated(bundle))
    for name in ('s1', 's2'):
        entry = bundle.manifest.sub_network(name)
        for statistics in cases:
            module = module_of(bundle, name, statistics)
            lost = entry.accuracy - accuracy(module, TEST, entry.size, NORMALISATION)
            found = TASK.departure(
                response(Prepared(entry, module, torch.float32)), bundle.responses[name]
            )
            losses.append(lost)
            assert lost <= FEW or found > TASK.departure_limit, (name, lost, found)
        # The last case; far beyond the limit, not just above it.
        assert found > 2 * TASK.departure_limit
    assert sum(lost > FEW for lost in losses) >= 4


def test_coarser_numbers_are_no_loss(bundle: Bundle) -> None:
    statistics = bundle.weights().batch_norm_statistics
    for entry in bundle.manifest.sub_networks:
        module = module_of(bundle, entry.id, statistics)
        assert (
            verify(Prepared(entry, module, torch.bfloat16), bundle.responses[entry.id], TASK) > 0
        )
    half = weights_content(bundle.weights(), np.float16)
    engine = create_engine('torch', replace(bundle, weights_content=half), 1)
    for entry in bundle.manifest.sub_networks:
        assert verify(engine.prepare(entry, 'cpu'), bundle.responses[entry.id], TASK) > 0


def test_engine_gives_out_no_other_sub_network(bundle: Bundle, tmp_path: Path) -> None:
    weights = bundle.weights()
    statistics = dict(weights.batch_norm_statistics)
    statistics['s1'] = never_recalibrated(bundle)['s1']
    damaged = write_bundle(
        tmp_path / 'damaged',
        bundle.manifest,
        weights_content(Weights(weights.network, statistics)),
        other_files=bundle.other_files,
    )
    refused = []
    engine = VerifyingEngine(
        create_engine('torch', damaged, 1),
        damaged.responses,
        TASK,
        lambda sub_network, error: refused.append((sub_network.id, str(error))),
    )
    good, bad, best = damaged.manifest.sub_networks
    assert engine.name == 'torch' and 'cpu' in engine.processors
    assert engine.precision is Precision.FLOAT32
    assert engine.memory_needed(good) == engine._engine.memory_needed(good) > 0
    assert engine.prepare(good, 'cpu').sub_network == good
    with pytest.raises(ResponseError, match=r"'s1' answers otherwise .* 'dynamic-dnn bundle"):
        engine.prepare(bad, 'cpu')
    assert [name for name, _ in refused] == ['s1']
    assert engine.prepare(best, 'cpu').sub_network == best
    # Without a recorded response there is nothing to compare.
    assert VerifyingEngine(engine._engine, {}, TASK).prepare(bad, 'cpu').sub_network == bad


def test_answer_that_is_not_finite_is_refused(bundle: Bundle) -> None:
    entry = bundle.manifest.sub_network('s0')
    module = module_of(bundle, 's0', bundle.weights().batch_norm_statistics)
    next(module.parameters()).data.fill_(float('nan'))
    with pytest.raises(ResponseError, match='departs by inf'):
        verify(Prepared(entry, module, torch.float32), bundle.responses['s0'], TASK)


def test_records_in_a_bundle_that_has_none(tmp_path: Path) -> None:
    plain = make_bundle(tmp_path / 'plain')
    assert plain.responses == {}
    recorded = record(plain)
    assert set(recorded.responses) == {'s0', 's1', 's2'}
    assert recorded.manifest.sub_networks == plain.manifest.sub_networks
    content = (plain.folder / RESPONSES_NAME).read_bytes()
    assert recorded.manifest.files[RESPONSES_NAME] == hashlib.sha256(content).hexdigest()
    # It stays with every later writing of other things.
    assert rewrite_bundle(recorded, profiles=()).responses.keys() == recorded.responses.keys()
    with pytest.raises(BundleError, match='changed by another command'):
        record(plain)


def test_does_not_write_what_cannot_run(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match='no safetensors file'):
        write_recorded_bundle(tmp_path / 'broken', bundle.manifest, b'broken')
    assert not (tmp_path / 'broken').exists()
