"""Checkpoints from the Hugging Face Hub or a mirror of it.

`huggingface_hub` speaks with the server and honors HF_ENDPOINT, HF_HUB_OFFLINE and the proxies of
the environment. Its own snapshots begin a file of eight gigabytes anew when the process ends; here
the part that has arrived is kept, and every file is compared with the hash that the server lists.
"""

import fcntl
import hashlib
import io
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Self, cast
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined] # lazily exported

from audiostory_core.errors import BadInput, StudioError

HUB = "huggingface.co"
WANTED = (
    "*.json",
    "*.txt",
    "*.yaml",
    "*.jinja",
    "*.safetensors",
    "*pytorch_model.bin",
    "*LICENSE*",
)
UNUSED = (  # the checkpoint's one file holds these weights already
    "*Qwen2.5*/*.safetensors",
    "*Qwen2.5*/*.bin",
    "*flan-t5*/*.bin",
)
WEIGHTS = "*pytorch_model.bin"
QWEN = "Qwen/Qwen2.5-3B-Instruct"  # tokenizer and config.json, where a checkpoint comes without
QWEN_WANTED = ("config.json", "tokenizer*.json", "vocab.json", "merges.txt", "LICENSE*")
BLOCK_BYTES = 1 << 20
PART = ".part"
MAX_FILES = 20_000  # of a repository
COMMIT = re.compile(r"\w{1,64}", re.ASCII)
LONGEST_PATH = 500  # characters
SHA256, GIT_HASH = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{40}")

OnProgress = Callable[[int, int], None]
"""Told how many bytes of how many have arrived; may raise to give up, and what is there stays."""


class PullFailed(StudioError):
    """The hub could not be reached, or what it sent is damaged; the message says which."""


@dataclass(frozen=True)
class _Hub:
    """One server, spoken to with the author's token only if it is the hub itself."""

    endpoint: str
    token: bool | None  # None sends the token that is stored; False none

    @classmethod
    def at(cls, endpoint: str | None) -> Self:
        endpoint = (endpoint or constants.ENDPOINT).rstrip("/")
        address = urlsplit(endpoint)
        if address.scheme not in ("http", "https") or not address.hostname:
            remedy = f"Give an address such as https://{HUB}."
            raise BadInput("endpoint", endpoint, "is no address of a server", remedy)
        is_hub = address.scheme == "https" and address.hostname == HUB
        return cls(endpoint, None if is_hub else False)

    def files(self, repo: str, revision: str | None, wanted: tuple[str, ...]) -> list["_Remote"]:
        """The files of a repository that are needed."""
        commit, listed = self._list(repo, revision)
        return [_Remote.of(repo, commit, file) for file in listed if _matches(file.path, wanted)]

    def _list(self, repo: str, revision: str | None) -> tuple[str, list[RepoFile]]:
        """A commit of a repository, and its files as the server tells of them."""
        api = HfApi(endpoint=self.endpoint, token=self.token)
        try:
            commit = api.model_info(repo, revision=revision).sha or constants.DEFAULT_REVISION
            tree = api.list_repo_tree(repo, recursive=True, revision=commit)
            listed = list(islice(tree, MAX_FILES + 1))
        except (HFValidationError, httpx2.HTTPError):
            raise
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        ):
            # what the client library makes of an answer that is not as it expects
            raise PullFailed(f"{self.endpoint} describes {repo} as no hub does.") from None
        if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
            raise PullFailed(f"{self.endpoint} names a commit of {repo} that is none.")
        if len(listed) > MAX_FILES:
            raise PullFailed(f"{repo} has more than {MAX_FILES} files: no checkpoint has.")
        return commit, [file for file in listed if isinstance(file, RepoFile)]

    def fetch(self, remote: "_Remote", part: Path, arrived: "_Arrived") -> None:
        """Get what is missing of a file."""
        url = hf_hub_url(remote.repo, remote.path, revision=remote.commit, endpoint=self.endpoint)
        with _Limited(io.FileIO(part, "ab"), remote.size) as file:
            there = file.tell()
            arrived.update(there)
            http_get(
                url,
                file,
                resume_size=there,
                headers=build_hf_headers(token=self.token),
                expected_size=remote.size,
                tqdm_class=cast(Any, arrived.bar),
            )
            file.flush()
            os.fsync(file.fileno())


