"""Installing and removing the environments of engines that have their own."""

from collections.abc import Callable

from api.engines.catalog import engines
from api.settings import Settings
from audiostory_core.engines import environment
from audiostory_core.engines.card import NAME
from audiostory_core.engines.environment import EnvironmentState, state_of
from audiostory_core.errors import BadInput


def install_engine(name: str, settings: Settings, on_line: Callable[[str], None]) -> bool:
    """Make an engine's environment; return whether there was anything to do.

    Raises:
        BadInput: if the engine is not known, or needs no environment.
        InstallationFailed: if it cannot be made.
    """
    card = engines().get(name)
    state = state_of(card, settings.environments)
    if state in (EnvironmentState.IN_PROCESS, EnvironmentState.BUILT_IN):
        how = "the studio's own interpreter" if card.environment is None else "Python alone"
        raise BadInput("engine", name, f"runs in {how}", "Use it as it is.")
    return environment.install(card, settings.environments, on_line)


def remove_engine(name: str, settings: Settings) -> None:
    """Delete an engine's environment; the engine may be gone already.

    Raises:
        BadInput: if there is none.
    """
    if not NAME.fullmatch(name) or not environment.remove(name, settings.environments):
        raise BadInput("engine", name, "is not installed", "See `audiostory engines list`.")
