"""The shape of a layer: how loud, where, when, how often, in units that no engine gives.

All of it is optional. A field that is None is not written, so that layers without a shape are
stored, and hashed into clip keys, as they were before there were shapes.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

QUIETEST_DB, LOUDEST_DB = -60.0, 12.0
LONGEST_S = 600.0  # of a fade, a pause, and of what comes before a start
MOST_EVENTS = 24  # more are not counted by ear
MOST_SCENES = 100_000
ShapeName = Literal[  # of what an engine may honor; spans are resolved before it sees a layer
    "gain_db",
    "pan",
    "distance",
    "start_s",
    "fade_in_s",
    "fade_out_s",
    "pause_before_s",
    "count",
    "pace",
]
SHAPES: tuple[ShapeName, ...] = get_args(ShapeName)
RANGES = {  # the least and the most of each number
    "gain_db": (QUIETEST_DB, LOUDEST_DB),
    "pan": (-1.0, 1.0),
    "distance": (0.0, 1.0),
    "start_s": (0.0, LONGEST_S),
    "fade_in_s": (0.0, LONGEST_S),
    "fade_out_s": (0.0, LONGEST_S),
    "pause_before_s": (0.0, LONGEST_S),
    "count": (1, MOST_EVENTS),
}


class Pace(StrEnum):
    """How fast a sound repeats or plays, compared with its own habit.

    Words and not events per second: rain, an engine or a melody have a pace, but no events that
    anybody counts.
    """

    VERY_SLOW = "very slow"
    SLOW = "slow"
    NORMAL = "normal"  # its habit, whatever the text says
    FAST = "fast"
    VERY_FAST = "very fast"


def _is_unset(value: object) -> bool:
    return value is None


def _field(title: str, description: str, **limits: Any) -> Any:
    return Field(title=title, description=description, exclude_if=_is_unset, **limits)


def _seconds(title: str, description: str) -> Any:
    return _field(title, description, ge=0, le=LONGEST_S, allow_inf_nan=False)


GainDb = Annotated[
    float | None,
    _field(
        "Gain (dB)",
        "Louder (above 0) or quieter (below 0) than the layer is by itself.",
        ge=QUIETEST_DB,
        le=LOUDEST_DB,
        allow_inf_nan=False,
    ),
]
Pan = Annotated[
    float | None,
    _field("Position", "-1 left, 0 middle, 1 right.", ge=-1, le=1, allow_inf_nan=False),
]
Distance = Annotated[
    float | None,
    _field(
        "Distance",
        "0 near, 1 far: some 18 dB weaker, duller, and more of the room.",
        ge=0,
        le=1,
        allow_inf_nan=False,
    ),
]
Start = Annotated[
    float | None,
    _seconds("Start (s)", "After the start of its scene; without it, sounds take turns."),
]
LineStart = Annotated[
    float | None,
    _seconds(
        "Start (s)",
        "After the start of its scene, or right after the line before it if that is not over; "
        "without it, lines take turns with sounds.",
    ),
]
FadeIn = Annotated[float | None, _seconds("Fade in (s)", "From where the layer begins.")]
FadeOut = Annotated[
    float | None, _seconds("Fade out (s)", "To the end of the sound or of its last scene.")
]
Pause = Annotated[float | None, _seconds("Pause before (s)", "Nobody speaks, then this line.")]
Count = Annotated[int | None, _field("Count", "How many times it happens.", ge=1, le=MOST_EVENTS)]
PaceOrNone = Annotated[
    Pace | None, _field("Pace", "How fast it repeats or plays, compared with its own habit.")
]
Span = Annotated[
    int | None,
    _field(
        "Scenes",
        "How many scenes it is heard in: this one and those after it.",
        ge=1,
        le=MOST_SCENES,
    ),
]


class ClipShape(BaseModel):
    """What the studio does to a whole clip because its engine cannot.

    A fade in begins where the clip does, after its start; a fade out ends with the scene.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    gain_db: GainDb = None
    pan: Pan = None
    start_s: Start = None
    fade_in_s: FadeIn = None
    fade_out_s: FadeOut = None
