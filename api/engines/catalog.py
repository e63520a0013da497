"""The engines that are known here, by their cards, and what each lacks; none is imported."""

import importlib.util
from functools import lru_cache
from pathlib import Path

from api.engines.planners import check_weights
from api.settings import Settings, read_settings
from audiostory_core.engines.card import Card
from audiostory_core.engines.discovery import DEFAULT, Cards, find_cards
from audiostory_core.engines.environment import EnvironmentState, state_of
from audiostory_core.errors import BadInput

__all__ = ["DEFAULT", "check_engine", "engines", "weights_of", "why_not_here"]

_find = lru_cache(find_cards)


def engines() -> Cards:
    """Return all cards, read once; a new one is seen by the next process."""
    return _find(read_settings().engines or ())


def weights_of(card: Card, settings: Settings) -> Path | None:
    """Return the folder where an engine's weights belong; None: nobody has named one.

    An engine that runs in process shares the studio's network.
    """
    return settings.weights if card.environment is None else settings.models / card.name


def check_engine(field: str, name: str, settings: Settings) -> Card:
    """Return the card of an engine that has its weights and its environment here.

    Raises:
        BadInput: saying what it lacks, and how to come by it.
    """
    card = engines().get(name, field)
    if card.weights is not None and card.environment is None:
        check_weights(field, name, settings.weights)
    elif card.weights is not None and not (settings.models / name).is_dir():
        raise BadInput(
            field,
            name,
            "needs weights, and there are none",
            f"Put those of {card.weights.source} into $AUDIOSTORY_HOME/models/{name}.",
        )
    if state_of(card, settings.environments) == EnvironmentState.MISSING:
        remedy = f"Run: audiostory engines install {name}"
        raise BadInput(field, name, "is not installed", remedy)
    return card


def why_not_here(card: Card, settings: Settings) -> str | None:
    """Say why an engine cannot be used here, as far as can be known without loading it."""
    try:
        check_engine("engine", card.name, settings)
    except BadInput as error:
        return f"{error.problem}. {error.remedy}"
    missing = [name for name in card.modules if importlib.util.find_spec(name) is None]
    if card.environment is None and missing:
        return f"{', '.join(missing)} not installed. {how_to_install(card)}"
    return None


def how_to_install(card: Card) -> str:
    """Say how to install what an engine imports in process."""
    if not card.is_shipped:
        return f"Install what the engine {card.name} needs beside the studio."
    what = "." if card.extra is None else f"'.[{card.extra}]'"
    return f"Install the studio again: pip install -e {what}"
