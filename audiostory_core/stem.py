"""The stems of a mix: what a clip is of it."""

from collections.abc import Mapping
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


def engine_names(
    engine: str, engines: Mapping[str, str] | Mapping[SeparateStem, str] | None
) -> tuple[str, ...]:
    """Return the engines that make a story, each once.

    Args:
        engine: that makes what no other is named for.
        engines: by stem; None: scenes are composite, and made by `engine`.
    """
    if engines is None:
        return (engine,)
    return tuple(dict.fromkeys(engines.get(stem, engine) for stem in SEPARATE_STEMS))
