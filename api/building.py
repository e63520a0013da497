"""Building engines and planners; imports whatever they need, so never in the HTTP process."""

import importlib
from collections.abc import Callable
from typing import Any

from api.catalog import ENGINES, PLANNERS, check_name
from audiostory_core.engines.protocol import Engine
from audiostory_core.planners.protocol import Planner


def build_engine(name: str) -> Engine:
    """Build an engine."""
    engine: Engine = _find(ENGINES[check_name("engine", name, ENGINES)])()
    return engine


def build_planner(name: str) -> Planner:
    """Build a planner."""
    planner: Planner = _find(PLANNERS[check_name("planner", name, PLANNERS)])()
    return planner


def why_unusable(target: str) -> str | None:
    """Return why an engine or planner cannot be used here, or None if it can."""
    try:
        _find(target)
    except ImportError as error:
        return f"{error}. Install the studio again: pip install -e ."
    return None


def _find(target: str) -> Callable[[], Any]:
    module, attribute = target.split(":")
    found: Callable[[], Any] = getattr(importlib.import_module(module), attribute)
    return found
