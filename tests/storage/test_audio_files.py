import hashlib
import os
import time
from pathlib import Path

import pytest

from storage.audio_files import AudioFiles
from storage.errors import StoreUnusable
from storage.identity import check_identity


def test_audio_file_is_named_by_its_content(tmp_path: Path):
    files = AudioFiles(tmp_path / "audio")

    name = files.add(".flac", b"sound")

    assert name == hashlib.sha256(b"sound").hexdigest() + ".flac"
    assert files.path(name).read_bytes() == b"sound"
    assert files.add(".flac", b"sound") == name
    assert list(files.folder.glob("*/*")) == [files.path(name)]
    assert list(files.folder.glob("*.tmp")) == []


def test_audio_folder_that_cannot_be_written_is_explained(tmp_path: Path):
    (tmp_path / "audio").write_text("a file where the folder should be")

    with pytest.raises(StoreUnusable, match=r"audio.*resume the story"):
        AudioFiles(tmp_path / "audio").add(".flac", b"sound")


def test_audio_file_is_whole_only_with_the_content_its_name_says(tmp_path: Path):
    files = AudioFiles(tmp_path / "audio")
    name = files.add(".flac", b"sound" * 1_000_000)

    assert files.is_whole(name)
    with files.path(name).open("r+b") as file:
        file.truncate(100)
    assert not files.is_whole(name)
    files.path(name).unlink()
    assert not files.is_whole(name)


def test_damaged_audio_file_is_moved_aside_and_a_whole_one_is_not(tmp_path: Path):
    files = AudioFiles(tmp_path / "audio")
    whole, broken = files.add(".flac", b"sound"), files.add(".flac", b"another")
    files.path(broken).write_bytes(b"another"[:-1])

    assert not files.set_aside(whole)
    assert files.set_aside(broken)

    assert files.is_whole(whole)
    assert not files.path(broken).exists()
    assert [path.name for path, _ in files.find_leftovers()] == [f"{broken}.damaged"]


def test_audio_file_that_was_made_again_is_not_removed_as_an_old_one(tmp_path: Path):
    files = AudioFiles(tmp_path / "audio")
    name = files.add(".flac", b"sound")
    os.utime(files.path(name), (0, 0))

    files.add(".flac", b"sound")
    assert not files.remove_older(files.path(name), 3600)

    os.utime(files.path(name), (0, 0))
    assert files.remove_older(files.path(name), 3600)
    assert not files.remove_older(files.path(name), 3600)


def test_audio_folder_that_cannot_be_written_fails_its_probe(tmp_path: Path):
    files = AudioFiles(tmp_path / "audio")
    files.folder.mkdir()
    files.probe()
    assert list(files.folder.iterdir()) == []

    files.folder.rmdir()
    with pytest.raises(StoreUnusable, match="cannot be written"):
        files.probe()


async def test_audio_folder_of_another_store_is_refused(studio, tmp_path: Path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "store-id").write_text("somebody-else")

    with pytest.raises(StoreUnusable, match="belongs to store somebody-else"):
        await check_identity(studio.store.database, other, "fresh")


def test_audio_file_is_read_once_until_it_is_written_to(tmp_path: Path):
    files = AudioFiles(tmp_path / "audio")
    path = files.path(files.add(".au", b"sound"))
    assert files.find_problem(path) is None
    time.sleep(0.1)  # what is written at this moment may be written to again unseen

    assert files.is_intact(path)
    with path.open("r+b") as file:
        file.write(b"S")
    os.utime(path, (0, 0))
    assert files.find_problem(path) is None  # nobody has read it since
    assert not files.is_intact(path)
    assert files.find_damaged({path.name}) == {path.name: "damaged"}

    time.sleep(0.1)
    assert not files.is_intact(path)
    assert files.find_problem(path) == "is damaged"
    path.unlink()
    assert not files.is_intact(path)
    assert files.find_problem(path) == "is missing"


def test_audio_file_elsewhere_is_intact_if_its_name_ends_in_its_hash(tmp_path: Path):
    files = AudioFiles(tmp_path / "audio")
    digest = hashlib.sha256(b"sound").hexdigest()
    for name, is_intact in (
        (f"{'0' * 64}-{digest}.flac", True),
        (f"{digest}-{'0' * 64}.flac", False),
        ("sound.flac", False),
    ):
        (tmp_path / name).write_bytes(b"sound")
        assert files.is_intact(tmp_path / name) is is_intact
