# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables of measurements: what is read, and what is refused with which words."""

import math
from pathlib import Path

import pytest

from dynamic_dnn_ros.platforms.calibration.table import TableError, read_table

HEADER = 'network,gpu_hz,memory_hz,latency_s'


def write(folder: Path, text: str) -> Path:
    path = folder / 'board.csv'
    path.write_text(text, encoding='utf-8')
    return path


def test_reads_all_columns(tmp_path: Path) -> None:
    table = read_table(
        write(
            tmp_path,
            'network,processor,image_size,cores,cpu_hz,gpu_hz,memory_hz,throughput_ips,energy_j,'
            'power_VDD_IN_w,utilisation_gpu,remark\n'
            'net,gpu,320,4,1.2e9,9e8,1.6e9,20,0.5,10,0.8,warm\n'
            'net,,320,2,1.2e9,4e8,1.6e9,10,,,,\n',
        )
    )
    first, second = table.rows
    assert first.latency == pytest.approx(0.05)
    assert first.power == {'VDD_IN': 10.0}
    assert first.utilisation == {'gpu': 0.8}
    assert first.energy == 0.5
    assert first.clocks == {'cpu': 1.2e9, 'gpu': 9e8, 'memory': 1.6e9}
    assert first.subject == ('net', 'gpu', 320)
    assert second.processor == 'gpu'
    assert second.power == {} and math.isnan(second.energy)
    assert table.rails == ('VDD_IN',)
    assert table.notes == ("columns that are not used: 'remark'",)


def test_what_is_known_in_another_column_too_is_not_needed(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'network,gpu_hz,gpu_mhz,latency_s,latency_p95_s\na,9e8,900,0.02,0.03\na,4e8,400,0.04,0.05\n',
    )
    assert read_table(path).notes == ("columns that are not used: 'gpu_mhz', 'latency_p95_s'",)


def test_latency_of_a_row_may_stand_in_either_column(tmp_path: Path) -> None:
    path = write(tmp_path, 'network,gpu_hz,latency_s,throughput_ips\na,9e8,0.02,\na,4e8,,25\n')
    assert [row.latency for row in read_table(path).rows] == [0.02, 0.04]


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('', ('lacks the column network', 'It has: none')),
        (f'{HEADER}\n', ('has no rows', 'two or more')),
        (f'{HEADER}\na,9e8,1e9,0.1\n', ('has one row', 'two or more')),
        ('gpu_hz,latency_s\n9e8,0.1\n', ('lacks the column network',)),
        ('network,gpu_hz\na,9e8\n', ('latency_s or throughput_ips',)),
        ('network,energy_j\na,1\n', ('no time', 'latency_s', 'throughput_ips')),
        ('network,power_VDD_IN_w\na,1\n', ('no time',)),
        ('network,gpu_hz,gpu_hz,latency_s\n', ('twice',)),
        # Columns that are nearly right are not left out silently.
        ('network,gpu_mhz,latency_s\n', ("'gpu_mhz' is not known", "'gpu_hz'")),
        ('network,emc_khz,latency_s\n', ("'memory_hz'",)),
        ('network,device,latency_s\n', ("Call it 'processor'",)),
        ('network,frequency_hz,latency_s\n', ("Call it 'gpu_hz'",)),
        ('network,latency_ms\n', ("'latency_ms' is not known", "'latency_s'")),
        ('network,latency_s,vdd_in_w\n', ("'power_VDD_IN_w'",)),
        ('network,latency_s,module_power_w\n', ("'power_MODULE_w'",)),
        ('network,latency_s,power_VDD_IN_mw\n', ("'power_VDD_IN_w'",)),
        ('network,latency_s,energy_mj\n', ("'energy_j'",)),
        ('network,latency_s,utilization_gpu\n', ("'utilisation_gpu'",)),
        # Units of the figures.
        (f'{HEADER}\na,900,1e9,0.1\n', ('line 2', 'gpu_hz is 900 Hz', 'MHz')),
        (f'{HEADER}\na,900000,1e9,0.1\n', ('gpu_hz', 'kHz')),
        (f'{HEADER}\na,9e8,1866,0.1\n', ('memory_hz', 'MHz')),
        (f'{HEADER}\na,9e8,1e9,120\n', ('a frame takes 120 s', 'not milliseconds')),
        (f'{HEADER}\na,9e8,1e9,12\na,4e8,1e9,25\n', ('probably milliseconds',)),
        (f'{HEADER}\na,9e8,1e9,0.012\na,4e8,1e9,25\n', ('line 3', 'line 2', 'explain')),
        ('network,latency_s,power_A_w\na,0.1,4500\n', ('4500 W', 'not milliwatts')),
        ('network,latency_s,energy_j\na,0.1,900\n', ('9e+03 W', 'not millijoules')),
        ('network,latency_s,utilisation_gpu\na,0.1,80\n', ('is 80', 'not percent')),
        # Cells that are no figures.
        (f'{HEADER}\na,9e8,1e9,nan\n', ('line 2', 'no latency above 0')),
        (f'{HEADER}\na,9e8,1e9,\n', ('line 2', 'no latency above 0')),
        (f'{HEADER}\na,9e8,1e9,-0.1\n', ('line 2', "latency_s is '-0.1'")),
        (f'{HEADER}\na,9e8,1e9,fast\n', ('line 2', "latency_s is 'fast'")),
        (f'{HEADER}\na,9e8,1e9,inf\n', ('line 2', "latency_s is 'inf'")),
        (f'{HEADER}\n,9e8,1e9,0.1\n', ('line 2', 'names no network')),
        (f'{HEADER}\na,9e8,1e9,0.1,7\n', ('more cells',)),
        ('network,cores,latency_s\na,2.5,0.1\n', ('cores is 2.5',)),
        # Rows that do not go together.
        (f'{HEADER}\na,9e8,1e9,0.1\na,9e8,1e9,0.3\n', ('lines 2 and 3', '0.1 and 0.3')),
        (f'{HEADER}\na,9e8,1e9,0.1\na,,1e9,0.2\n', ('line 3 has no gpu_hz', 'line 2')),
    ],
)
def test_refuses(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    path = write(tmp_path, text)
    with pytest.raises(TableError) as error:
        read_table(path)
    assert path.name in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_refuses_what_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / 'board.csv'
    path.write_bytes(b'\x89PNG\xff\xfe\x00')
    with pytest.raises(TableError, match='Give a CSV file'):
        read_table(path)
    with pytest.raises(TableError, match='cannot be read'):
        read_table(tmp_path / 'none.csv')


def test_the_same_setting_twice_is_told(tmp_path: Path) -> None:
    table = read_table(
        write(tmp_path, f'{HEADER}\na,9e8,1e9,0.1\na,9e8,1e9,0.11\na,4e8,1e9,0.2\n')
    )
    assert len(table.rows) == 3
    assert '1 settings stand there more than once' in table.notes[0]
