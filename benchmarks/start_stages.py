# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What an inference node does from the start of its process to its first result, stage by stage.

`python benchmarks/start_stages.py BUNDLE ENGINE` does the same in the same order, without a
camera, and prints the seconds of each stage as JSON.
"""

import json
import sys
import time

FIRST = time.time()


def main() -> None:
    """Go through the stages."""
    stages = {}
    last = time.perf_counter()

    def done(stage: str) -> None:
        nonlocal last
        now = time.perf_counter()
        stages[stage] = now - last
        last = now

    bundle_path, engine_name = sys.argv[1:]
    import numpy as np
    import psutil

    stages['interpreter'] = FIRST - psutil.Process().create_time()
    done('import of numpy')
    import rclpy
    from sensor_msgs.msg import Image  # noqa: F401

    done('import of rclpy')
    from dynamic_dnn_ros.nodes.inference.node import InferenceNode

    done('import of the node')
    rclpy.init()
    node = InferenceNode()
    done('rclpy node')
    from pathlib import Path

    from dynamic_dnn_ros.bundles.reader import read_bundle
    from dynamic_dnn_ros.engines.registry import create_engine
    from dynamic_dnn_ros.engines.verification import VerifyingEngine

    bundle = read_bundle(Path(bundle_path))
    done('bundle')
    engine = create_engine(engine_name, bundle, 1)
    done('engine with its library')
    entry = max(bundle.manifest.sub_networks, key=lambda sub_network: sub_network.accuracy)
    verifying = VerifyingEngine(engine, bundle.responses, bundle.manifest.make_task())
    prepared = verifying.prepare(entry, engine.processors[0])
    done('first sub-network, prepared and asked')
    prepared.run(np.zeros((*entry.size, 3), np.uint8))
    done('first picture')
    print(json.dumps(stages))
    node.destroy_node()
    rclpy.try_shutdown()


if __name__ == '__main__':
    main()
