#!/usr/bin/env python3
# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Sets a target and waits until it is met.

docs/targets.md explains it.
"""
