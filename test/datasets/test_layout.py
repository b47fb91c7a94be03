# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import multiprocessing
import os
from pathlib import Path
import pickle
import tarfile
import zipfile

import pytest

from dynamic_dnn_ros.datasets import archive as archive_module
from dynamic_dnn_ros.datasets import entries, layout
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.datasets.layout import DataFiles, is_picture
from support.labelled_data import packed, write_picture

KINDS = ('zip', 'tar', 'tar.gz', 'tar.bz2', 'tar.xz')
LINKS = KINDS[1:]


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    folder = tmp_path / 'data'
    for index, name in enumerate(('cat/b.png', 'cat/a.JPG', 'cat/night/c.webp', 'dog/d.tif')):
        write_picture(folder / name, seed=index)
    (folder / 'empty').mkdir()
    (folder / 'cat' / 'notes.txt').write_text('no picture')
    return folder


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('inside', ['', 'data', 'one/two'])
def test_a_folder_and_its_archives_hold_the_same(plain, kind, inside):
    expected = DataFiles(plain)
    assert expected.names == (
        'cat/a.JPG',
        'cat/b.png',
        'cat/notes.txt',
        'cat/night/c.webp',
        'dog/d.tif',
    )
    assert expected.folders == ('cat', 'cat/night', 'dog', 'empty')
    found = DataFiles(packed(plain, kind, inside))
    assert (found.names, found.folders) == (expected.names, expected.folders)
    assert all(found.read(name) == expected.read(name) for name in expected.names)
    again = pickle.loads(pickle.dumps(found))
    assert again.read('dog/d.tif') == found.read('dog/d.tif')
    assert found.location('dog/d.tif') is None
    assert expected.location('dog/d.tif') == plain / 'dog' / 'd.tif'


@pytest.mark.parametrize('kind', ['', *KINDS])
def test_hidden_entries_are_left_out_and_said(plain, kind):
    write_picture(plain / '.ipynb_checkpoints' / 'a.png')
    write_picture(plain / 'cat' / '.ipynb_checkpoints' / 'a.png')
    write_picture(plain / '__MACOSX' / 'cat' / 'a.png')
    (plain / 'dog' / '.DS_Store').write_bytes(b'')
    found = DataFiles(packed(plain, kind, 'data') if kind else plain)
    assert found.folders == ('cat', 'cat/night', 'dog', 'empty')
    assert len(found.pictures()) == 4
    assert found.left_out.counts == {'hidden entry': 4}
    assert 'left out: 4 x hidden entry (' in str(found.left_out)
    assert '.ipynb_checkpoints' in str(found.left_out)


@pytest.mark.parametrize('kind', ['', *LINKS])
def test_links_count_as_what_they_lead_to_but_not_back(plain, kind):
    (plain / 'cat' / 'all').symlink_to('..')
    (plain / 'cat' / 'night' / 'self').symlink_to('.')
    (plain / 'kitten').symlink_to('cat')
    (plain / 'dog' / 'e.png').symlink_to('../cat/b.png')
    (plain / 'dog' / 'f.png').hardlink_to(plain / 'cat' / 'b.png')
    found = DataFiles(packed(plain, kind, 'data') if kind else plain)
    assert found.pictures() == (
        'cat/a.JPG',
        'cat/b.png',
        'cat/night/c.webp',
        'dog/d.tif',
        'dog/e.png',
        'dog/f.png',
        'kitten/a.JPG',
        'kitten/b.png',
        'kitten/night/c.webp',
    )
    assert found.left_out.counts == {'link back to a folder that it lies in': 4}
    assert found.read('dog/e.png') == found.read('dog/f.png') == found.read('kitten/b.png')


def test_a_class_may_lie_elsewhere_on_the_disk(plain, tmp_path):
    write_picture(tmp_path / 'elsewhere' / 'cup.png')
    (tmp_path / 'elsewhere' / 'home').symlink_to(tmp_path)
    (plain / 'cup').symlink_to(tmp_path / 'elsewhere')
    found = DataFiles(plain)
    assert 'cup/cup.png' in found
    assert found.left_out.counts == {'link back to a folder that it lies in': 1}


@pytest.mark.parametrize('kind', ['', *LINKS])
def test_a_link_that_leads_nowhere_is_refused(plain, kind):
    (plain / 'cat' / 'gone.png').symlink_to('nonesuch.png')
    with pytest.raises(DataError, match=r'cat/gone.png is a link that leads nowhere .*nonesuch'):
        DataFiles(packed(plain, kind, 'data') if kind else plain)


