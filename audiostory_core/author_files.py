"""Files that an author names."""

from pathlib import Path

from audiostory_core.errors import BadInput


def check_regular(path: Path, field: str, remedy: str) -> None:
    """Refuse a pipe, a socket or a device: reading it could wait for ever.

    What is missing, or a folder, is told by whoever opens it.

    Raises:
        BadInput: named `field`, with a remedy.
        OSError: if the path cannot be looked at.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise BadInput(field, str(path), "is not a regular file", remedy)
