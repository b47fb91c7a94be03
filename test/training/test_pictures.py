# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import tarfile

import numpy as np
from PIL import Image
import pytest

from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.training import pictures as module
from dynamic_dnn_ros.training.pictures import PictureFiles, read_pictures
from support.labelled_data import packed
from support.training import colour_pictures, write_archive, write_folder


@pytest.mark.parametrize('archived', [False, True])
def test_pictures_read_back_from_folder_and_archive(tmp_path, archived):
    written = colour_pictures(30)
    path = write_folder(tmp_path / 'train', written)
    if archived:
        path = write_archive(tmp_path / 'train.tar.xz', path)
    read = read_pictures(path, quiet=True)
    assert read.classes == written.classes
    order = np.lexsort((np.arange(30), written.labels))
    assert np.array_equal(read.labels, written.labels[order])
    assert np.array_equal(read.images, written.images[order])


def test_pictures_that_fill_the_memory_stay_on_the_disk(tmp_path, monkeypatch):
    written = colour_pictures(20)
    write_folder(tmp_path, written)
    held = read_pictures(tmp_path, quiet=True)
    monkeypatch.setattr(module, '_MEMORY', 1000)
    read = read_pictures(tmp_path, quiet=True)
    assert isinstance(read.images, PictureFiles)
    part = read.take(np.array([7, 3]))
    assert len(part) == 2
    assert np.array_equal(part.images[1], held.images[3])
    assert part.sizes() == [(32, 32, 0)]


def test_split_is_disjoint_complete_mixed_and_repeats():
    pictures = colour_pictures(100)
    rest, held_out = pictures.split(30, seed=1)
    assert (len(rest), len(held_out)) == (70, 30)
    together = np.concatenate([rest.images, held_out.images]).reshape(100, -1)
    assert len(np.unique(together, axis=0)) == 100
    assert len(set(held_out.labels)) > 5
    assert np.array_equal(pictures.split(30, seed=1)[1].images, held_out.images)


def test_every_fifth_picture_is_set_apart_in_each_class():
    pictures = colour_pictures(100)
    sorted_by_class = pictures.take(np.argsort(pictures.labels, kind='stable'))
    rest, chosen = sorted_by_class.every(5)
    assert (len(rest), len(chosen)) == (80, 20)
    assert np.array_equal(np.bincount(chosen.labels), [2] * 10)
    together = np.concatenate([rest.images, chosen.images])
    assert len(np.unique(together, axis=0)) == 100


def test_split_that_leaves_nothing_is_refused():
    with pytest.raises(DataError, match='held_out'):
        colour_pictures(20).split(20, seed=0)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match='holds no pictures'):
        read_pictures(tmp_path, quiet=True)


def test_a_class_without_pictures_is_refused(tmp_path):
    write_folder(tmp_path, colour_pictures(20))
    (tmp_path / 'nothing').mkdir()
    with pytest.raises(DataError, match=r'nothing'):
        read_pictures(tmp_path, quiet=True)


def test_one_class_is_refused(tmp_path):
    (tmp_path / 'cat').mkdir()
    Image.new('RGB', (8, 8)).save(tmp_path / 'cat' / '0.png')
    with pytest.raises(DataError, match="one class 'cat'"):
        read_pictures(tmp_path, quiet=True)


@pytest.mark.parametrize('archived', [False, True])
def test_an_unreadable_picture_is_named(tmp_path, archived):
    path = write_folder(tmp_path / 'train', colour_pictures(20))
    (path / 'class_3' / 'broken.jpg').write_bytes(b'\xff\xd8 no picture')
    if archived:
        path = write_archive(tmp_path / 'train.tar.xz', path)
    with pytest.raises(
        DataError,
        match=r'class_3/broken.jpg: it is no picture|class_3/broken.jpg: it cannot be decoded',
    ):
        read_pictures(path, quiet=True)


@pytest.mark.parametrize('memory', [0, 2**30])
def test_a_truncated_picture_is_named(tmp_path, monkeypatch, memory):
    monkeypatch.setattr(module, '_MEMORY', memory)
    write_folder(tmp_path, colour_pictures(20))
    path = tmp_path / 'class_3' / '0003.png'
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r'class_3/0003.png: it cannot be decoded'):
        read_pictures(tmp_path, quiet=True).images[6]


@pytest.mark.parametrize('kind', ['', 'tar.xz', 'zip'])
def test_pictures_of_several_sizes_stay_where_they_are(tmp_path, kind):
    folder = write_folder(tmp_path / 'train', colour_pictures(20))
    Image.new('RGB', (8, 9)).save(folder / 'class_3' / 'odd.png')
    read = read_pictures(packed(folder, kind, 'train') if kind else folder, quiet=True)
    assert isinstance(read.images, PictureFiles)
    assert [size[:2] for size in read.sizes()] == [(8, 9), (32, 32)]
    position = read.sizes()[0][2]
    assert read.name(position).endswith('class_3/odd.png')
    assert read.images[position].shape == (9, 8, 3)


def test_what_was_left_out_is_said(tmp_path, caplog):
    folder = write_folder(tmp_path / 'train', colour_pictures(20))
    write_folder(folder / '.ipynb_checkpoints', colour_pictures(3))
    assert len(read_pictures(folder)) == 20
    assert 'left out: 1 x hidden entry (.ipynb_checkpoints)' in caplog.text


