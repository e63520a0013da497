"""What foley sounds like today, pinned in tests/data/sounds.json: a sketch of every sound.

A sketch is the projection of a waveform on a few fixed random directions. Two sketches lie about
as far apart as their waveforms do (Johnson and Lindenstrauss, 1984). So it is small, any other
draw, level, channel or sample shows in it, and the last bits, which are another processor's or
another library's own, stay within `TOLERANCE`; a hash would have to be taken on one machine.

After `SOUND` was raised, this pins what is heard now:

    python -m tests.support.sound_pins
"""

import hashlib
import json
import math
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Self

import numpy as np

from audiostory_core.engines.card import FILE as CARD
from audiostory_core.engines.foley.engine import SOUND, Foley
from audiostory_core.engines.foley.sound import Samples
from audiostory_core.engines.protocol import ClipRequest
from audiostory_core.stem import SEPARATE_STEMS, Stem
from audiostory_core.story.plan import (
    SAMPLE_RATE,
    CastMember,
    SoundKind,
    SoundLayer,
    SpeechLayer,
    StoryPlan,
    SubEvent,
)
from audiostory_core.story.stems import stem_view, stems_of
from audiostory_core.story.timing import starts_of
from tests.support.sounds import FAMILIES, kinds, kinds_of, render

PATH = Path(__file__).parent.parent / "data/sounds.json"
DIRECTIONS = 8
TOLERANCE = 1e-4  # of a sound's own level, -80 dB
KIND_S = 2.0
SCENE_S = 3.0
TAIL_S = 0.5
SHAPE = {"count": 2, "intensity": 0.5, "pace": 1.2, "size": -0.4, "motion": "receding"}
SCORE = {"tonic": 57, "minor": True, "tempo_bpm": 110.0}
LIBRARIES = ("espeakng-loader", "numpy", "scipy", "soxr", "sudachidict-small", "sudachipy")

CAST = (CastMember(name="ANNA", description="a tired woman"),)
STORIES = {  # scenes by their language; each takes over from the one before
    "en": (
        ("Heavy rain on a tin roof of a church, three knocks to the left",),
        ("a truck leaves the station with sirens blaring",),
        ("and drives away", SpeechLayer(words="Who is there?", speaker="ANNA", manner="whispers")),
        (
            "night",
            SoundLayer(kind=SoundKind.AMBIENCE, text="a distant murmuring crowd"),
            SoundLayer(kind=SoundKind.MUSIC, text="a sad piano"),
            SpeechLayer(words="The rain had not stopped for days, and nobody slept."),
            SoundLayer(kind=SoundKind.SFX, text="glass breaks, then a dog barks twice"),
        ),
        ("dripping water echoes in a cave",),
        ("silence",),
    ),
    "ja": (
        ("雨音の中でカエルが鳴き、犬が吠える",),
        ("夜", SpeechLayer(words="今日はいい天気ですね。", manner="angry")),
    ),
}
STEMS = (  # scenes that are heard as a clip a stem
    (
        "A door in the rain",
        SoundLayer(kind=SoundKind.AMBIENCE, text="heavy rain"),
        SoundLayer(kind=SoundKind.SFX, text="three knocks"),
        SpeechLayer(words="Who is there?", speaker="ANNA"),
        SoundLayer(kind=SoundKind.MUSIC, text="a sad piano"),
    ),
    ("Nobody, in a cave", SpeechLayer(words="Nobody.")),
    (
        "A truck leaves, sirens blaring",
        SoundLayer(kind=SoundKind.SFX, text="a truck leaves with sirens blaring"),
    ),
)


@dataclass(frozen=True)
class Sketch:
    """What is kept of a waveform."""

    shape: tuple[int, ...]
    projections: tuple[float, ...]

    @classmethod
    def of(cls, waveform: Samples) -> Self:
        """Draw a waveform; the directions are bits of a raw stream that numpy does not change."""
        size = waveform.size
        bits = np.random.PCG64(1).random_raw(size)
        signs = [1.0 - 2.0 * ((bits >> np.uint64(at)) & np.uint64(1)) for at in range(DIRECTIONS)]
        drawn = [float(signed @ waveform.ravel()) / math.sqrt(size) for signed in signs]
        return cls(waveform.shape, tuple(float(f"{value:.7g}") for value in drawn))

    def distance(self, other: Self) -> float:
        """Return about how loud the difference of two waveforms is, in levels of this one."""
        if self.shape != other.shape:
            return math.inf
        level = max(math.hypot(*self.projections), 1e-9)  # of silence
        return math.dist(self.projections, other.projections) / level


@dataclass(frozen=True)
class Pins:
    """The content of the file: everything that decides what a request sounds like."""

    sound: int
    tables: str
    libraries: Mapping[str, str]
    sketches: Mapping[str, Sketch]

    @classmethod
    def read(cls) -> Self:
        """Read what is pinned."""
        kept = json.loads(PATH.read_text("utf-8"))
        sketches = {
            name: Sketch(tuple(shape), tuple(drawn))
            for name, (shape, drawn) in kept.pop("sketches").items()
        }
        return cls(sketches=sketches, **kept)

    @classmethod
    def now(cls) -> Self:
        """Render everything."""
        drawn = draw_scenes()
        for family in FAMILIES:
            drawn |= draw_kinds(family)
        libraries = {name: metadata.version(name) for name in LIBRARIES}
        return cls(SOUND, digest_tables(), libraries, drawn)

    def write(self) -> None:
        """Pin this, a sound a line."""
        lines = [
            f"  {json.dumps(name, ensure_ascii=False)}: {json.dumps([kept.shape, kept.projections])}"
            for name, kept in sorted(self.sketches.items())
        ]
        head: dict[str, Any] = {"sound": self.sound, "tables": self.tables}
        told = json.dumps(head | {"libraries": self.libraries}, indent=1)
        listed = ",\n".join(lines)
        PATH.write_text(f'{told[:-2]},\n "sketches": {{\n{listed}\n }}\n}}\n', "utf-8")

    def changes(self, drawn: Mapping[str, Sketch]) -> dict[str, float]:
        """Return by how much each sound differs that is not as pinned; infinity where unpinned."""
        far = {
            name: self.sketches[name].distance(one) if name in self.sketches else math.inf
            for name, one in drawn.items()
        }
        return {name: distance for name, distance in far.items() if distance > TOLERANCE}


