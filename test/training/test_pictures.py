# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import tarfile

import numpy as np
from PIL import Image
import pytest

from dynamic_dnn_ros.training import pictures as module
from dynamic_dnn_ros.training.pictures import PictureError, PictureFiles, read_pictures
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


def test_split_that_leaves_nothing_is_refused():
    with pytest.raises(PictureError, match='held_out'):
        colour_pictures(20).split(20, seed=0)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(PictureError, match='holds no pictures'):
        read_pictures(tmp_path, quiet=True)


def test_a_class_without_pictures_is_refused(tmp_path):
    write_folder(tmp_path, colour_pictures(20))
    (tmp_path / 'nothing').mkdir()
    with pytest.raises(PictureError, match=r'nothing'):
        read_pictures(tmp_path, quiet=True)


def test_one_class_is_refused(tmp_path):
    (tmp_path / 'cat').mkdir()
    Image.new('RGB', (8, 8)).save(tmp_path / 'cat' / '0.png')
    with pytest.raises(PictureError, match="one class 'cat'"):
        read_pictures(tmp_path, quiet=True)


@pytest.mark.parametrize('archived', [False, True])
def test_an_unreadable_picture_is_named(tmp_path, archived):
    path = write_folder(tmp_path / 'train', colour_pictures(20))
    (path / 'class_3' / 'broken.jpg').write_bytes(b'\xff\xd8 no picture')
    if archived:
        path = write_archive(tmp_path / 'train.tar.xz', path)
    with pytest.raises(PictureError, match=r'class_3/broken.jpg cannot be read'):
        read_pictures(path, quiet=True)


@pytest.mark.parametrize('memory', [0, 2**30])
def test_a_truncated_picture_is_named(tmp_path, monkeypatch, memory):
    monkeypatch.setattr(module, '_MEMORY', memory)
    write_folder(tmp_path, colour_pictures(20))
    path = tmp_path / 'class_3' / '0003.png'
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(PictureError, match=r'class_3/0003.png cannot be read'):
        read_pictures(tmp_path, quiet=True).images[6]


def test_pictures_of_several_sizes_are_read_from_a_folder_and_not_from_an_archive(tmp_path):
    folder = write_folder(tmp_path / 'train', colour_pictures(20))
    Image.new('RGB', (8, 9)).save(folder / 'class_3' / 'odd.png')
    read = read_pictures(folder, quiet=True)
    assert [size[:2] for size in read.sizes()] == [(8, 9), (32, 32)]
    assert read.name(read.sizes()[0][2]) == str(folder / 'class_3' / 'odd.png')
    with pytest.raises(PictureError, match=r'class_3/odd.png is 8x9.*unpack the archive'):
        read_pictures(write_archive(tmp_path / 'train.tar.xz', folder), quiet=True)


@pytest.mark.parametrize('content', [b'no archive', None])
def test_what_is_neither_folder_nor_archive_is_refused(tmp_path, content):
    path = tmp_path / 'train.tar'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PictureError, match='a folder or a tar archive is needed'):
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
    with pytest.raises(PictureError, match=r'train.tar.xz cannot be read .*nonesuch.png'):
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
        except PictureError as error:
            refused += 'cannot be read' in str(error)
    # What lies between the pictures may be damaged without harm.
    assert refused >= 6


def test_an_archive_of_several_sizes_is_refused_as_soon_as_one_differs(tmp_path):
    folder = write_folder(tmp_path / 'train', colour_pictures(20))
    Image.new('RGB', (8, 9)).save(folder / 'class_3' / 'odd.png')
    (folder / 'class_7' / 'broken.png').write_bytes(b'no picture')
    with pytest.raises(PictureError, match=r'class_3/odd.png is 8x9'):
        read_pictures(write_archive(tmp_path / 'train.tar.xz', folder), quiet=True)


@pytest.mark.parametrize('archived', [False, True])
def test_a_picture_too_large_to_be_one_is_named(tmp_path, monkeypatch, archived):
    path = write_folder(tmp_path / 'train', colour_pictures(20))
    if archived:
        path = write_archive(tmp_path / 'train.tar.xz', path)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    with pytest.raises(PictureError, match=r'class_0/0000.png cannot be read .*decompression'):
        read_pictures(path, quiet=True)


def test_a_truncated_archive_is_refused(tmp_path):
    folder = write_folder(tmp_path / 'train', colour_pictures(20))
    path = write_archive(tmp_path / 'train.tar.xz', folder)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(PictureError, match='cannot be read'):
        read_pictures(path, quiet=True)
