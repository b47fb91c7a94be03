# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
File trees of more boards, after listings that their owners and makers have published.

AGX Orin and AGX Thor with JetPack 7.2: pull requests 867, 886 and 900 and issue 885 of
jetson-stats, the device tree of kernel.org (tegra234-p3701.dtsi) for the rails. Raspberry Pi 5:
its documentation and output of `vcgencmd pmic_read_adc` under load. RK3588: kernel of Rockchip.
"""

from __future__ import annotations

from pathlib import Path

from support.kernel import Kernel

AGX_ORIN_CPU = (*range(115200, 2188801, 76800), 2201600)
"""kHz."""
AGX_ORIN_GPU = (*range(306_000_000, 1_224_000_001, 102_000_000), 1_300_500_000)
"""Hz."""
THOR_GPU = tuple(range(315_000_000, 1_575_000_001, 105_000_000))
THOR_EMC = (665_600_000, 2_133_000_000, 4_266_000_000)
PI_5_CPU = tuple(range(1_500_000, 2_400_001, 100_000))
A55, A76 = (408000, 816000, 1200000, 1608000, 1800000), (408000, 1200000, 1800000, 2256000)
MALI = (300_000_000, 500_000_000, 700_000_000, 1_000_000_000)

PMIC = """ 3V7_WL_SW_A current(0)=0.09368929A
   3V3_SYS_A current(1)=0.08783370A
   1V8_SYS_A current(2)=0.18054710A
  DDR_VDD2_A current(3)=0.22543980A
  VDD_CORE_A current(7)=6.22421000A
 3V7_WL_SW_V volt(8)=3.69977600V
   3V3_SYS_V volt(9)=3.31003300V
   1V8_SYS_V volt(10)=1.80512600V
  DDR_VDD2_V volt(11)=1.10476100V
  VDD_CORE_V volt(15)=0.86173300V
     EXT5V_V volt(24)=5.09066000V
      BATT_V volt(25)=0.00000000V
