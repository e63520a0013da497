import hashlib
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
    assert [path for path in files.folder.rglob("*") if path.is_file()] == [files.path(name)]


def test_audio_folder_that_cannot_be_written_is_explained(tmp_path: Path):
    (tmp_path / "audio").write_text("a file where the folder should be")

    with pytest.raises(StoreUnusable, match=r"audio.*resume the story"):
        AudioFiles(tmp_path / "audio").add(".flac", b"sound")


async def test_audio_folder_of_another_store_is_refused(studio, tmp_path: Path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "store-id").write_text("somebody-else")

    with pytest.raises(StoreUnusable, match="belongs to store somebody-else"):
        await check_identity(studio.store.database, other, "fresh")