@dataclass(frozen=True)
class _Remote:
    """A file of a repository at one commit."""

    repo: str
    commit: str
    path: str
    size: int
    sha256: str | None  # of large files
    blob: str  # of the others: git's hash

    @classmethod
    def of(cls, repo: str, commit: str, file: RepoFile) -> Self:
        large = file.lfs
        size = file.size if large is None else large.size
        sha256 = None if large is None else large.sha256
        is_named = SHA256 if large is not None else GIT_HASH
        digest = file.blob_id if large is None else sha256
        is_sound = (
            _is_inside(file.path)
            and type(size) is int
            and 0 <= size <= constants.MAX_HTTP_DOWNLOAD_SIZE
            and isinstance(digest, str)
            and is_named.fullmatch(digest) is not None
        )
        if not is_sound:
            shown = repr(file.path)[:200]
            raise BadInput("repo", repo, f"lists a file {shown}", "Use another repository.")
        return cls(repo, commit, file.path, size, sha256, file.blob_id)

    def is_at(self, path: Path) -> bool:
        """Whether a file is this one, by its hash."""
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        if self.sha256 is not None:
            return _hash(path, hashlib.sha256()) == self.sha256
        git = hashlib.sha1(f"blob {self.size}\0".encode(), usedforsecurity=False)
        return _hash(path, git) == self.blob


class _TooLong(Exception):
    """More comes than was listed."""


class _Limited(io.BufferedWriter):
    """A file that never holds more bytes than were listed."""

    def __init__(self, raw: io.FileIO, limit: int) -> None:
        super().__init__(raw)
        self._limit = limit

    def write(self, block: Any) -> int:
        if self.tell() + len(block) > self._limit:
            raise _TooLong
        return super().write(block)


class _Arrived:
    """Adds up bytes of all files; stands where huggingface_hub would draw a bar."""

    def __init__(self, total: int, on_progress: OnProgress | None) -> None:
        self._done, self._total, self._on_progress = 0, total, on_progress

    def bar(self, **_: Any) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, more: float | None = 1) -> None:
        self._done += int(more or 0)
        if self._on_progress is not None:
            self._on_progress(min(self._done, self._total), self._total)


def pull(
    repo: str,
    target: Path,
    *,
    revision: str | None = None,
    endpoint: str | None = None,
    on_progress: OnProgress | None = None,
) -> None:
    """Fetch a checkpoint; what has arrived already is not fetched again.

    The files that a network needs, and never code. A published checkpoint that comes without
    Qwen2's tokenizer gets it from `Qwen/Qwen2.5-3B-Instruct`, so that it can be converted.

    Args:
        repo: such as `TencentARC/AudioStory-3B`.
        target: is made; holds what an earlier, interrupted pull has fetched.
        revision: branch, tag or commit; None is the newest.
        endpoint: address of a mirror; None is HF_ENDPOINT, else the hub. No token is ever sent to
            a mirror.
        on_progress: of bytes; may raise.

    Raises:
        BadInput: if there is no such repository or revision, or no room; naming the remedy.
        PullFailed: if the server cannot be reached or sends something else than it lists.
    """
    hub = _Hub.at(endpoint)
    with _explained(repo, revision, hub.endpoint):
        remotes = hub.files(repo, revision, WANTED)
        if not remotes:
            problem = "holds no file of a checkpoint"
            raise BadInput(
                "repo", repo, problem, "Name a repository such as TencentARC/AudioStory-3B."
            )
        places = [(remote, target / remote.path) for remote in remotes]
        has_weights = any(fnmatch(remote.path, WEIGHTS) for remote in remotes)
        if has_weights and not any(fnmatch(remote.path, "*Qwen*") for remote in remotes):
            folder = target / QWEN.rpartition("/")[2]
            places += [(one, folder / one.path) for one in hub.files(QWEN, None, QWEN_WANTED)]
        with _held(target):
            _fetch_all(hub, target, places, on_progress)


