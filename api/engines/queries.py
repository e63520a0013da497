"""Engines as they stand here; nothing is loaded."""

from api.engines.catalog import DEFAULT, engines, why_not_here
from api.engines.schemas import EngineView
from api.settings import Settings
from audiostory_core.engines.card import Card
from audiostory_core.engines.environment import state_of
from storage.errors import NotFound


def list_engines(settings: Settings) -> list[EngineView]:
    """Return all engines whose cards can be read, the default first."""
    return [_view(card, settings) for card in engines()]


def view_engine(name: str, settings: Settings) -> EngineView:
    """Return an engine.

    Raises:
        NotFound: if there is none of that name.
    """
    if name not in engines():
        raise NotFound("engine", name)
    return _view(engines().get(name), settings)


def _view(card: Card, settings: Settings) -> EngineView:
    return EngineView.of(
        card,
        why_not_here(card, settings),
        state_of(card, settings.environments),
        is_default=card.name == DEFAULT,
    )
