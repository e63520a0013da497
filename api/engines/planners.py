"""The planners by name, and what they need; naming them imports nothing."""

from collections.abc import Iterable
from pathlib import Path

from audiostory_core.errors import BadInput

PLANNERS = {
    "clauses": "audiostory_core.planners.clauses.planner:Clauses",
    "audiostory": "audiostory_core.planners.audiostory.planner:AudioStoryPlanner",
    "chat": "audiostory_core.planners.chat.planner:Chat",
}
WORDS_BY_CLAUSES = ("clauses", "audiostory")  # whose changes in words `clauses` reads
NEED_WEIGHTS = ("audiostory",)
NEED_SERVER = ("chat",)


def check_name(field: str, name: str, known: Iterable[str]) -> str:
    """Return the name if it is known.

    Raises:
        BadInput: listing the names that are.
    """
    if name not in known:
        raise BadInput(field, name, "is not known", f"Use one of: {', '.join(sorted(known))}.")
    return name


def check_weights(field: str, name: str, weights: Path | None) -> None:
    """Refuse what needs the network's weights where none are named.

    Raises:
        BadInput: saying how to name them; with the field `weights` if their folder is not there.
    """
    if weights is None:
        raise BadInput(
            field,
            name,
            "needs weights, and none are named",
            "Give --weights FOLDER, or set AUDIOSTORY_WEIGHTS.",
        )
    if not weights.is_dir():
        raise BadInput("weights", str(weights), "is no folder", "Name an existing folder.")


def check_planner(field: str, name: str, weights: Path | None, chat_url: str | None) -> None:
    """Refuse a planner that is not known, or whose weights or server are not named.

    Raises:
        BadInput: saying how to name them.
    """
    check_name(field, name, PLANNERS)
    if name in NEED_WEIGHTS:
        check_weights(field, name, weights)
    if name in NEED_SERVER and chat_url is None:
        raise BadInput(
            field,
            name,
            "asks a language model, and no server is named",
            "Set AUDIOSTORY_CHAT_URL, for example to http://localhost:8000/v1.",
        )
