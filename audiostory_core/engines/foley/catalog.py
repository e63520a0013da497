"""Every kind of sound that foley can make, and the revision of all that decides how it sounds."""

import hashlib
from importlib import import_module, metadata
from importlib.resources import files
from importlib.resources.abc import Traversable
from pkgutil import iter_modules

from audiostory_core.engines.foley import kinds as package
from audiostory_core.engines.foley.sound import Kind

_FOLEY = "audiostory_core.engines.foley"
_LIBRARIES = ("espeakng-loader", "numpy", "scipy", "soxr", "sudachidict-small", "sudachipy")
_SUFFIXES = (".py", ".toml")


def load_kinds() -> dict[str, Kind]:
    """Return every kind by name, from the `KINDS` of each module in kinds/.

    Raises:
        ValueError: if two different kinds have one name.
    """
    kinds: dict[str, Kind] = {}
    for module in sorted(iter_modules(package.__path__), key=lambda module: module.name):
        listed: tuple[Kind, ...] = getattr(
            import_module(f"{package.__name__}.{module.name}"), "KINDS", ()
        )
        for kind in listed:
            if kinds.setdefault(kind.name, kind) is not kind:
                raise ValueError(f"two kinds of sound are named {kind.name!r}")
    return kinds


def code_revision() -> str:
    """Return a digest that changes with foley's code, its lexicon and the libraries it computes by."""
    digest = hashlib.sha256()
    for path, content in sorted(_contents(files(_FOLEY), "")):
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    for library in _LIBRARIES:
        digest.update(f"{library}=={metadata.version(library)}\0".encode())
    return digest.hexdigest()[:16]


def _contents(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    contents: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        path = f"{prefix}/{entry.name}"
        if entry.is_dir():
            contents += _contents(entry, path)
        elif entry.name.endswith(_SUFFIXES):
            contents.append((path, entry.read_bytes()))
    return contents
