"""A small disk that can be filled and made read-only, in earnest, where the tests may mount one."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

FILLER = "filler"
BLOCK = bytes(4096)


class Disk:
    """A file system of its own in memory.

    Args:
        folder: where it is mounted.
        size_mb: how much it holds.
    """

    def __init__(self, folder: Path, size_mb: int) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        _mount("-t", "tmpfs", "-o", f"size={size_mb}m", "none", str(folder))

    def fill(self, *, but_bytes: int = 0) -> None:
        """Leave no room, or this much."""
        with (self.folder / FILLER).open("ab", buffering=0) as filler:
            with suppress(OSError):
                while filler.write(BLOCK):
                    pass
            filler.truncate(filler.tell() - but_bytes)

    def free(self) -> None:
        """Make room again."""
        (self.folder / FILLER).unlink()

    def set_writable(self, is_writable: bool) -> None:
        """Mount it anew, for reading alone or not."""
        _mount("-o", f"remount,{'rw' if is_writable else 'ro'}", str(self.folder))

    def close(self) -> None:
        """Take it away, whoever still uses it."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


@pytest.fixture
def mount_disk() -> Iterator[Callable[[Path, int], Disk]]:
    """Mounts disks; a test that asks for it is left out where nothing may be mounted."""
    mounted: list[Disk] = []

    def mount(folder: Path, size_mb: int) -> Disk:
        try:
            mounted.append(Disk(folder, size_mb))
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("only root may mount a disk")
        return mounted[-1]

    yield mount
    for disk in mounted:
        disk.close()
