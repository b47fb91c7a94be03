# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
#
# ROS 2 Jazzy on a computer without an NVIDIA GPU: docker build -f deploy/containers/jazzy.Dockerfile -t dynamic_dnn_ros .
# How to run it: docs/compatibility.md. Linted, not built by its authors.
FROM docker.io/library/ros:jazzy-ros-base

SHELL ["/bin/bash", "-o", "pipefail", "-c"]

WORKDIR /opt/dynamic_dnn_ros
COPY package.xml src/dynamic_dnn_ros/

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-colcon-common-extensions python3-venv \
    && rosdep update --rosdistro "$ROS_DISTRO" \
    && rosdep install --from-paths src --ignore-src -y \
    && rm -rf /var/lib/apt/lists/*

# A virtual environment, since Ubuntu's Python takes no packages of pip.
RUN python3 -m venv --system-site-packages venv \
    && venv/bin/pip install --no-cache-dir 'safetensors>=0.4' 'onnxruntime>=1.15'

COPY CMakeLists.txt LICENSE setup.cfg src/dynamic_dnn_ros/
COPY config src/dynamic_dnn_ros/config
COPY deploy src/dynamic_dnn_ros/deploy
COPY dynamic_dnn_ros src/dynamic_dnn_ros/dynamic_dnn_ros
COPY examples src/dynamic_dnn_ros/examples
COPY launch src/dynamic_dnn_ros/launch
COPY models src/dynamic_dnn_ros/models
COPY msg src/dynamic_dnn_ros/msg
COPY srv src/dynamic_dnn_ros/srv
COPY tools/package_metadata.py src/dynamic_dnn_ros/tools/

RUN source "/opt/ros/$ROS_DISTRO/setup.bash" \
    && colcon build --cmake-args -DBUILD_TESTING=OFF "-DPython3_EXECUTABLE=$PWD/venv/bin/python" \
    && rm -rf build log

COPY deploy/containers/entrypoint.sh /opt/dynamic_dnn_ros/
ENTRYPOINT ["/opt/dynamic_dnn_ros/entrypoint.sh"]
CMD ["ros2", "launch", "dynamic_dnn_ros", "dynamic_dnn.launch.py", "mode:=advise"]
