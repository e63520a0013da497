"""Every kind of sound that foley can make."""

from importlib import import_module
from pkgutil import iter_modules

from audiostory_core.engines.foley import kinds as package
from audiostory_core.engines.foley.sound import Kind


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
