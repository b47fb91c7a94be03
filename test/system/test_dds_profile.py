# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The shipped DDS profile is valid, and gives a participant the segment that images need."""

import os
from pathlib import Path
import subprocess
import sys
from xml.etree import ElementTree

from ament_index_python.packages import get_package_share_directory
import pytest

SEGMENT_SIZE = 32 * 1024 * 1024
SCRIPT = """
import os, rclpy
# What others have left there may be mapped too.
others = set(os.listdir('/dev/shm'))
rclpy.init()
node = rclpy.create_node('participant')
with open('/proc/self/maps') as file:
    paths = {line.split()[5] for line in file if '/dev/shm/fast' in line}
    paths = {path for path in paths if os.path.basename(path) not in others}
print(max((os.stat(path).st_size for path in paths), default=0))
node.destroy_node()
rclpy.shutdown()
"""


def largest_segment(profile: Path | None, folder: Path) -> tuple[int, str]:
    """Return the size of a participant's largest segment in bytes, and what it complained of."""
    environment = dict(os.environ)
    for name in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'):
        environment.pop(name, None)
        if profile:
            environment[name] = str(profile)
    answer = subprocess.run(
        [sys.executable, '-c', SCRIPT],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    *complaints, size = answer.stdout.splitlines()
    return int(size), '\n'.join(complaints) + answer.stderr


@pytest.fixture(autouse=True)
def fast_dds():
    if os.environ.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp') != 'rmw_fastrtps_cpp':
        pytest.skip('the profile is one of Fast DDS, and another middleware is chosen')


def test_profile_for_another_user_has_no_shared_memory(domain_id, tmp_path):
    """Where discovery is limited to this computer, as in tests, rmw_fastrtps adds a small one."""
    path = Path(get_package_share_directory('dynamic_dnn_ros')) / 'config' / 'dds' / 'udp.xml'
    kinds = [element.text for element in ElementTree.parse(path).findall('.//{*}type')]
    assert kinds == ['UDPv4']
    size, complaints = largest_segment(path, tmp_path)
    assert complaints == ''
    assert size < SEGMENT_SIZE


@pytest.mark.parametrize('name', ['shared_memory.xml', 'network.xml'])
def test_profile_gives_the_segment(domain_id, tmp_path, name):
    share = Path(get_package_share_directory('dynamic_dnn_ros'))
    size, complaints = largest_segment(share / 'config' / 'dds' / name, tmp_path)
    assert complaints == ''
    assert size >= SEGMENT_SIZE


def test_without_it_the_segment_is_too_small(domain_id, tmp_path):
    size, _ = largest_segment(None, tmp_path)
    assert size < 640 * 480 * 3


def test_a_broken_profile_would_be_noticed(domain_id, tmp_path):
    broken = tmp_path / 'broken.xml'
    share = Path(get_package_share_directory('dynamic_dnn_ros'))
    text = (share / 'config' / 'dds' / 'shared_memory.xml').read_text()
    broken.write_text(text.replace('segment_size', 'segment_length'))
    _, complaints = largest_segment(broken, tmp_path)
    assert 'segment_length' in complaints
