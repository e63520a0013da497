"""Engines of the tests: folders with cards, and how a studio comes to know them."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audiostory_core.engines.card import CardFile
from audiostory_core.story.shape import SHAPES

ENGINES = Path(__file__).with_name("engines")
TOY = Path(__file__).parents[1] / "data" / "engines" / "toy"
TROUBLED = Path(__file__).with_name("troubled")
VARIABLE = "AUDIOSTORY_ENGINES"


@contextmanager
def engines_in(*folders: Path) -> Iterator[None]:
    """Have this process, and those it starts, know the engines in some folders, too."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = ",".join(map(str, folders))
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def write_card(folder: Path, more: str = "", **fields: object) -> Path:
    """Write a card into a folder, which is made; return the folder.

    Args:
        folder: of the engine.
        more: TOML that comes after the fields: its tables.
        fields: that differ from those of a small engine.
    """
    values: dict[str, object] = {
        "name": folder.name,
        "title": folder.name.title(),
        "description": "An engine of a test.",
        "entry": "engine:Engine",
        "stems": ["effects"],
    } | fields
    lines = [f"{name} = {_toml(value)}" for name, value in values.items() if value is not None]
    limits = "" if "[limits]" in more else "[limits]\nlongest_clip_s = 20.0\n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.toml").write_text("\n".join([*lines, limits, more]) + "\n", "utf-8")
    return folder


def card_of(name: str, **fields: object) -> CardFile:
    """Return the card of an engine that makes everything at once and honors every shape.

    Args:
        name: of the engine.
        fields: that differ.
    """
    values: dict[str, object] = {
        "name": name,
        "title": name,
        "description": "An engine of a test.",
        "entry": "engine:Engine",
        "stems": ("dialogue", "music", "effects"),
        "composite": True,
        "shapes": SHAPES,
        "limits": {"longest_clip_s": 33.0},
    }
    return CardFile.model_validate(values | fields, strict=False)


def install_plugin(site: Path, name: str, *, package: str, engine: Path | None = None) -> Path:
    """Install a package that offers an engine into a folder of modules, as pip would.

    Args:
        site: the folder.
        name: of the engine.
        package: that holds it; importing it fails.
        engine: folder that it is a copy of; None: a small card.
    """
    folder = site / package
    if engine is None:
        write_card(folder, name=name, title=name)
    else:
        shutil.copytree(engine, folder)
    (folder / "__init__.py").write_text("raise RuntimeError('this package was imported')\n")
    metadata = site / f"{name}_plugin-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Name: {name}-plugin\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[audiostory.engines]\n{name} = {package}\n")
    return folder


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
