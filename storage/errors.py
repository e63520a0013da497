"""Errors of the store.

StoreError
├── NotFound       no such story, clip or mix
├── Conflict       the request contradicts what is stored
│   └── Clash      another transaction stored the same thing at the same moment
├── BadText        text that no database of ours can hold
├── DamagedFile    a stored file is not what its name says
├── StoreTooNew    the data folder was made by a newer version
└── StoreUnusable  the data folder or the database cannot be opened, read or written
"""

from pathlib import Path


class StoreError(Exception):
    """The store cannot serve a request; the message says why and what to do."""


class NotFound(StoreError):
    """Nothing is stored under that name."""

    def __init__(self, what: str, name: object) -> None:
        self.what = what
        self.name = name
        super().__init__(f"{what} {str(name)[:80]!r} does not exist.")


class Conflict(StoreError):
    """A request contradicts what is stored."""


class Clash(Conflict):
    """Another transaction stored the same thing at the same moment; look again."""

    def __init__(self) -> None:
        super().__init__("Another request changed this at the same moment. Look at it, ask again.")


class BadText(StoreError):
    """Text that cannot be stored.

    Args:
        text: that was to be stored, or looked for.
        problem: what is wrong with it.
        remedy: what to do about it.
    """

    def __init__(self, text: str, problem: str, remedy: str) -> None:
        self.text = text
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"The text {text[:80]!r} {problem}. {remedy}")


class DamagedFile(StoreError):
    """A stored file is missing, or its content is not what its name says.

    Args:
        path: of the file.
        problem: what is wrong with it.
    """

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}. See what else is: audiostory verify")


class StoreTooNew(StoreError):
    """The data folder was written by a newer version of the studio."""

    def __init__(self, where: str, schema: str, known: str) -> None:
        super().__init__(
            f"The data folder {where} was made by a newer version (schema {schema}; this version "
            f"knows up to {known}). Upgrade the studio, or name another folder in AUDIOSTORY_HOME."
        )


class StoreUnusable(StoreError):
    """The data folder or the database cannot be opened, read or written.

    Args:
        message: why, and what to do.
        is_passing: it may work again by itself, as after a lost connection: whoever can wait
            begins the whole transaction anew. Whether a lost commit took place is not known.
        lacking_bytes: how much could not be written to the audio folder; 0: not known.
    """

    def __init__(self, message: str, *, is_passing: bool = False, lacking_bytes: int = 0) -> None:
        self.is_passing = is_passing
        self.lacking_bytes = lacking_bytes
        super().__init__(message)