def _fetch_all(
    hub: _Hub,
    target: Path,
    places: list[tuple[_Remote, Path]],
    on_progress: OnProgress | None,
) -> None:
    arrived = _Arrived(sum(remote.size for remote, _ in places), on_progress)
    missing = []
    for remote, path in places:
        if remote.is_at(path):
            arrived.update(remote.size)
        else:
            missing.append((remote, path, _part(remote, path)))
    _check_room(target, missing)
    for remote, path, part in missing:
        path.parent.mkdir(parents=True, exist_ok=True)
        if part.is_file() and part.stat().st_size > remote.size:
            part.unlink()
        try:
            hub.fetch(remote, part, arrived)
        except _TooLong:
            part.unlink()
            problem = f"is longer than the {remote.size} bytes that are listed, and was removed"
            raise PullFailed(f"{remote.path} {problem}.") from None
        if not remote.is_at(part):
            part.unlink()
            raise PullFailed(f"{remote.path} arrived damaged and was removed; pull again.")
        part.replace(path)


def _part(remote: _Remote, path: Path) -> Path:
    """Where a file grows; named by its content, so that no two versions are ever joined."""
    return path.with_name(f".{path.name}.{(remote.sha256 or remote.blob)[:16]}{PART}")


def _check_room(target: Path, missing: Iterable[tuple[_Remote, Path, Path]]) -> None:
    needed = sum(
        remote.size - (part.stat().st_size if part.is_file() else 0) for remote, _, part in missing
    )
    free = shutil.disk_usage(target).free
    if needed > free:
        problem = f"needs {needed >> 20} MB more and its disk has {free >> 20} MB"
        raise BadInput("target", str(target), problem, "Free some space, or use --to.")


def _is_inside(path: str) -> bool:
    """Whether a path lies in the target, and can be shown."""
    parts = PurePosixPath(path)
    is_below = not parts.is_absolute() and ".." not in parts.parts and bool(parts.name)
    return is_below and path.isprintable() and len(path) <= LONGEST_PATH


def _matches(path: Any, wanted: tuple[str, ...]) -> bool:
    if not isinstance(path, str):
        return False
    is_wanted = any(fnmatch(path, pattern) for pattern in wanted)
    return is_wanted and not any(fnmatch(path, pattern) for pattern in UNUSED)


def _hash(path: Path, digest: Any) -> str:
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return str(digest.hexdigest())


@contextmanager
def _held(target: Path) -> Iterator[None]:
    """Make the folder, and let a second pull into it wait for the first."""
    try:
        target.mkdir(parents=True, exist_ok=True)
        folder = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        problem = f"cannot be written ({error.strerror})"
        raise BadInput("target", str(target), problem, "Name another folder.") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


@contextmanager
def _explained(repo: str, revision: str | None, endpoint: str) -> Iterator[None]:
    """Say what a server's answer means to whoever asked."""
    try:
        yield
    except HFValidationError as error:
        raise BadInput("repo", repo, "is no name of a repository", "Give OWNER/NAME.") from error
    except OfflineModeIsEnabled as error:
        remedy = "Unset HF_HUB_OFFLINE, or copy the checkpoint here by other means."
        raise BadInput("repo", repo, "cannot be fetched offline", remedy) from error
    except GatedRepoError as error:
        remedy = "Accept its terms on the hub and run `hf auth login`."
        raise BadInput("repo", repo, f"asks for consent at {endpoint}", remedy) from error
    except RepositoryNotFoundError as error:
        remedy = "Check its name; a private one needs `hf auth login`."
        raise BadInput("repo", repo, f"is not at {endpoint}", remedy) from error
    except RevisionNotFoundError as error:
        remedy = "Give a branch, tag or commit of it."
        raise BadInput("revision", revision, f"is none of {repo}", remedy) from error
    except (HfHubHTTPError, httpx2.HTTPError) as error:
        told = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise PullFailed(f"{endpoint} could not be read ({told}); pull again to go on.") from error
    except OSError as error:
        raise PullFailed(f"{repo} could not be fetched ({error}); pull again to go on.") from error
