"""Which voice a speaker gets, from the words about them."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from audiostory_core.engines.foley.speech.cues import Cues, plain

NARRATOR = "m3"
MEN = ("m2", "m8", "rob", "m7", "quincy", "m4", "miguel", "m1")
WOMEN = ("f2", "linda", "f1", "f3", "shelby", "f4", "belinda", "f5")
BOYS = ("Annie", "f3", "belinda")
GIRLS = ("Annie", "f5", "linda")
OLD_MEN = ("grandpa", "m1", "david")
OLD_WOMEN = ("grandma", "aunty", "f1")
ROBOTS = ("robosoft3", "robosoft5", "robosoft")
STEP = 8  # pitch steps between speakers who share a variant
LOWEST_PITCH, PITCH_SPAN = 25, 61  # where they may lie


@dataclass(frozen=True)
class Voice:
    """How one speaker of the cast sounds."""

    variant: str  # of espeak-ng, e.g. m2, f3
    pitch: int  # 0 … 99; 50 is the variant's own
    rate_wpm: int  # words a minute when nothing hurries
    pitch_range: int = 50  # 0 monotone … 99 lively


@dataclass(frozen=True)
class SpeakerWords:
    """Words that say how a speaker sounds."""

    female: Cues
    male: Cues
    female_names: Cues
    male_names: Cues
    child: Cues
    old: Cues
    robot: Cues

    @classmethod
    def load(cls) -> "SpeakerWords":
        """Read `speech/speakers.toml`."""
        path = Path(__file__).with_name("speakers.toml")
        tables: dict[str, dict[str, list[str]]] = tomllib.loads(path.read_text("utf-8"))
        names = {key: Cues.of(tables[key].pop("names")) for key in ("female", "male")}
        words = {
            key: Cues.of(word for words in table.values() for word in words)
            for key, table in tables.items()
        }
        return cls(female_names=names["female"], male_names=names["male"], **words)

    def voice_for(self, speaker: str | None, description: str, index: int) -> Voice:
        """See `Speech.voice_for`."""
        name, about = plain(speaker or ""), plain(description)
        text = f"{name}\n{about}"
        is_female = self._is_female(name, about)
        is_child = bool(self.child.spans(text))
        is_old = bool(self.old.spans(text)) and not is_child
        if self.robot.spans(text):
            return _voice(ROBOTS, index, pitch=40, rate_wpm=155, pitch_range=10)
        if speaker is None and is_female is None and not is_child and not is_old:
            return Voice(NARRATOR, pitch=50, rate_wpm=160)
        if is_female is None:
            is_female = index % 2 == 1
        if is_child:
            return _voice(GIRLS, index, 71, 175) if is_female else _voice(BOYS, index, 60, 180)
        if is_old:
            return _voice(OLD_WOMEN if is_female else OLD_MEN, index, 45, 140)
        return _voice(WOMEN if is_female else MEN, index, 50, 165)

    def _is_female(self, name: str, about: str) -> bool | None:
        for text, with_names in ((name, True), (about, False)):
            female = self.female.spans(text) or (with_names and self.female_names.spans(text))
            male = self.male.spans(text) or (with_names and self.male_names.spans(text))
            if female and male:
                return min(female) <= min(male)  # "女の子", "boyfriend": the longer lies inside
            if female or male:
                return bool(female)
        return None


def _voice(
    variants: tuple[str, ...], index: int, pitch: int, rate_wpm: int, pitch_range: int = 50
) -> Voice:
    round_number, place = divmod(index, len(variants))
    return Voice(
        variants[place],
        # However many share a variant, each has its own pitch: the step and the span are coprime.
        pitch=LOWEST_PITCH + (pitch - LOWEST_PITCH + STEP * round_number) % PITCH_SPAN,
        rate_wpm=rate_wpm + (7 * index) % 17 - 8,
        pitch_range=pitch_range,
    )
