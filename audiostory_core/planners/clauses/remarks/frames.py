"""What a remark asks of one scene, told from which words are in it; every word must have its part.

A frame is a kind of wish: the tags that it needs and those that may stand beside them. A remark
is of the first frame that has a part for each of its words.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from audiostory_core.planners.clauses.remarks.vocabulary import FILLER, MANNER, VOICE_WORD, Tagged

TARGETS = frozenset(
    ("sound", "music", "line", "speaker", "person", "voice", "everything", "sounds")
)
LINES = frozenset(("line", "speaker", "person", "voice", "says"))
DEGREES = frozenset(("slightly", "much", "even"))
DIALS = frozenset(
    ("farther", "closer", "quieter", "louder", "faster", "slower", "bigger", "smaller", "more",
     "fewer")
)  # fmt: skip
SIDES = {"left": -0.8, "right": 0.8, "middle": 0.0}


@dataclass(frozen=True)
class Frame:
    """A kind of wish."""

    name: str
    needs: frozenset[str]  # one of them
    may: frozenset[str]

    def fits(self, tagged: Tagged) -> bool:
        """Tell whether every span has a part in it, and one is needed."""
        allowed = self.needs | self.may | {FILLER}
        return any(span.tags & self.needs for span in tagged.spans) and all(
            span.tags & allowed for span in tagged.spans
        )


def _frame(name: str, needs: Iterable[str], *may: Iterable[str]) -> Frame:
    return Frame(name, frozenset(needs), frozenset().union(*may))


_LINE_TARGETS = LINES | {"everything"}
FRAMES = (
    _frame("fade", ("fade_in", "fade_out"), TARGETS, ("length", "at_start", "at_end", "over"), DEGREES),
    _frame("voice", (VOICE_WORD,), LINES),
    _frame("dial", DIALS, TARGETS, DEGREES, ("says",)),
    _frame("manner", (MANNER,), _LINE_TARGETS, DEGREES),
    _frame("pan", SIDES, TARGETS, ("pan", "move", "even", "says", "slightly", "farther")),
    _frame("pause", ("pause",), LINES, ("before", "length", "opens", "at_start", "plus", "longer", "even")),
    _frame("opening_silence", ("silence",), ("opens", "at_start", "length", "before", "plus", "everything")),
    _frame("time", ("time_for",), TARGETS),
    _frame("length", ("length", "factor"), ("plus", "minus", "longer", "shorter", "lasting", "to_length", "everything", "even", "sound", "sounds")),
    _frame("remove", ("remove",), TARGETS),
    _frame("lasting", ("longer", "shorter"), ("everything",), DEGREES, ("sound",)),
    _frame("count", ("number",), ("sound", "times", "only", "everything")),
    _frame("moment", ("later", "earlier"), TARGETS, ("length", "opens", "says"), DEGREES),
)  # fmt: skip


def frames_of(tagged: Tagged) -> list[Frame]:
    """Return the frames that have a part for every word, the likeliest first."""
    return [] if tagged.unread() else [frame for frame in FRAMES if frame.fits(tagged)]


def wants_lines(tagged: Tagged) -> bool:
    """Tell whether spoken lines are named."""
    return any(span.tags & LINES and FILLER not in span.tags for span in tagged.spans)