def explain(changes: Mapping[str, float], pins: Pins) -> str:
    """Say what is to be done about sounds that are not as pinned."""
    installed = {name: metadata.version(name) for name in pins.libraries}
    others = [
        f"{name} {installed[name]}, pinned with {version}"
        for name, version in pins.libraries.items()
        if installed[name] != version
    ]
    return (
        f"{len(changes)} sounds are not as {PATH.name} pins them, by so many of their own levels: "
        f"{ {name: float(f'{distance:.2g}') for name, distance in changes.items()} }.\n"
        "A finished clip is kept under the number SOUND, so a request that sounds different needs "
        "another one. If you meant to change the sound, raise SOUND in "
        "audiostory_core/engines/foley/engine.py, then: python -m tests.support.sound_pins\n"
        "If you did not, the change does more than it should."
        + ("\nOther libraries may be why: " + "; ".join(others) if others else "")
    )


def draw_kinds(family: str) -> dict[str, Sketch]:
    """Render every kind of a family twice: plain, and late, shaped and in another key."""
    drawn: dict[str, Sketch] = {}
    for kind in kinds_of(family):
        drawn[kind.name] = Sketch.of(render(kind.name, KIND_S))
        late = render(kind.name, KIND_S, 2, start=SAMPLE_RATE // 2, block=3, score=SCORE, **SHAPE)
        drawn[f"{kind.name}, shaped"] = Sketch.of(late)
    return drawn


def draw_scenes() -> dict[str, Sketch]:
    """Render whole scenes: words, rooms, speech, music, and what goes on from scene to scene."""
    drawn: dict[str, Sketch] = {}
    engine = Foley()
    try:
        for language, scenes in STORIES.items():
            plan = _plan(language, scenes)
            for place, request in enumerate(_requests(engine, plan)):
                (clip,) = engine.synthesize([request])
                drawn[f"{language} {place + 1}: {request.caption}"] = Sketch.of(clip.waveform)
        plan = _plan("en", STEMS, version=2)
        for stem in SEPARATE_STEMS:
            for place, request in enumerate(_requests(engine, plan, stem)):
                if stem in _stems(engine, plan.sub_events[place]):
                    (clip,) = engine.synthesize([request])
                    drawn[f"en {stem} {place + 1}: {request.caption}"] = Sketch.of(clip.waveform)
    finally:
        engine.close()
    return drawn


def digest_tables() -> str:
    """Digest lexicon, voices, manners and levels as data: neither comments nor file names count."""
    levels = [(kind.name, kind.family, kind.role, kind.level_db) for kind in kinds().values()]
    read = sorted(
        json.dumps(tomllib.loads(page.read_text("utf-8")), ensure_ascii=False)
        for page in _pages(files("audiostory_core.engines.foley"))
    )
    return hashlib.sha256("\n".join([*read, json.dumps(sorted(levels))]).encode()).hexdigest()


def _pages(folder: Traversable) -> list[Traversable]:
    pages: list[Traversable] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            pages += _pages(entry)
        elif entry.name.endswith(".toml") and entry.name != CARD:  # which no sound is made of
            pages.append(entry)
    return pages


def _plan(language: str, scenes: tuple[tuple[Any, ...], ...], version: int = 1) -> StoryPlan:
    events = tuple(
        SubEvent(caption=caption, duration_s=SCENE_S, layers=layers) for caption, *layers in scenes
    )
    return StoryPlan(
        version=version,
        instruction="a story to pin",
        language=language,
        duration_s=SCENE_S * len(events),
        sub_events=events,
        cast=CAST,
    )


def _stems(engine: Foley, event: SubEvent) -> tuple[Stem, ...]:
    return stems_of(event, 2, dict.fromkeys(SEPARATE_STEMS, engine.capabilities))


def _requests(engine: Foley, plan: StoryPlan, stem: Stem = Stem.COMPOSITE) -> list[ClipRequest]:
    conditions: dict[int, Any] = {}
    for part in engine.interleave(plan, range(len(plan.sub_events)), {}, stem):
        conditions |= part
    tail = round(TAIL_S * SAMPLE_RATE)
    views = [stem_view(event, stem, starts_of(event), plan.version) for event in plan.sub_events]
    return [
        ClipRequest(
            caption=views[place].caption,
            layers=views[place].layers,
            samples=event.samples + tail,
            seed=place,
            language=plan.language,
            cast=plan.cast,
            condition=conditions[place],
            parameters={"tail_samples": tail, "story_seed": 1},
            version=plan.version,
            stem=stem,
        )
        for place, event in enumerate(plan.sub_events)
    ]


def main() -> None:
    """Pin every sound as it is now, if `SOUND` was raised where anything sounds different."""
    now = Pins.now()
    if PATH.exists():
        pins = Pins.read()
        pinned = {name: sketch for name, sketch in now.sketches.items() if name in pins.sketches}
        changes = pins.changes(pinned)
        if now.tables != pins.tables:
            changes["tables"] = math.inf
        if changes and pins.sound == SOUND:
            sys.exit(explain(changes, pins))
    now.write()


if __name__ == "__main__":
    main()
