# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Why no image arrives, as the ROS graph tells it."""

from __future__ import annotations

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible
from rclpy.topic_endpoint_info import TopicEndpointInfo

_RAW, _COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'

#: So many topics are named; a robot has dozens.
_MOST_NAMED = 5


def cause_of_silence(
    node: Node, base: str, topic: str, compressed: bool, profile: QoSProfile
) -> str:
    """
    Say why a camera topic is silent, and what to do.

    :param base: the topic that is to be remapped, as `image`
    :param topic: as it is remapped
    :param compressed: the node listens to `CompressedImage`, not to `Image`
    :param profile: of the node's subscription
    """
    wanted = _COMPRESSED if compressed else _RAW
    publishers = node.get_publishers_info_by_topic(topic)
    if not publishers:
        return _no_publisher(node, base, topic, compressed)
    alike = [publisher for publisher in publishers if publisher.topic_type == wanted]
    if not alike:
        kinds = ', '.join(sorted({publisher.topic_type for publisher in publishers}))
        return (
            f'{_names(publishers)} publishes {topic!r} as {kinds}, this node listens to {wanted}. '
            f'{_other_transport(kinds, base, compressed)}'
        )
    reasons = []
    for publisher in alike:
        compatibility, reason = qos_check_compatible(publisher.qos_profile, profile)
        if compatibility != QoSCompatibility.ERROR:
            return (
                f'{_names([publisher])} publishes {topic!r}, but nothing arrives. Check that it '
                'runs and sends, and that both use the same DDS profile.'
            )
        reasons.append(str(reason).removeprefix('ERROR: ').rstrip('; '))
    return (
        f'{_names(alike)} publishes {topic!r} with a quality of service that this node does not '
        f'accept ({reasons[0]}). Set qos_overrides.{topic}.subscription.* of this node, or '
        'that of the publisher.'
    )


def _no_publisher(node: Node, base: str, topic: str, compressed: bool) -> str:
    wanted, other = (_COMPRESSED, _RAW) if compressed else (_RAW, _COMPRESSED)
    topics: dict[str, list[str]] = {wanted: [], other: []}
    # Pictures that this node itself draws are no camera.
    own = f'{node.get_fully_qualified_name()}/'
    for name, kinds in node.get_topic_names_and_types():
        for kind in kinds:
            if name == topic or name.startswith(own):
                continue
            if kind in topics and node.count_publishers(name):
                topics[kind].append(name)
    said = f'no node publishes {topic!r}. '
    if topics[wanted]:
        example = sorted(topics[wanted])[0].removesuffix('/compressed' if compressed else '')
        launched = f' (of a launch file image:={example})' if base == 'image' else ''
        return (
            f'{said}Images are on: {_listed(topics[wanted])}. Remap it: -r {base}:={example}'
            f'{launched}, or start the camera.'
        )
    if topics[other]:
        transport = 'raw' if compressed else 'compressed'
        return (
            f'{said}Images of another kind are on: {_listed(topics[other])}. For these, set '
            f"parameter 'image_transport' to {transport!r} and remap {base}."
        )
    return f'{said}Start the camera, or remap {base} to its topic.'


def _other_transport(kinds: str, base: str, compressed: bool) -> str:
    if kinds == (_RAW if compressed else _COMPRESSED):
        transport = 'raw' if compressed else 'compressed'
        return f"Set parameter 'image_transport' to {transport!r} and remap {base} accordingly."
    return f'Remap {base} to a topic of images.'


def _names(publishers: list[TopicEndpointInfo]) -> str:
    names = {
        # The middleware hears of a publisher before it hears of its node.
        'an unknown node'
        if publisher.node_name.startswith('_')
        else f'{publisher.node_namespace.rstrip("/")}/{publisher.node_name}'
        for publisher in publishers
    }
    return _listed(list(names))


def _listed(names: list[str]) -> str:
    shown = sorted(names)[:_MOST_NAMED]
    return ', '.join(shown) + (', ...' if len(names) > _MOST_NAMED else '')
