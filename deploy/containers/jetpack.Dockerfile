# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
#
# A Jetson with its GPU: docker build -f deploy/containers/jetpack.Dockerfile -t dynamic_dnn_ros . on the board, which is
# JetPack 6 with ROS 2 Humble. docs/compatibility.md has the arguments for JetPack 7, and how to run it. Linted, not built
# by its authors.
ARG BASE=nvcr.io/nvidia/l4t-jetpack:r36.4.0
FROM ${BASE}

ARG ROS_DISTRO=humble
# Where wheels for this release of CUDA are; the boards' own, not those for servers.
ARG PIP_INDEX=https://pypi.jetson-ai-lab.io/jp6/cu126
ENV ROS_DISTRO=${ROS_DISTRO} DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8

SHELL ["/bin/bash", "-o", "pipefail", "-c"]

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl \
    && curl -fsSL https://raw.githubusercontent.com/ros/rosdistro/master/ros.key -o /usr/share/keyrings/ros.gpg \
    && source /etc/os-release \
    && echo "deb [signed-by=/usr/share/keyrings/ros.gpg] http://packages.ros.org/ros2/ubuntu $VERSION_CODENAME main" \
        > /etc/apt/sources.list.d/ros2.list \
    && apt-get update \
    && apt-get install -y --no-install-recommends "ros-$ROS_DISTRO-ros-base" build-essential \
        python3-colcon-common-extensions python3-rosdep python3-venv \
    && rosdep init \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/dynamic_dnn_ros
COPY package.xml src/dynamic_dnn_ros/

RUN apt-get update \
    && rosdep update --rosdistro "$ROS_DISTRO" \
    && rosdep install --from-paths src --ignore-src -y \
    && rm -rf /var/lib/apt/lists/*

# TensorRT and CUDA are of the base; ONNX Runtime uses both. Compiled modules of ROS need numpy 1.
RUN python3 -m venv --system-site-packages venv \
    && venv/bin/pip install --no-cache-dir 'numpy<2' 'safetensors>=0.4' \
    && venv/bin/pip install --no-cache-dir --index-url "$PIP_INDEX" --no-deps onnxruntime-gpu \
    && venv/bin/pip install --no-cache-dir coloredlogs flatbuffers packaging protobuf sympy

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
CMD ["ros2", "launch", "dynamic_dnn_ros", "dynamic_dnn.launch.py", "mode:=advise", "engine:=onnxruntime"]
