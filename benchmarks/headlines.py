# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The figures of each suite that the page shows; the others stand in the results alone."""

from __future__ import annotations

MOST = 5
"""Rows a suite."""

HEADLINES: dict[str, tuple[str, ...]] = {
    'accuracy': (
        's0: difference',
        's11: difference',
        's11: frames replaced',
        's11: preprocessing of the node off from all pixels',
        's11: JPEG decoded at a reduced scale loses against JPEG, all pixels',
    ),
    'adaptive': (
        'cascade s0 > s11, promised 0.7 points: throughput against s11 alone',
        'exits s0 > last, promised 1 points: throughput against s11 alone',
        'gate gate_1, promised 1 points: throughput against s11 alone',
        'blocks that decide by the picture: time by the picture against undivided',
        'joint search, orin_nx_simulated: energy saved against (a)',
    ),
    'cameras': (
        'frames late or lost, 8 streams at load 1: first_come / ours',
        'frames late or lost, 8 streams at load 1: a process a camera / ours',
        'mean response, 8 streams at load 0.7: batch and wait / ours',
        'critical stream among 7 others: response, 99 % / alone',
        'memory of 8 streams / of one',
    ),
    'counters': (
        'ofa_mbv3_d234_e346_k357_w1.0: multiply-adds equal',
        'ofa_mbv3_d234_e346_k357_w1.2: multiply-adds equal',
        'ofa_mbv3_32x32: multiply-adds equal',
        'incremental_group_32x32: multiply-adds equal',
        'incremental_group_32x32, independent: multiply-adds equal',
    ),
    'deciders': (
        'another decider needs less energy than ours and meets the targets, most',
        'e4: energy over ours where both meet the targets, median',
        'coral: energy over ours where both meet the targets, median',
        'alert: scenarios whose targets are missed',
        'ztt: energy over ours where both meet the targets, median',
    ),
    'decision': (
        'decision, each with a new target, 1 applications, p99',
        'decision, each with a new target, 2 applications, p99',
        'decision, each with a new target, 8 applications, p99',
        'preparation of tables, 8 applications',
        'manager_node with 2 applications: resident memory',
    ),
    'detection': (
        'speed: ours against yolo_ros, median',
        'exchange of two imported detectors, 99 %',
        '30 Hz, 640x480, a switch each 0.2 s among three imported detectors: frames lost',
        'close the model, load the next: frames lost',
        'from an ONNX file to the first boxes on a topic: two commands',
    ),
    'engines': (
        'onnxruntime float32: speed against the peer',
        'openvino float32: speed against the peer',
        'openvino bfloat16: speed against the peer',
        'what auto chose',
        'onnxruntime: all levels against six separate static models',
    ),
    'footprint': (
        'platform_node: resident memory',
        'manager_node: resident memory',
        'inference_node with all sub-networks ready, onnxruntime: resident memory',
        'manager_node: memory against a bare rclpy node',
        'inference_node: start to active',
    ),
    'governors': (
        'nvhost_podgov: frequency in time steps of the reference',
        'simple_ondemand: frequency in time steps of the reference',
        'schedutil: frequency in time steps of the reference',
        'nvhost_podgov, saturated for 0.05 s',
        'schedutil, 20 ms: frequency',
    ),
    'import_ofa': (
        'configurations compared',
        'ofa_mbv3_d234_e346_k357_w1.0: largest difference of a logit',
        'ofa_mbv3_d234_e346_k357_w1.2: largest difference of a logit',
        "ofa_mbv3_d234_e346_k357_w1.2: extract one configuration, the authors' code against ours",
    ),
    'manager': (
        "share of the oracle's saving, module rail",
        'one model: energy saved, module rail',
        'two models against two static largest: energy saved, module rail',
        'after a new target: first frame that meets the target',
        'simulator, two applications at 30 Hz: real time over',
    ),
    'memory_clock': (
        'dynamic_dnn: frames late, worst case',
        'memory_blind: frames late, worst case',
        'open_loop: frames late, worst case',
        'alert: frames late, worst case',
        'dynamic_dnn: module energy / oracle',
    ),
    'no_profile': (
        'saving after ten minutes over that with a profile',
        'late frames above the quantile in the first minute, most',
        'coral: saving after ten minutes over that of the profiled manager',
        'coral: late frames above the quantile in the first minute, most',
        'random_search: saving after ten minutes over that of the profiled manager',
    ),
    'placement': (
        'alone: module energy / oracle, worst',
        'alone: module, saved against all on the GPU, mean',
        'alone: module, saved against all on the DLAs, mean',
        'beside a program that polls: module energy / oracle, worst',
        'beside a program that polls: module, saved against all on the GPU, mean',
    ),
    'recalibration': (
        's0: lost without statistics of its own',
        's6: lost without statistics of its own',
        's11: lost without statistics of its own',
        's0: recalibrated on 500 pictures',
        's0: statistics in the bundle',
    ),
    'scene': (
        '6 Hz, dynamic_dnn: late from the third frame after a change on, worst change',
        '12 Hz, dynamic_dnn: late from the third frame after a change on, worst change',
        '6 Hz: energy, dynamic_dnn over path_blind',
        '12 Hz: energy, dynamic_dnn over path_blind',
        '12 Hz: energy, dynamic_dnn over oracle',
    ),
    'schedulers': (
        'dysta: fewer late than the best other published one',
        'ANTT of the best other published one over that of dysta',
        'apparent_tardiness, priorities equal: fewer late than dysta',
        'apparent_tardiness, priorities equal: ANTT over that of dysta',
        'apparent_tardiness, priorities equal: cells with more late',
    ),
    'simulator': (
        'Orin NX, where fitted: throughput, mean error',
        'Orin NX, where fitted: VDD_IN, mean error',
        'Xavier NX, each power mode left out: VDD_IN, mean error',
        'AGX Orin, CPU and GPU clock: 9 rows of each network, latency, mean error',
        'TX2, all rows: 12 rows of each network, latency, mean error',
    ),
    'slow_links': (
        'two at 8 Mbit/s, adaptive: faster than whole gradients',
        'two at 100 Mbit/s, adaptive: faster than whole gradients',
        'two at 1 Gbit/s, adaptive: faster than whole gradients',
        'two at 8 Mbit/s, adaptive: faster to the same loss',
        'short recipe, adaptive: accuracy lost, mean',
    ),
    'startup': (
        'onnxruntime: start of the process to the first result',
        'openvino: start of the process to the first result',
        'torch: start of the process to the first result',
        'onnxruntime: engine with its library',
        'onnxruntime: first sub-network, prepared and asked',
    ),
    'stream': (
        'raw 640x480: frames lost in transport',
        'raw 640x480: total latency minus inference against the bare subscriber',
        'raw 1920x1080: total latency minus inference against the bare subscriber',
        'JPEG 1920x1080: total latency minus inference against the bare subscriber',
        'raw 640x480: highest rate served',
    ),
    'super_network': (
        'cifar10_ofa: s0, accuracy',
        'cifar10_ofa: s11, accuracy',
        'cifar10_ofa: latency of the slowest against the fastest',
        'cifar10_ofa: s0 in the super-network above the same trained alone',
        'the bundles together',
    ),
    'switching': (
        "switch of the authors' code",
        'onnxruntime: exchange of two that are ready, 99 %',
        'onnxruntime, a switch each 0.05 s to one that is ready: largest gap against none',
        'node, a switch each 0.05 s to one that is ready: largest gap against none',
        'node, a switch each 0.05 s to one that is ready: frames lost',
    ),
}
"""The beginnings of the names of a suite's most telling figures, in the order of the page."""
