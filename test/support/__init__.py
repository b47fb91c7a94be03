# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Support of the tests: ROS graphs of their own, processes, pictures, bags, bundles, shared data.

Fixtures (in ``conftest.py``, known everywhere):

- ``domain_id``: a ROS domain for this test alone, and the environment that keeps it on this
  machine. Everything below uses it.
- ``graph``: a `support.graph.Graph`, the test's own context, node and executor::

      results = graph.collect(Classification, '/front/inference_node/classification')
      targets = graph.publisher(PerformanceTarget, '/dynamic_dnn/performance_target')
      graph.wait_for_subscriptions(targets)
      targets.publish(...)
      status = statuses.wait_for(lambda message: message.switch_sequence == 3, timeout=10.0)
      graph.spin_until(lambda: len(results) == 5, timeout=10.0)
      with graph.spinning():          # in a thread, while the test publishes at a rate
          ...
      graph.wait_for_state('/inference_node', 'active')
      graph.change_state('/inference_node', 'deactivate')
      graph.set_parameter('/inference_node', 'results', 3)    # -> (took it, reason)

  A node under test that runs in the test's process is made with ``context=graph.context`` and
  handed to ``graph.add_node``. Pass ``LATCHED`` (transient local) or ``BEST_EFFORT`` as quality of
  service where ``RELIABLE`` does not match.
- ``start_node``: starts an installed executable as a process, and ends it with the test::

      node = start_node('platform_node', parameters={'platform': 'xavier_nx_simulated'},
                        namespace='/front', remaps={'image': '/camera/image_raw'})
      graph.wait_for_state(node.full_name, 'active')
      assert node.stop() == 0         # SIGINT; exit code
      node.kill()                     # SIGKILL
      node.resident_memory(), node.loaded_engines(), node.log, node.wait_for_log('pattern')

Modules:

- `support.graph`: `Graph`, `Collector`, the qualities of service.
- `support.images`: numpy arrays to `Image` (any encoding, row padding) and `CompressedImage`.
- `support.process`: `NodeProcess`.
- `support.deployment`: a graph and nodes outside of a test, for benchmarks.
- `support.shared_data`: `shared_data(name)`, `cifar10_test(count)`, `shipped_bundle()`; the first
  and the last skip the test with the reason when the data are absent.
- `support.bundles`: `make_bundle(folder, ...)`: a small bundle with random weights, in a second.
- `support.bag_player`, `support.bag_recorder`: real bags in and out of a running graph.
- `support.offline`: what a sub-network says of a picture, without any node.
"""
