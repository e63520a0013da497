"""How the stems of a story are mixed, as data."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from audiostory_core.stem import SeparateStem

LOWEST_DB, HIGHEST_DB = -60.0, 12.0  # of a stem's gain, of the story's and of a scene's each

StemGain = Annotated[float, Field(ge=LOWEST_DB, le=HIGHEST_DB, allow_inf_nan=False)]
StemGains = Annotated[
    dict[SeparateStem, StemGain],
    Field(description="Gain in dB by stem; 0 is as its engine made it.", max_length=3),
]


DuckDepth = Annotated[
    float,
    Field(
        title="Ducking (dB)",
        description="How much quieter music and effects are under speech; 0 is not at all.",
        ge=0,
        le=40,
        allow_inf_nan=False,
    ),
]
DuckAttack = Annotated[
    float,
    Field(
        title="Ducking attack (s)",
        description="How long they fade down before a word, which they then are under.",
        ge=0.01,
        le=5,
        allow_inf_nan=False,
    ),
]
DuckRelease = Annotated[
    float,
    Field(
        title="Ducking release (s)",
        description="How long they take to come back after the last word.",
        ge=0.01,
        le=10,
        allow_inf_nan=False,
    ),
]


class Ducking(BaseModel):
    """How music and effects make room for speech."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    depth_db: DuckDepth = 9.0
    attack_s: DuckAttack = 0.25
    release_s: DuckRelease = 0.6


class MixSettings(BaseModel):
    """How the stems of a whole story are mixed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gain_db: StemGains = {}
    ducking: Ducking = Ducking()