@pytest.mark.parametrize('target', ['/etc/passwd', '../../etc/passwd', 'loop.png'])
def test_no_link_leads_out_of_an_archive(tmp_path, target):
    path = tmp_path / 'data.tar'
    with tarfile.open(path, 'w') as archive:
        member = tarfile.TarInfo('cat/loop.png')
        member.type, member.linkname = tarfile.SYMTYPE, target
        archive.addfile(member)
    with pytest.raises(DataError, match=r'cat/loop.png is a link that leads nowhere'):
        DataFiles(path)


@pytest.mark.parametrize('name', ['../out.png', '/out.png', 'cat/../../out.png'])
@pytest.mark.parametrize('kind', ['tar', 'zip'])
def test_no_member_leads_out_of_an_archive(tmp_path, name, kind):
    path = tmp_path / f'data.{kind}'
    if kind == 'zip':
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr(name, b'')
    else:
        with tarfile.open(path, 'w') as archive:
            archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(DataError, match='leads out of the archive'):
        DataFiles(path)


@pytest.mark.parametrize('kind', ['tar.gz', 'zip'])
def test_an_archive_that_unpacks_to_far_too_much_is_refused(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(archive_module, '_SMALL', 2**20)
    folder = tmp_path / 'data'
    folder.mkdir()
    (folder / 'zeros.png').write_bytes(bytes(2**22))
    with pytest.raises(DataError, match=r'unpacks to (more than )?\d+ bytes'):
        DataFiles(packed(folder, kind))


@pytest.mark.parametrize('kind', ['', 'tar', 'zip'])
def test_a_file_that_is_far_too_large_is_refused(plain, monkeypatch, kind):
    monkeypatch.setattr(entries, 'MOST_BYTES', 10)
    monkeypatch.setattr(archive_module, 'MOST_BYTES', 10)
    with pytest.raises(DataError, match='more than 10'):
        DataFiles(packed(plain, kind) if kind else plain).read('cat/b.png')


def test_a_tree_that_is_far_too_deep_or_large_is_refused(plain, monkeypatch):
    (plain / 'a' / 'b' / 'c').mkdir(parents=True)
    monkeypatch.setattr(layout, '_MOST_LEVELS', 3)
    with pytest.raises(DataError, match='a/b/c/ lies too deep'):
        DataFiles(plain)
    monkeypatch.setattr(layout, '_MOST_LEVELS', 4)
    monkeypatch.setattr(layout, '_MOST_FILES', 3)
    with pytest.raises(DataError, match='more than 3 files'):
        DataFiles(plain)


def test_a_damaged_header_of_a_plain_tar_is_noticed(plain):
    path = packed(plain, 'tar')
    content = bytearray(path.read_bytes())
    position = content.index(b'./dog/d.tif')
    content[position] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r'cannot be read \((bad checksum|a header is damaged)'):
        DataFiles(path)


@pytest.mark.parametrize('kind', KINDS)
def test_an_archive_that_is_cut_off_is_refused(plain, kind):
    path = packed(plain, kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(DataError, match='cannot be read'):
        DataFiles(path)


def test_an_encrypted_zip_is_refused(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, 'w') as archive:
        archive.writestr('cat/a.png', b'x')
    raw = bytearray(content.getvalue())
    raw[raw.index(b'PK\x01\x02') + 8] |= 1
    path = tmp_path / 'data.zip'
    path.write_bytes(raw)
    with pytest.raises(DataError, match='cat/a.png is encrypted'):
        DataFiles(path)


def test_special_files_are_left_out(plain):
    os.mkfifo(plain / 'cat' / 'pipe.png')
    found = DataFiles(plain)
    assert len(found.pictures()) == 4
    assert found.left_out.counts == {'entry that is neither file nor folder': 1}


@pytest.mark.parametrize('name', ['no archive', None])
def test_what_is_neither_folder_nor_archive_is_refused(tmp_path, name):
    path = tmp_path / 'data.tar'
    if name:
        path.write_text(name)
    with pytest.raises(DataError, match='a folder, or a tar or zip archive is needed'):
        DataFiles(path)


def test_names_of_pictures():
    assert all(is_picture(f'a.{end}') for end in ('jpg', 'JPEG', 'png', 'webp', 'bmp', 'TIF'))
    assert is_picture('a.tiff')
    assert not is_picture('a.gif') and not is_picture('jpg')


@pytest.mark.parametrize('kind', ['', *KINDS])
def test_processes_share_an_archive(plain, kind):
    files = DataFiles(packed(plain, kind) if kind else plain)
    expected = [files.read(name) for name in files.names] * 20
    fork = multiprocessing.get_context('fork')
    queue = fork.Queue()

    def read_often() -> None:
        queue.put([files.read(name) for name in files.names * 20] == expected)

    processes = [fork.Process(target=read_often) for _ in range(3)]
    for process in processes:
        process.start()
    read_often()
    assert all(queue.get(timeout=30) for _ in range(4))
    for process in processes:
        process.join(30)
