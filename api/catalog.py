"""The engines and planners by name; naming them imports nothing. See building.py."""

from collections.abc import Iterable

from audiostory_core.errors import BadInput

ENGINES = {"foley": "audiostory_core.engines.foley.engine:Foley"}
LONGEST_CLIP_S = {"foley": 33.0}  # as each engine's capabilities say; a test compares
PLANNERS = {"clauses": "audiostory_core.planners.clauses.planner:Clauses"}


def check_name(field: str, name: str, known: Iterable[str]) -> str:
    """Return the name if it is known.

    Raises:
        BadInput: listing the names that are.
    """
    if name not in known:
        raise BadInput(field, name, "is not known", f"Use one of: {', '.join(sorted(known))}.")
    return name
