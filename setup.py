# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Install the part that needs no ROS with ``pip install .``; all metadata is in setup.cfg."""

from setuptools import setup

setup()
