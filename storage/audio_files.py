"""Audio files named by their content, so that equal sounds are one file and nothing is overwritten.

No name here ever comes from a user.
"""

import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path

from storage.errors import StoreUnusable


class AudioFiles:
    """The audio folder of a store.

    Args:
        folder: made when missing; shared by all workers of the store.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        """Return where the file of that content name lies."""
        return self.folder / name[:2] / name

    def add(self, suffix: str, content: bytes) -> str:
        """Write a file under a temporary name, then give it the name of its content.

        Args:
            suffix: with its dot, `.flac`.
            content: the whole file.

        Returns:
            The content name: sha256 of the bytes and the suffix.

        Raises:
            StoreUnusable: if the disk is full or the folder may not be written; nothing is left.
        """
        name = hashlib.sha256(content).hexdigest() + suffix
        final = self.path(name)
        temporary = self.folder / f"{secrets.token_hex(8)}.tmp"
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(final)
            _sync_folder(final.parent)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            raise StoreUnusable(
                f"The audio folder {self.folder} cannot be written: {error.strerror or error}. "
                "Free some space or fix its permissions, then resume the story."
            ) from error
        return name


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
