# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the inference node says of itself on `/diagnostics`."""

from __future__ import annotations

from dynamic_dnn_ros.nodes.common.diagnostics import Diagnostic, Level
from dynamic_dnn_ros.nodes.inference.camera_input import CameraInput
from dynamic_dnn_ros.nodes.inference.served_bundle import ServedBundle
from dynamic_dnn_ros.serving.frames import WorkerState
from dynamic_dnn_ros.serving.stream import FrameStream


def diagnose_camera(
    camera: CameraInput, worker: FrameStream, rejected: int, reason: str
) -> Diagnostic:
    """Say whether images arrive; `rejected` of them one after the other lately, and why."""
    values = {
        'topic': camera.topic,
        'received': camera.received,
        'served': worker.served,
        'replaced': worker.mailbox.replaced,
        'rejected': worker.rejected + camera.rejected,
        'dropped as too late': worker.dropped,
        'stamps that jumped back': camera.stamps_back,
    }
    silence = camera.silence
    if not camera.subscribed:
        return Diagnostic('camera', Level.OK, 'not subscribed: nobody wants results', values)
    if silence:
        return Diagnostic(
            'camera',
            Level.WARNING,
            f'no image for {silence:.0f} s: {camera.silence_cause()}',
            values,
        )
    if rejected:
        return Diagnostic(
            'camera',
            Level.WARNING,
            f'{rejected} frames were rejected lately, the last one because: {reason}',
            values,
        )
    return Diagnostic('camera', Level.OK, 'images arrive', values)


def diagnose_worker(
    worker: FrameStream, served: ServedBundle, platform: str, overruns: int
) -> Diagnostic:
    """Say what the worker does; `overruns` of frames on a simulated platform."""
    state, since = worker.state()
    values = {
        'sub_network': served.serving,
        'processor': served.processor,
        'platform': platform or 'none',
        'state': state.name.lower(),
        'overruns of the simulated board': overruns,
        'exits passed without a confidence': worker.undecided,
        'parked for another camera': worker.parked,
        'late while parked': worker.overdue,
    }
    if state is WorkerState.STUCK:
        return Diagnostic(
            'worker',
            Level.ERROR,
            f'one frame has been in work for {since:.1f} s. If the processor hangs, '
            'restart this node.',
            values,
        )
    return Diagnostic('worker', Level.OK, f'serves {values["sub_network"]}', values)


def diagnose_sub_networks(served: ServedBundle) -> Diagnostic:
    """Say which sub-networks are ready, which are not served or failed, and why."""
    exchange = served.exchange
    refused, failures = dict(served.refused), served.failures
    values = {
        'in the bundle': len(served.bundle.manifest.sub_networks),
        'ready': ', '.join(prepared.sub_network.id for prepared in exchange.ready),
        'memory of those': exchange.memory,
        'memory budget': 'none' if exchange.budget is None else exchange.budget,
        **failures,
        **refused,
    }
    if refused:
        return Diagnostic(
            'sub-networks',
            Level.ERROR,
            f'not served: {", ".join(sorted(refused))}. {next(iter(refused.values()))}',
            values,
        )
    if failures:
        return Diagnostic(
            'sub-networks',
            Level.WARNING,
            f'not ready: {", ".join(sorted(failures))}. {next(iter(failures.values()))} '
            'The others are served; a switch to it tries again.',
            values,
        )
    if not served.bundle.responses:
        return Diagnostic('sub-networks', Level.OK, 'no responses recorded', values)
    return Diagnostic('sub-networks', Level.OK, 'answer as recorded', values)
