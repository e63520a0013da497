import fcntl
import os
import threading
import time
from contextlib import contextmanager

import pytest

from audiostory_core.errors import BadInput
from audiostory_core.model.vllm.state_files import StateFolder, StatesLost

PATIENCE_S = 0.2


@pytest.fixture
def folder(tmp_path):
    folder = StateFolder(tmp_path / "states")
    folder.make()
    return folder


def write(folder, name, content=b"states"):
    path = folder.folder / name
    path.write_bytes(content)
    path.with_name(f"{name}.lock").touch()
    return path


@contextmanager
def locked(path):
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_file_is_read_once_and_deleted(folder):
    path = write(folder, "cmpl-1.safetensors")

    assert folder.take(str(path), PATIENCE_S) == b"states"
    assert list(folder.folder.iterdir()) == []
    with pytest.raises(StatesLost):
        folder.take(str(path), PATIENCE_S)


def test_only_the_base_name_of_what_a_server_told_counts(folder, tmp_path):
    write(folder, "cmpl-1.safetensors")
    outside = tmp_path / "cmpl-1.safetensors"
    outside.write_bytes(b"secret")

    assert folder.take(str(outside), PATIENCE_S) == b"states"
    assert outside.read_bytes() == b"secret"


@pytest.mark.parametrize(
    "name",
    ["", "..", ".hidden.safetensors", "passwd", "a b.safetensors", "a\0.safetensors", "x" * 400],
)
def test_strange_names_are_refused(folder, name):
    with pytest.raises(BadInput, match="AUDIOSTORY_LLM_STATES"):
        folder.take(f"/somewhere/{name}", PATIENCE_S)


def test_links_are_not_followed_and_their_targets_are_kept(folder, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    for name, locks in (("a.safetensors", False), ("b.safetensors", True)):
        path = write(folder, name)
        linked = path.with_name(f"{name}.lock") if locks else path
        linked.unlink()
        linked.symlink_to(secret)
        with pytest.raises(StatesLost):
            folder.take(str(path), PATIENCE_S)

    assert secret.read_bytes() == b"secret"
    assert list(folder.folder.iterdir()) == []


def test_pipe_keeps_nobody_waiting(folder):
    path = write(folder, "a.safetensors")
    path.unlink()
    os.mkfifo(path)

    with pytest.raises(StatesLost, match="is no file of states"):
        folder.take(str(path), PATIENCE_S)


def test_writer_is_waited_for_but_not_for_ever(folder):
    path = write(folder, "a.safetensors", b"half")
    is_locked = threading.Event()

    def write_slowly():
        with locked(path):
            is_locked.set()
            time.sleep(0.3)
            path.write_bytes(b"whole")

    writer = threading.Thread(target=write_slowly)
    writer.start()
    is_locked.wait()
    assert folder.take(str(path), 30.0) == b"whole"
    writer.join()

    path = write(folder, "b.safetensors", b"half")
    with locked(path), pytest.raises(StatesLost, match="is still being written"):
        folder.take(str(path), PATIENCE_S)


def test_sweeping_deletes_old_states_and_nothing_else(folder):
    old, young, foreign = (write(folder, name) for name in ("a.safetensors", "b.safetensors", "c"))
    long_ago = time.time() - 1000
    for path in (old, old.with_name("a.safetensors.lock"), foreign):
        os.utime(path, (long_ago, long_ago))

    assert folder.sweep(600) == 2
    assert {path.name for path in folder.folder.iterdir()} == {
        young.name, "b.safetensors.lock", "c", "c.lock"
    }  # fmt: skip
    assert StateFolder(folder.folder / "missing").sweep() == 0


def test_folder_is_its_users_alone(folder, tmp_path):
    assert folder.folder.stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(folder.folder)
    with pytest.raises(BadInput, match="is not a folder of this user"):
        StateFolder(tmp_path / "link").make()
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="cannot be made"):
        StateFolder(tmp_path / "file").make()
    with pytest.raises(BadInput, match="cannot be opened"):
        StateFolder(tmp_path / "missing").take("a.safetensors", PATIENCE_S)
