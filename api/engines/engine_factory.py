"""Building engines and planners; imports whatever they need, so never in the HTTP process."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

from api.engines.catalog import check_engine, engines, how_to_install, weights_of
from api.engines.planners import NEED_SERVER, NEED_WEIGHTS, PLANNERS, check_name, check_planner
from api.settings import ONE_THREAD, Settings, foreign_environment
from audiostory_core.engines.environment import command_of
from audiostory_core.errors import BadInput

if TYPE_CHECKING:  # a planner of words needs no numpy
    from audiostory_core.engines.card import Card
    from audiostory_core.engines.protocol import Engine
    from audiostory_core.planners.protocol import Planner

UNIMPORTABLE = (ImportError, AttributeError, SyntaxError, NameError, TypeError, ValueError)
MANIFEST = "manifest.json"  # of converted weights
FIND_SOURCES = "audiostory_core.model.weights.published:find_sources"
CHAT_CLIENT = "audiostory_core.llm.client:ChatClient"
CHAT_IMPATIENCE = "audiostory_core.llm.client:once"
CHAT_SERVER = "audiostory_core.llm.client:ChatServer"
NETWORK = "audiostory_core.model.network:Network"
HOSTED = "audiostory_core.engines.host.engine:HostedEngine"
SERVED = "audiostory_core.model.network:Served"


class Parts:
    """The engines and planners of one process; those with weights share one network.

    Args:
        settings: which weights, and how to compute with them.
        looks_only: tell what is usable, and convert no published weights for it.
    """

    def __init__(self, settings: Settings, *, looks_only: bool = False) -> None:
        self._settings = settings
        self._looks_only = looks_only
        self._network: Any = None
        self._chat: Any = None

    def engine(self, name: str) -> Engine:
        """Build an engine.

        Raises:
            BadInput: if it is not known, or its weights cannot be used.
        """
        card = engines().get(name)
        self._check("engine", name)
        made: Engine
        if card.environment is not None:
            made = self._host(card)
        else:
            factory = _find(card.entry)
            made = factory() if card.weights is None else factory(self._open_network())
        return made

    def planner(self, name: str) -> Planner:
        """Build a planner.

        Raises:
            BadInput: if it is not known, or its weights cannot be used.
        """
        target = PLANNERS[check_name("planner", name, PLANNERS)]
        self._check("planner", name)
        made: Planner
        if name in NEED_SERVER:
            made = _find(target)(self._open_chat())
        elif name in NEED_WEIGHTS:
            made = _find(target)(self._open_network())
        else:
            made = _find(target)()
        return made

    def why_unusable(self, field: str, name: str) -> str | None:
        """Return why an engine or planner cannot be used here, or None if it can."""
        try:
            if field == "engine":
                self._look_at_engine(name)
            else:
                self._look_at_planner(name)
        except ImportError as error:
            return f"{error}. {self._how_to_install(field, name)}"
        except BadInput as error:
            return f"{error.problem}. {error.remedy}" if error.field == field else str(error)
        return None

    def describe(self, field: str, name: str) -> str:
        """Say what a usable engine or planner computes with."""
        if field == "engine" and (card := engines().get(name)).environment is not None:
            return f"usable: {card.title}, in an interpreter of its own"
        if field == "planner" and name in NEED_SERVER and self._chat is not None:
            return f"usable: {self._settings.chat_model or 'its only model'} at {self._chat.where}"
        if not self._has_weights(field, name):
            return "usable"
        if self._network is None:
            return "usable: weights as published, converted when they are first used"
        network = self._network
        text = f"usable: weights {network.revision[:12]}, {network.precision} on {network.device}"
        url = self._settings.llm_url
        return text if url is None else f"{text}, language model at {url}"

    def why_helpless(self, entry: str) -> str | None:
        """Call a function that a card names for a part of its engine; see `Card.helpers`."""
        try:
            why: str | None = _find(entry)()
        except UNIMPORTABLE as error:
            return str(error)
        return why

    def list_chat_models(self) -> list[str]:
        """Ask the chat server, once, which models it has.

        Raises:
            BadInput: naming the setting, if its address or key is wrong.
            LanguageModelAway: if it does not answer.
        """
        with closing(self._make_chat(_find(CHAT_IMPATIENCE)())) as client:
            names: list[str] = client.list_models()
        return names

    def _open_chat(self) -> Any:
        if self._chat is None:
            self._chat = self._make_chat()
        return self._chat

    def _make_chat(self, *patience: Any) -> Any:
        settings = self._settings
        server = _find(CHAT_SERVER)(settings.chat_url, settings.chat_model, settings.chat_key)
        return _find(CHAT_CLIENT)(server, *patience)

    def _look(self) -> None:
        weights = self._settings.weights
        if self._looks_only and weights is not None and not (weights / MANIFEST).is_file():
            _find(FIND_SOURCES)(weights)
        else:
            self._open_network()

    def _check(self, field: str, name: str) -> None:
        why = self.why_unusable(field, name)
        if why is not None:
            raise BadInput(field, name, "is not usable here", why)

    def _look_at_engine(self, name: str) -> None:
        card = check_engine("engine", name, self._settings)
        if card.environment is None:
            _import(card)
            if card.weights is not None:
                self._look()

    def _look_at_planner(self, name: str) -> None:
        check_planner("planner", name, self._settings.weights, self._settings.chat_url)
        _find(PLANNERS[name])
        if name in NEED_WEIGHTS:
            self._look()
        if name in NEED_SERVER:
            self._open_chat()

    def _how_to_install(self, field: str, name: str) -> str:
        if field == "engine":
            return how_to_install(engines().get(name))
        what = "'.[model]'" if name in NEED_WEIGHTS else "."
        return f"Install the studio again: pip install -e {what}"

    def _has_weights(self, field: str, name: str) -> bool:
        if field == "engine":
            return engines().get(name).weights is not None
        return name in NEED_WEIGHTS

    def _host(self, card: Card) -> Any:
        return _find(HOSTED)(
            card,
            command_of(card, self._settings.environments),
            foreign_environment(ONE_THREAD if card.one_core else {}),
            None if card.weights is None else weights_of(card, self._settings),
        )

    def _open_network(self) -> Any:
        if self._network is None:
            settings = self._settings
            self._network = _find(NETWORK)(
                settings.weights,
                settings.models,
                device=settings.device,
                precision=settings.precision and str(settings.precision),
                compiles=settings.compiles,
                served=settings.llm_url
                and _find(SERVED)(settings.llm_url, settings.llm_states, settings.llm_pooling_url),
            )
        return self._network


def load_engine(name: str) -> None:
    """Load what all instances of an engine share, for processes that will be forked from this one."""
    card = engines().get(name)
    factory = _find(card.entry if card.environment is None else HOSTED)
    if card.is_shipped and card.environment is None and card.weights is None:
        factory().close()  # what others do when they begin is theirs to do once


def _import(card: Card) -> None:
    """Import an engine that runs in process.

    Raises:
        BadInput: if that cannot be done, whatever its author did wrong.
    """
    try:
        _find(card.entry)
    except UNIMPORTABLE as error:
        problem = f"{error}" if isinstance(error, ImportError) else f"{card.entry} fails: {error}"
        raise BadInput("engine", card.name, problem, how_to_install(card)) from error


def _find(target: str) -> Callable[..., Any]:
    module, attribute = target.split(":")
    factory: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return factory
