# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What a stage costs beside its own work: the call, the decision and what lies between.

`python benchmarks/stage_overhead.py BUNDLE ENGINE` serves one picture through the two smallest
sub-networks of one size as a cascade that decides after the first and never leaves there, in
turns with the same two alone, and prints the difference for each stage, in ms, as JSON.
"""

from dataclasses import replace
import json
from pathlib import Path
import sys
import time

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.responses import probe_picture
from dynamic_dnn_ros.bundles.stages import Stage
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.serving.path import follow

ROUNDS = 2000


def cascading(bundle: Bundle) -> tuple[Bundle, SubNetwork]:
    """Return a bundle with a cascade besides, and the cascade."""
    ordered = sorted(bundle.manifest.own_sub_networks, key=lambda entry: entry.multiply_adds)
    for first in ordered:
        others = [each for each in ordered if each.size == first.size and each is not first]
        if others:
            break
    names = (first.id, others[0].id)
    # No confidence reaches this threshold; a manifest refuses it, and this one is not written.
    stages = (Stage(names[0], names[0], 2.0, 0.5, 0.0), Stage(names[1], names[1], None, 1.0, 1.0))
    entry = replace(first, id='cascade', configuration={}, stages=stages)
    entries = (*bundle.manifest.sub_networks, entry)
    return replace(bundle, manifest=replace(bundle.manifest, sub_networks=entries)), entry


def main() -> None:
    """Measure and print."""
    bundle, entry = cascading(read_bundle(Path(sys.argv[1])))
    engine = create_engine(sys.argv[2], bundle, 1)
    processor = engine.processors[0]
    task = bundle.manifest.make_task()
    parts = [
        engine.prepare(bundle.manifest.sub_network(stage.sub_network), processor)
        for stage in entry.stages
    ]
    cascade = engine.prepare(entry, processor)
    picture = probe_picture(0, entry.size)
    alone, together = [], []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for part in parts:
            part.run(picture)
        alone.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        path = follow(cascade, picture, task)
        together.append(time.perf_counter() - begun)
        assert path.work == 1.0
    # The shortest of many: whatever else runs on a computer only adds to a run.
    alone_s, together_s = min(alone), min(together)
    print(
        json.dumps(
            {
                'sub_networks': [stage.sub_network for stage in entry.stages],
                'engine': engine.name,
                'alone_ms': alone_s * 1e3,
                'cascade_ms': together_s * 1e3,
                'overhead_of_a_stage_ms': (together_s - alone_s) / len(parts) * 1e3,
            }
        )
    )


if __name__ == '__main__':
    main()
