"""The stems of a mix: what a clip is of it."""

from enum import StrEnum
from typing import Literal


class Stem(StrEnum):
    """What a clip is of the mix."""

    DIALOGUE = "dialogue"
    MUSIC = "music"
    EFFECTS = "effects"
    COMPOSITE = "composite"  # all of them in one clip

    def __repr__(self) -> str:
        return repr(self.value)  # as errors of pydantic name it


SeparateStem = Literal[Stem.DIALOGUE, Stem.MUSIC, Stem.EFFECTS]
SEPARATE_STEMS: tuple[SeparateStem, ...] = (Stem.DIALOGUE, Stem.MUSIC, Stem.EFFECTS)  # in order