"""
"""What the firmware of a Pi 5 says with four busy CPUs, some rails of twelve."""


def over_current(kernel: Kernel, *counts: int, hwmon: int = 5) -> None:
    """Set the counters OC1, OC2, OC3 of an Orin or a Thor."""
    folder = f'/sys/class/hwmon/hwmon{hwmon}'
    kernel.file(f'{folder}/name', 'soctherm_oc')
    for number, count in enumerate(counts, 1):
        kernel.file(f'{folder}/oc{number}_event_cnt', count)
        kernel.file(f'{folder}/oc{number}_throt_en', 1)


def agx_orin(root: Path, strict: bool = False) -> Kernel:
    """Return a Jetson AGX Orin with JetPack 7.2: no VDD_IN, no `enable_3d_scaling`."""
    kernel = Kernel(root, strict)
    kernel.file('/proc/device-tree/model', 'NVIDIA Jetson AGX Orin Developer Kit\0')
    kernel.file('/proc/device-tree/compatible', 'nvidia,p3737-0000+p3701-0000\0nvidia,tegra234\0')
    kernel.file('/etc/nv_tegra_release', '# R39 (release), REVISION: 2.0, GCID: 1, BOARD: generic')
    for policy in (0, 4, 8):
        kernel.cpufreq(policy, AGX_ORIN_CPU, 729600)
    gpu = '/sys/devices/platform/bus@0/17000000.gpu'
    kernel.devfreq(f'{gpu}/devfreq/17000000.gpu', AGX_ORIN_GPU)
    kernel.file(f'{gpu}/load', 420)
    (root / gpu.lstrip('/') / 'devfreq/17000000.gpu/device').symlink_to('../..')
    kernel.ina3221(
        '/sys/class/hwmon/hwmon3',
        [('VDD_GPU_SOC', 19000, 320), ('VDD_CPU_CV', 19000, 100), ('VIN_SYS_5V0', 4968, 953)],
    )
    kernel.ina3221(
        '/sys/class/hwmon/hwmon4',
        [('NC', 0, 0), ('VDDQ_VDD2_1V8AO', 4968, 341), ('NC', 0, 0)],
    )
    over_current(kernel, 0, 0, 37)
    kernel.thermal_zone(0, 'cpu-thermal', 47500)
    kernel.cooling_device(0, 'cpufreq-cpu0')
    return kernel


def agx_thor(root: Path, strict: bool = False) -> Kernel:
    """Return a Jetson AGX Thor with JetPack 7.2: its GPU has a clock, and no `load`."""
    kernel = Kernel(root, strict)
    kernel.file('/proc/device-tree/model', 'NVIDIA Jetson AGX Thor Developer Kit\0')
    kernel.file('/proc/device-tree/compatible', 'nvidia,p4071-0000+p3834-0008\0nvidia,tegra264\0')
    for policy in (0, 2):
        kernel.cpufreq(policy, tuple(range(270000, 2601001, 111000)))
    kernel.devfreq('/sys/class/devfreq/gpu-gpc-0', THOR_GPU)
    kernel.devfreq('/sys/class/devfreq/gpu-nvd-0', THOR_GPU)
    kernel.devfreq('/sys/class/devfreq/bwmgr', THOR_EMC, governor='bwmgr')
    kernel.ina3221(
        '/sys/class/hwmon/hwmon2',
        [('VDD_GPU', 19000, 290), ('VDD_CPU_SOC_MSS', 19000, 310), ('VIN_SYS_5V0', 4968, 1310)],
    )
    vin = '/sys/class/hwmon/hwmon6'
    for name, value in {
        'name': 'ina238',
        'in0_input': 5,
        'in1_input': 19200,
        'curr1_input': 1200,
        'power1_input': 23040000,
        'power1_max_alarm': 0,
    }.items():
        kernel.file(f'{vin}/{name}', value)
    over_current(kernel, 0, 0, 0)
    kernel.thermal_zone(0, 'tj-thermal', 55100)
    return kernel


def raspberry_pi_5(root: Path, strict: bool = False) -> Kernel:
    """Return a Raspberry Pi 5 with the program that asks its firmware."""
    kernel = Kernel(root, strict)
    kernel.file('/proc/device-tree/model', 'Raspberry Pi 5 Model B Rev 1.0\0')
    kernel.file('/proc/device-tree/compatible', 'raspberrypi,5-model-b\0brcm,bcm2712\0')
    kernel.cpufreq(0, PI_5_CPU, governor='ondemand')
    (root / 'sys/devices/system/cpu/cpufreq/policy0/related_cpus').write_text('0 1 2 3\n')
    kernel.file('/sys/class/hwmon/hwmon0/name', 'cpu_thermal')
    kernel.file('/sys/class/hwmon/hwmon2/name', 'rpi_volt')
    kernel.file('/sys/class/hwmon/hwmon2/in0_lcrit_alarm', 0)
    kernel.file('/sys/class/hwmon/hwmon3/name', 'pwmfan')
    kernel.thermal_zone(0, 'cpu-thermal', 60600)
    kernel.cooling_device(0, 'pwm-fan').write_text('2\n')
    figures = kernel.file('/pmic', PMIC)
    script = f'#!/bin/sh\n[ "$1" = pmic_read_adc ] && cat {figures}'
    kernel.file('/usr/bin/vcgencmd', script).chmod(0o755)
    return kernel


def rk3588(root: Path, strict: bool = False) -> Kernel:
    """Return a board with an RK3588 and the kernel of its maker."""
    kernel = Kernel(root, strict)
    kernel.file('/proc/device-tree/model', 'Radxa ROCK 5B\0')
    kernel.file('/proc/device-tree/compatible', 'radxa,rock-5b\0rockchip,rk3588\0')
    for policy, cpus, table, capacity in (
        (0, range(4), A55, 414),
        (4, range(4, 6), A76, 1024),
        (6, range(6, 8), (*A76, 2304000), 1024),
    ):
        clock = kernel.cpufreq(policy, table)
        (clock.folder / 'related_cpus').write_text(' '.join(map(str, cpus)) + '\n')
        for cpu in cpus:
            kernel.file(f'/sys/devices/system/cpu/cpu{cpu}/cpu_capacity', capacity)
    gpu = kernel.devfreq('/sys/class/devfreq/fb000000.gpu', MALI, 'simple_ondemand')
    npu = kernel.devfreq('/sys/class/devfreq/fdab0000.npu', MALI, 'rknpu_ondemand')
    kernel.devfreq('/sys/class/devfreq/dmc', (528_000_000, 2_112_000_000), 'dmc_ondemand')
    (gpu.folder / 'load').write_text('45@300000000Hz\n')
    (npu.folder / 'load').write_text('0@1000000000Hz\n')
    kernel.thermal_zone(0, 'soc-thermal', 45300)
    kernel.cooling_device(0, 'cpufreq-cpu0')
    return kernel


def hybrid_pc(root: Path, strict: bool = False) -> Kernel:
    """Return a PC with two fast CPUs and four slow ones, each of which has a clock."""
    kernel = Kernel(root, strict)
    for cpu in range(6):
        table = range(400000, 5000001 if cpu < 2 else 3800001, 200000)
        clock = kernel.cpufreq(cpu, table, governor='powersave', shown=False)
        (clock.folder / 'related_cpus').write_text(f'{cpu}\n')
        kernel.file(f'/sys/devices/system/cpu/cpu{cpu}/cpu_capacity', 1024 if cpu < 2 else 620)
    return kernel
