"""Pulling checkpoints, from a real server on this machine."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import get_token

from api.terminal.shown import shown
from audiostory_core.errors import BadInput, StudioError
from audiostory_core.model.weights.hub import PullFailed, pull
from tests.support.disks import Disk, mount_disk
from tests.support.hub_server import COMMIT, Mirror, mirror, read_folder

__all__ = ["mount_disk"]  # a fixture

REPO, QWEN = "TencentARC/AudioStory-3B", "Qwen/Qwen2.5-3B-Instruct"
BIG = "audiostory_3b/pytorch_model.bin"
CONTENT = random.Random(0).randbytes(25_000_000)  # in two blocks of 10 MiB and a rest
SMALL = CONTENT[:20_000]


@pytest.fixture
def server():
    checkpoint = {
        BIG: CONTENT,
        "audiostory_3b/config.yaml": b"agent_model: {}",
        "Flux_detokenizer/config.json": b"{}",
        "Flux_detokenizer/model.safetensors": SMALL,
        "modeling.py": b"import os",
        "README.md": b"# AudioStory",
        "flan-t5-large/pytorch_model.bin": b"weights that the checkpoint holds already",
        "flan-t5-large/config.json": b'{"model_type": "t5"}',
    }
    language = {
        "config.json": b'{"model_type": "qwen2"}',
        "vocab.json": b"{}",
        "merges.txt": b"",
        "model-00001-of-00002.safetensors": b"weights that the checkpoint holds already",
    }
    with mirror({REPO: checkpoint, QWEN: language}) as started:
        yield started


def test_pull_fetches_what_a_network_needs_and_no_code(server: Mirror, tmp_path: Path) -> None:
    pull(REPO, tmp_path, endpoint=server.endpoint)
    found = read_folder(tmp_path)
    assert sorted(found) == [
        "Flux_detokenizer/config.json",
        "Flux_detokenizer/model.safetensors",
        "Qwen2.5-3B-Instruct/config.json",
        "Qwen2.5-3B-Instruct/merges.txt",
        "Qwen2.5-3B-Instruct/vocab.json",
        "audiostory_3b/config.yaml",
        BIG,
        "flan-t5-large/config.json",
    ]
    assert found[BIG] == CONTENT


def test_no_token_is_sent_to_a_mirror(
    server: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert get_token() == "hf_secret"
    pull(REPO, tmp_path, endpoint=server.endpoint)
    assert len(server.asked) > 10
    for _, path, headers in server.asked:
        assert "hf_secret" not in path + str(headers)
        assert "authorization" not in {name.lower() for name in headers}


def test_second_pull_fetches_nothing_again(server: Mirror, tmp_path: Path) -> None:
    pull(REPO, tmp_path, endpoint=server.endpoint)
    server.asked.clear()
    pull(REPO, tmp_path, endpoint=server.endpoint)
    assert all(path.startswith("/api/") for _, path, _ in server.asked)


def test_transfer_that_breaks_goes_on_where_it_stopped(server: Mirror, tmp_path: Path) -> None:
    server.breaks.add(BIG)
    pull(REPO, tmp_path, endpoint=server.endpoint)
    assert [sent.get("Range") for sent in server.sent(BIG)] == [None, "bytes=10485760-"]
    assert (tmp_path / BIG).read_bytes() == CONTENT


def test_pull_that_is_given_up_goes_on_where_it_stopped(server: Mirror, tmp_path: Path) -> None:
    folder = tmp_path / "audiostory_3b"

    def give_up(done: int, total: int) -> None:
        if done > 15_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(REPO, tmp_path, endpoint=server.endpoint, on_progress=give_up)
    (part,) = folder.glob(".*.part")
    arrived = part.stat().st_size
    assert 0 < arrived < len(CONTENT)

    server.asked.clear()
    pull(REPO, tmp_path, endpoint=server.endpoint)
    assert [sent.get("Range") for sent in server.sent(BIG)] == [f"bytes={arrived}-"]
    assert (tmp_path / BIG).read_bytes() == CONTENT
    assert not list(folder.glob(".*.part"))


def test_progress_ends_at_all_bytes(server: Mirror, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    pull(REPO, tmp_path, endpoint=server.endpoint, on_progress=lambda *both: told.append(both))
    total = sum(map(len, read_folder(tmp_path).values()))
    assert told[-1] == (total, total)


def test_file_that_arrives_damaged_is_not_kept(server: Mirror, tmp_path: Path) -> None:
    server.spoiled.add(BIG)
    with pytest.raises(PullFailed, match="arrived damaged"):
        pull(REPO, tmp_path, endpoint=server.endpoint)
    assert not list((tmp_path / "audiostory_3b").glob("*pytorch_model*"))
    server.spoiled.clear()
    pull(REPO, tmp_path, endpoint=server.endpoint)
    assert (tmp_path / BIG).read_bytes() == CONTENT


def test_file_that_was_changed_here_is_fetched_again(server: Mirror, tmp_path: Path) -> None:
    pull(REPO, tmp_path, endpoint=server.endpoint)
    (tmp_path / BIG).write_bytes(b"x" * len(CONTENT))
    pull(REPO, tmp_path, endpoint=server.endpoint)
    assert (tmp_path / BIG).read_bytes() == CONTENT


def test_revision_is_asked_for(server: Mirror, tmp_path: Path) -> None:
    pull(QWEN, tmp_path, revision=COMMIT, endpoint=server.endpoint)
    assert any(COMMIT in path for _, path, _ in server.asked)
    with pytest.raises(BadInput, match="is none of"):
        pull(QWEN, tmp_path, revision="nowhere", endpoint=server.endpoint)


@pytest.mark.parametrize("repo", ["nobody/nothing", "no name", "../..", "a/b/c", ""])
def test_repository_that_is_not_there_is_one_clear_error(
    server: Mirror, tmp_path: Path, repo: str
) -> None:
    with pytest.raises(BadInput, match="repo"):
        pull(repo, tmp_path / "target", endpoint=server.endpoint)
    assert not (tmp_path / "target").exists()


def test_repository_cannot_write_outside_the_target(server: Mirror, tmp_path: Path) -> None:
    server.repositories[REPO]["../outside.json"] = b"{}"
    with pytest.raises(BadInput, match=r"\.\./outside\.json"):
        pull(REPO, tmp_path / "target", endpoint=server.endpoint)
    assert not list(tmp_path.iterdir())


def test_repository_of_something_else_is_an_error(server: Mirror, tmp_path: Path) -> None:
    server.repositories["some/code"] = {"main.py": b"", "README.md": b""}
    with pytest.raises(BadInput, match="holds no file of a checkpoint"):
        pull("some/code", tmp_path, endpoint=server.endpoint)


def test_server_that_does_not_answer_is_one_clear_error(tmp_path: Path) -> None:
    with mirror({}) as gone:
        endpoint = gone.endpoint
    with pytest.raises(StudioError, match="could not be read"):
        pull(REPO, tmp_path, endpoint=endpoint)


@pytest.mark.parametrize("endpoint", ["ftp://example.org", "mirror", "https://"])
def test_endpoint_that_is_no_address_is_an_error(tmp_path: Path, endpoint: str) -> None:
    with pytest.raises(BadInput, match="is no address"):
        pull(REPO, tmp_path, endpoint=endpoint)


def test_disk_without_room_is_told_before_anything_is_fetched(
    server: Mirror, tmp_path: Path, mount_disk: Callable[[Path, int], Disk]
) -> None:
    disk = mount_disk(tmp_path / "disk", 10)
    with pytest.raises(BadInput, match="MB more"):
        pull(REPO, disk.folder / "target", endpoint=server.endpoint)
    assert not server.sent(BIG)


def test_target_that_cannot_be_written_is_an_error(
    server: Mirror, tmp_path: Path, mount_disk: Callable[[Path, int], Disk]
) -> None:
    disk = mount_disk(tmp_path / "disk", 10)
    disk.set_writable(False)
    with pytest.raises(BadInput, match="cannot be written"):
        pull(REPO, disk.folder / "target", endpoint=server.endpoint)


def test_no_more_is_written_than_the_size_that_is_listed(server: Mirror, tmp_path: Path) -> None:
    path = "Flux_detokenizer/config.json"
    server.longer[path] = 400_000_000

    with pytest.raises(PullFailed, match="longer than the 2 bytes that are listed"):
        pull(REPO, tmp_path, endpoint=server.endpoint)

    assert server.sent_bytes < 100_000_000
    assert not list((tmp_path / "Flux_detokenizer").iterdir())


ENTRY = {"type": "file", "path": "config.json", "size": 2, "oid": "0" * 40}
LFS = {"oid": "0" * 64, "size": 2, "pointerSize": 134}
ODD_LISTINGS = [
    b"", b"{", b"null", b"1", b'"x"', b"[1]", b"[null]", b"[[]]", b"[{}]", b"{}", b"\xff\xfe",
    b"9" * 5_000, b"[" * 100_000 + b"]" * 100_000, b'[{"type": "file"}]', b'[{"type": "directory"}]',
    *(
        json.dumps([ENTRY | change]).encode()
        for change in (
            {"path": None}, {"path": 1}, {"path": ""}, {"path": "/config.json"}, {"path": "a/../config.json"},
            {"path": "\x1b[2Jconfig.json"}, {"path": "\u202econfig.json"}, {"path": "a" * 600 + ".json"},
            {"path": "\ud800.json"}, {"path": "a\0.json"},
            {"size": None}, {"size": "2"}, {"size": -1}, {"size": 2.5}, {"size": True}, {"size": 2**70},
            {"size": [2]}, {"oid": None}, {"oid": 1}, {"oid": "../../../../x"}, {"oid": ""},
            {"lfs": 1}, {"lfs": []}, {"lfs": {}}, {"lfs": LFS | {"oid": "../x"}}, {"lfs": LFS | {"oid": None}},
            {"lfs": LFS | {"size": -5}}, {"lastCommit": 1}, {"lastCommit": {"id": 1}},
            {"securityFileStatus": 1}, {"type": 7},
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    "listing", ODD_LISTINGS, ids=[f"listing {n}" for n in range(len(ODD_LISTINGS))]
)
def test_odd_listing_is_one_clear_error_and_writes_nothing(
    server: Mirror, tmp_path: Path, listing: bytes
) -> None:
    server.listing = listing

    with pytest.raises(StudioError) as refused:
        pull(QWEN, tmp_path / "target", endpoint=server.endpoint)

    assert len(str(refused.value)) < 500
    assert shown(str(refused.value)) == str(refused.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "about",
    [b"", b"null", b"[]", b'{"sha": 1}', b'{"id": "x", "sha": "../.."}', b'{"createdAt": 1}', b"9" * 5_000,
     b'{"id": "x", "lastModified": "yesterday"}', b'{"siblings": 1}', b"[" * 100_000],
    ids=lambda about: about[:40].decode(),
)  # fmt: skip
def test_odd_description_of_a_repository_is_one_clear_error(
    server: Mirror, tmp_path: Path, about: bytes
) -> None:
    server.about = about

    with pytest.raises(StudioError) as refused:
        pull(QWEN, tmp_path / "target", endpoint=server.endpoint)

    assert shown(str(refused.value)) == str(refused.value)
    assert not list(tmp_path.iterdir())
