"""The engines and planners by name; naming them imports nothing. See engine_factory.py."""

from collections.abc import Iterable
from pathlib import Path

from audiostory_core.errors import BadInput

ENGINES = {
    "foley": "audiostory_core.engines.foley.engine:Foley",
    "audiostory": "audiostory_core.engines.audiostory.engine:AudioStory",
}
LONGEST_CLIP_S = {  # as each engine's capabilities say; a test compares
    "foley": 33.0,
    "audiostory": 645 * 2048 / 44_100,  # 29.95 s: the latents of the published network
}
PER_CORE = ("foley",)  # make a clip on one core; the others load weights, once for all cores
PARAMETERS = {"foley": (), "audiostory": ("steps", "guidance", "precision")}  # a test compares
PLANNERS = {
    "clauses": "audiostory_core.planners.clauses.planner:Clauses",
    "audiostory": "audiostory_core.planners.audiostory.planner:AudioStoryPlanner",
    "chat": "audiostory_core.planners.chat.planner:Chat",
}
WORDS_BY_CLAUSES = ("clauses", "audiostory")  # planners whose changes in words `clauses` reads
NEED_WEIGHTS = ("audiostory",)  # names of engines and planners
NEED_SERVER = ("chat",)  # names of planners


def check_name(field: str, name: str, known: Iterable[str]) -> str:
    """Return the name if it is known.

    Raises:
        BadInput: listing the names that are.
    """
    if name not in known:
        raise BadInput(field, name, "is not known", f"Use one of: {', '.join(sorted(known))}.")
    return name


def check_weights(field: str, name: str, weights: Path | None) -> None:
    """Refuse an engine or planner that needs weights where none are named.

    Raises:
        BadInput: saying how to name them; with the field `weights` if their folder is not there.
    """
    if name in NEED_WEIGHTS and weights is None:
        raise BadInput(
            field,
            name,
            "needs weights, and none are named",
            "Give --weights FOLDER, or set AUDIOSTORY_WEIGHTS.",
        )
    if name in NEED_WEIGHTS and weights is not None and not weights.is_dir():
        raise BadInput("weights", str(weights), "is no folder", "Name an existing folder.")


def check_server(field: str, name: str, url: str | None) -> None:
    """Refuse a planner that asks a chat server where none is named.

    Raises:
        BadInput: saying how to name it.
    """
    if name in NEED_SERVER and url is None:
        raise BadInput(
            field,
            name,
            "asks a language model, and no server is named",
            "Set AUDIOSTORY_CHAT_URL, for example to http://localhost:8000/v1.",
        )