def test_parts_of_one_data_set(tmp_path):
    write_folder(tmp_path / 'train', colour_pictures(20))
    write_folder(tmp_path / 'val', colour_pictures(10))
    assert len(read_pictures(tmp_path, quiet=True, split='train')) == 20
    assert len(read_pictures(tmp_path, quiet=True)) == 10


@pytest.mark.parametrize('orientation', [3, 6])
def test_pictures_are_upright(tmp_path, orientation):
    folder = write_folder(tmp_path / 'train', colour_pictures(20))
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = np.zeros((20, 40, 3), np.uint8)
    turned[:10, :20] = 255
    path = folder / 'class_3' / '0.jpg'
    Image.fromarray(turned).save(path, quality=100, exif=exif)
    read = read_pictures(folder, quiet=True)
    position = next(i for i in range(21) if read.name(i) == str(path))
    found = read.images[position]
    assert found.shape == ((40, 20, 3) if orientation == 6 else (20, 40, 3))
    corner = found[:10, -10:] if orientation == 6 else found[-5:, -10:]
    assert corner.mean() > 250
    assert found.mean() == pytest.approx(turned.mean(), abs=3)


def test_sixteen_bits_are_scaled_by_their_range(tmp_path):
    folder = write_folder(tmp_path / 'train', colour_pictures(20))
    values = np.arange(1024, dtype=np.uint16).reshape(32, 32) * 64
    Image.fromarray(values).save(folder / 'class_3' / '0.png')
    read = read_pictures(folder, quiet=True)
    (position,) = np.flatnonzero([len(np.unique(image)) == 256 for image in read.images])
    assert np.abs(read.images[position][..., 0] - values / 257).max() <= 1


@pytest.mark.parametrize('mode', ['I', 'F'])
def test_values_without_a_range_are_refused_by_name(tmp_path, mode):
    folder = write_folder(tmp_path / 'train', colour_pictures(20))
    Image.new(mode, (32, 32), 7).save(folder / 'class_3' / '0.tif')
    with pytest.raises(DataError, match=r'class_3/0.tif'):
        read_pictures(folder, quiet=True)


@pytest.mark.parametrize('content', [b'no archive', None])
def test_what_is_neither_folder_nor_archive_is_refused(tmp_path, content):
    path = tmp_path / 'train.tar'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        DataError, match='a folder, or a tar or zip archive is needed|does not exist'
    ):
        read_pictures(path, quiet=True)


def test_links_in_an_archive_are_pictures(tmp_path):
    folder = write_folder(tmp_path / 'train', colour_pictures(20))
    (folder / 'class_3' / 'LINK.PNG').symlink_to('0003.png')
    (folder / 'class_5' / 'hard.png').hardlink_to(folder / 'class_5' / '0005.png')
    expected = read_pictures(folder, quiet=True)
    read = read_pictures(write_archive(tmp_path / 'train.tar.xz', folder), quiet=True)
    assert len(read) == 22
    assert np.array_equal(read.labels, expected.labels)
    assert np.array_equal(read.images, expected.images)


def test_a_link_that_leads_out_of_the_archive_is_refused(tmp_path):
    folder = write_folder(tmp_path / 'train', colour_pictures(20))
    (folder / 'class_3' / 'link.png').symlink_to('/nonesuch.png')
    with pytest.raises(DataError, match=r'train.tar.xz cannot be read: .*nonesuch.png'):
        read_pictures(write_archive(tmp_path / 'train.tar.xz', folder), quiet=True)


@pytest.mark.parametrize('compression', ['gz', 'xz'])
def test_an_archive_that_is_damaged_anywhere_is_refused(tmp_path, compression):
    generator = np.random.default_rng(0)
    for index in range(8):
        path = tmp_path / 'train' / f'class_{index % 2}' / f'{index}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 2, (64, 64, 3), np.uint8)).save(path)
    path = tmp_path / 'train.tar'
    with tarfile.open(path, f'w:{compression}') as archive:
        archive.add(tmp_path / 'train', arcname='train')
    whole = path.read_bytes()
    refused = 0
    for start in range(0, len(whole) - 60, len(whole) // 12):
        path.write_bytes(whole[:start] + generator.bytes(60) + whole[start + 60 :])
        try:
            read_pictures(path, quiet=True)
        except DataError as error:
            refused += 'cannot be read' in str(error)
    # What lies between the pictures may be damaged without harm.
    assert refused >= 6


@pytest.mark.parametrize('archived', [False, True])
def test_a_picture_too_large_to_be_one_is_named(tmp_path, monkeypatch, archived):
    path = write_folder(tmp_path / 'train', colour_pictures(20))
    if archived:
        path = write_archive(tmp_path / 'train.tar.xz', path)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    with pytest.raises(DataError, match=r'class_0/0000.png: it cannot be decoded .*decompression'):
        read_pictures(path, quiet=True)


def test_a_truncated_archive_is_refused(tmp_path):
    folder = write_folder(tmp_path / 'train', colour_pictures(20))
    path = write_archive(tmp_path / 'train.tar.xz', folder)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match='cannot be read'):
        read_pictures(path, quiet=True)
