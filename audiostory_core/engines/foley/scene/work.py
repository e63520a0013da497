"""What the parts of a scene cost to make, so that its progress can be reported in even steps.

In milliseconds of one core, as measured; only their proportions matter.
"""

from collections.abc import Sequence

from audiostory_core.engines.foley.scene.script import Cue, Turn
from audiostory_core.engines.foley.sound import Role
from audiostory_core.story.plan import SAMPLE_RATE, SpeechLayer

BED_BLOCK = 48.0
ONESHOT = 12.0
LASTING_SECOND = 6.0  # of a sustained sound or of music
SAID_CHARACTER = 0.15  # of a line: at its own pace, hurried, and again in its place
MIXED_SECOND = 4.0  # of a scene: rooms, levels, what gives way to what


def of_preparing(turns: Sequence[Turn]) -> float:
    """Return what it costs to make lines and sounds that have a length of their own."""
    return of_hurrying(turns) + ONESHOT * sum(_is_cue(turn, lasts=False) for turn in turns)


def of_hurrying(turns: Sequence[Turn]) -> float:
    """Return what it costs to speak the lines among the turns once more."""
    return SAID_CHARACTER * sum(len(turn.words) for turn in turns if isinstance(turn, SpeechLayer))


def of_playing(turns: Sequence[Turn], samples: int) -> float:
    """Return what it costs to put the turns of one slot, of about so many samples, in place."""
    lasting = sum(_is_cue(turn, lasts=True) for turn in turns)
    return of_hurrying(turns) + LASTING_SECOND * lasting * samples / SAMPLE_RATE


def of_mixing(samples: int) -> float:
    """Return what it costs to mix a scene of so many samples."""
    return MIXED_SECOND * samples / SAMPLE_RATE


def fills_slot(turns: Sequence[Turn]) -> bool:
    """Return whether a sound among the turns lasts as long as it may."""
    return any(_is_cue(turn, lasts=True) for turn in turns)


def _is_cue(turn: Turn, *, lasts: bool) -> bool:
    return isinstance(turn, Cue) and (turn.kind.role is not Role.ONESHOT) == lasts
