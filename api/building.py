"""Building engines and planners; imports whatever they need, so never in the HTTP process."""

import importlib
from collections.abc import Callable
from typing import Any

from api.catalog import ENGINES, NEED_WEIGHTS, PLANNERS, check_name, check_weights
from api.settings import Settings
from audiostory_core.engines.protocol import Engine
from audiostory_core.errors import BadInput
from audiostory_core.planners.protocol import Planner

MANIFEST = "manifest.json"  # of converted weights
FIND_SOURCES = "audiostory_core.model.checkpoint:find_sources"
NETWORK = "audiostory_core.model.network:Network"


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

    def engine(self, name: str) -> Engine:
        """Build an engine.

        Raises:
            BadInput: if it is not known, or its weights cannot be used.
        """
        made: Engine = self._build("engine", name, ENGINES)
        return made

    def planner(self, name: str) -> Planner:
        """Build a planner.

        Raises:
            BadInput: if it is not known, or its weights cannot be used.
        """
        made: Planner = self._build("planner", name, PLANNERS)
        return made

    def why_unusable(self, field: str, name: str) -> str | None:
        """Return why an engine or planner cannot be used here, or None if it can."""
        try:
            check_weights(field, name, self._settings.weights)
            _find((ENGINES if field == "engine" else PLANNERS)[name])
            if name in NEED_WEIGHTS:
                self._look()
        except ImportError as error:
            extra = "'.[model]'" if name in NEED_WEIGHTS else "."
            return f"{error}. Install the studio again: pip install -e {extra}"
        except BadInput as error:
            return f"{error.problem}. {error.remedy}" if error.field == field else str(error)
        return None

    def describe(self, name: str) -> str:
        """Say what a usable engine or planner computes with."""
        if name not in NEED_WEIGHTS:
            return "usable"
        if self._network is None:
            return "usable: weights as published, converted when they are first used"
        network = self._network
        return f"usable: weights {network.revision[:12]}, {network.precision} on {network.device}"

    def _look(self) -> None:
        weights = self._settings.weights
        if self._looks_only and weights is not None and not (weights / MANIFEST).is_file():
            _find(FIND_SOURCES)(weights)
        else:
            self._open_network()

    def _build(self, field: str, name: str, known: dict[str, str]) -> Any:
        target = known[check_name(field, name, known)]
        why = self.why_unusable(field, name)
        if why is not None:
            raise BadInput(field, name, "is not usable here", why)
        return _find(target)(self._open_network()) if name in NEED_WEIGHTS else _find(target)()

    def _open_network(self) -> Any:
        if self._network is None:
            settings = self._settings
            self._network = _find(NETWORK)(
                settings.weights,
                settings.models,
                device=settings.device,
                precision=settings.precision and str(settings.precision),
                compiles=settings.compiles,
            )
        return self._network


def _find(target: str) -> Callable[..., Any]:
    module, attribute = target.split(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return found
