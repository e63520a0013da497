"""Voices of a story described anew, in single scenes or wherever somebody speaks."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from audiostory_core.story.edits import Edit, Voice
from audiostory_core.story.plan import CastMember, StoryPlan


def with_voices(
    cast: Sequence[Mapping[str, Any]], voices: Iterable[CastMember]
) -> list[dict[str, Any]]:
    """Return a cast, as JSON, in which the voices have taken the places of those of their names."""
    members = {member["name"]: dict(member) for member in cast}
    members |= {voice.name: voice.model_dump(mode="json") for voice in voices}
    return list(members.values())


def recast(plan: StoryPlan, edits: Iterable[Edit]) -> dict[str, Any]:
    """Return the cast of a plan after edits as its part of the plan; nothing if it stays."""
    voices = [
        CastMember(name=edit.speaker, description=edit.description)
        for edit in edits
        if isinstance(edit, Voice) and edit.sub_event is None
    ]
    cast = [member.model_dump(mode="json") for member in plan.cast]
    return {"cast": with_voices(cast, voices)} if voices else {}
