# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
#
# Source this file (bash or sh) to use what tools/setup.py made: the virtual environment, the installed build, and the
# DDS profile for camera images. Where ROS 2 is sourced already, it stays in use.
# A plain sh cannot tell where a sourced file lies: there, be inside the repository, or set DYNAMIC_DNN_ROOT.

if [ -n "${BASH_SOURCE:-}" ]; then
    DYNAMIC_DNN_ROOT="$(cd "$(dirname "${BASH_SOURCE}")/.." && pwd)"
elif [ -z "${DYNAMIC_DNN_ROOT:-}" ]; then
    DYNAMIC_DNN_ROOT="$PWD"
    while [ ! -f "$DYNAMIC_DNN_ROOT/tools/environment.sh" ] && [ "$DYNAMIC_DNN_ROOT" != "/" ]; do
        DYNAMIC_DNN_ROOT="$(dirname "$DYNAMIC_DNN_ROOT")"
    done
fi
export DYNAMIC_DNN_ROOT

# _dynamic_dnn_prepend VARIABLE FOLDER: puts an existing folder first, unless the variable has it already.
_dynamic_dnn_prepend() {
    eval "_dynamic_dnn_value=\"\${$1:-}\""
    case ":$_dynamic_dnn_value:" in
        *":$2:"*) ;;
        *) if [ -d "$2" ]; then eval "export $1=\"$2\${_dynamic_dnn_value:+:\$_dynamic_dnn_value}\""; fi ;;
    esac
}

if [ ! -x "$DYNAMIC_DNN_ROOT/.venv/bin/python" ]; then
    echo "environment.sh: no virtual environment in '$DYNAMIC_DNN_ROOT': run 'make setup' there first" >&2
    return 1 2>/dev/null || exit 1
fi

export VIRTUAL_ENV="$DYNAMIC_DNN_ROOT/.venv"
_dynamic_dnn_install="$DYNAMIC_DNN_ROOT/.colcon/install"

# Without system packages the virtual environment is a ROS prefix itself: it holds the wheels.
if [ -d "$VIRTUAL_ENV/share/rclpy" ]; then
    _dynamic_dnn_prepend AMENT_PREFIX_PATH "$VIRTUAL_ENV"
    _dynamic_dnn_prepend CMAKE_PREFIX_PATH "$VIRTUAL_ENV"
    _dynamic_dnn_prepend LD_LIBRARY_PATH "$VIRTUAL_ENV/lib"
    export RMW_IMPLEMENTATION=rmw_fastrtps_cpp
fi
_dynamic_dnn_prepend AMENT_PREFIX_PATH "$_dynamic_dnn_install"
_dynamic_dnn_prepend CMAKE_PREFIX_PATH "$_dynamic_dnn_install"
_dynamic_dnn_prepend LD_LIBRARY_PATH "$_dynamic_dnn_install/lib"
# Where Python packages go differs between Python's own layout and Debian's.
for _dynamic_dnn_folder in "$_dynamic_dnn_install"/lib/python3*/site-packages \
    "$_dynamic_dnn_install"/lib/python3*/dist-packages "$_dynamic_dnn_install"/local/lib/python3*/dist-packages; do
    _dynamic_dnn_prepend PYTHONPATH "$_dynamic_dnn_folder"
done
_dynamic_dnn_prepend PATH "$VIRTUAL_ENV/bin"
_dynamic_dnn_prepend PATH "$_dynamic_dnn_install/bin"

# The name of the variable changed from Fast DDS 2 to 3.
export FASTRTPS_DEFAULT_PROFILES_FILE="$DYNAMIC_DNN_ROOT/config/dds/shared_memory.xml"
export FASTDDS_DEFAULT_PROFILES_FILE="$DYNAMIC_DNN_ROOT/config/dds/shared_memory.xml"

unset -f _dynamic_dnn_prepend
unset _dynamic_dnn_install _dynamic_dnn_folder _dynamic_dnn_value
