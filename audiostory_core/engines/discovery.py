"""Finding the cards of all engines: shipped, in folders, and of installed packages.

A package offers an engine by the entry point group `audiostory.engines`; the entry point names a
package that holds `card.toml`. It is found without being imported.
"""

import importlib.metadata
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path

from audiostory_core.engines.card import FILE, Card, name_in, read_card
from audiostory_core.errors import BadInput

GROUP = "audiostory.engines"
SHIPPED = Path(__file__).parent
DEFAULT = "foley"  # needs neither weights nor an installation


@dataclass(frozen=True)
class Problem:
    """An engine that is left out."""

    name: str  # as far as it is known
    why: str


@dataclass(frozen=True)
class Cards:
    """The cards by name, and what is wrong with others."""

    by_name: Mapping[str, Card]
    problems: tuple[Problem, ...] = ()

    def __contains__(self, name: object) -> bool:
        return name in self.by_name

    def __iter__(self) -> Iterator[Card]:
        return iter(self.by_name.values())

    @property
    def names(self) -> tuple[str, ...]:
        """The names that may be used, the default first."""
        return tuple(self.by_name)

    def get(self, name: str, field: str = "engine") -> Card:
        """Return the card of an engine.

        Raises:
            BadInput: listing the names that are known; or saying what is wrong with this one.
        """
        if name in self.by_name:
            return self.by_name[name]
        for problem in self.problems:
            if problem.name == name:
                raise BadInput(
                    field, name, problem.why.rstrip("."), "See `audiostory engines list`."
                )
        known = ", ".join(sorted(self.by_name))
        raise BadInput(field, name, "is not known", f"Use one of: {known}.")


@dataclass
class _Collection:
    cards: dict[str, Card] = field(default_factory=dict)
    twice: dict[str, list[Card]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, name: str, folder: Path | None, origin: str, *, is_shipped: bool = False) -> None:
        if folder is None:
            self.problems.append(Problem(name, f"{origin} holds no {FILE}"))
            return
        try:
            card = read_card(folder, origin, is_shipped=is_shipped)
        except BadInput as error:
            self.problems.append(Problem(name_in(folder) or name, str(error)))
            return
        before = self.cards.setdefault(card.name, card)
        if before.folder.resolve() != folder.resolve():
            self.twice.setdefault(card.name, [before]).append(card)

    def finish(self) -> Cards:
        for name, cards in self.twice.items():
            places = " and ".join(card.where for card in cards)
            kept = "; the shipped one is used" if cards[0].is_shipped else ""
            self.problems.append(Problem(name, f"two engines have this name: {places}{kept}"))
            if not cards[0].is_shipped:
                del self.cards[name]
        return Cards(self.cards, tuple(self.problems))


def find_cards(folders: Sequence[Path] = ()) -> Cards:
    """Find all cards. One that is broken, or whose name is taken, is left out and explained.

    Args:
        folders: each of an engine, or of folders of engines.
    """
    collection = _Collection()
    for folder in sorted(_of_engines(SHIPPED), key=lambda folder: folder.name != DEFAULT):
        collection.add(folder.name, folder, "shipped", is_shipped=True)
    for folder in folders:
        engines = _of_engines(folder)
        if not engines:
            collection.problems.append(Problem(folder.name, f"{folder} holds no {FILE}"))
        for engine in engines:
            collection.add(engine.name, engine, "AUDIOSTORY_ENGINES")
    for point in importlib.metadata.entry_points(group=GROUP):
        origin = f"the package {point.dist.name} {point.dist.version}" if point.dist else point.name
        collection.add(point.name, _folder_of(point), origin)
    return collection.finish()


def _of_engines(folder: Path) -> list[Path]:
    if (folder / FILE).is_file():
        return [folder]
    return sorted(card.parent for card in folder.glob(f"*/{FILE}"))


def _folder_of(point: EntryPoint) -> Path | None:
    """Return the folder of the package that an entry point names; nothing of it is imported."""
    package, *inner = point.value.partition(":")[0].strip().split(".")
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location, *inner)
        if (folder / FILE).is_file():
            return folder
    return None
