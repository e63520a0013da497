"""Chaos: the processes that make a story, or revise it, are killed at random instants.

A kill counts if the process had opened the store, and of the clips that are wanted at least one
was finished, its row committed, before it, and at least one was not finished after it; or if the
process was in the middle of conditioning scenes.
"""

import asyncio
import hashlib
import os
import random
import signal
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select

from api.exports.service import open_mix
from api.revisions.service import ask, resume
from audiostory_core.story.changes import Edits
from audiostory_core.story.edits import read_edits
from audiostory_core.story.plan import StoryPlan
from storage import stories
from storage.models import (
    Clip,
    Mix,
    Revision,
    RunState,
    SceneStem,
    SceneVersion,
    SegmentRow,
    Take,
    Wait,
)
from tests.support import tone_process
from tests.support.cards import ENGINES, VARIABLE
from tests.support.studio import Studio

SCENES = 20
LOOK_S = 0.005  # between two looks at the log of the engines
PATIENCE_S = 60.0  # without a line in the log before a process is killed all the same
CLOCK_S = 0.01  # SQLite's clock counts milliseconds
MAX_KILLS = {SCENES: 40, SCENES + 1: 6}  # of one story as it is made, and as it is revised


@dataclass
class Figures:
    """What was done to stories, and what it cost them."""

    stories: int = 0
    kills: int = 0  # all
    counted_making: int = 0
    counted_revising: int = 0
    counted_conditioning: int = 0
    resumed: int = 0  # times that a clip or run had killed three processes, and was tried again
    clips: int = 0  # finished
    begun: int = 0  # calls of the engine
    cut_short: int = 0  # those that a kill ended
    repeated: int = 0  # calls for a clip that was finished
    conditioned: int = 0  # calls of the engine for a scene's condition
    conditioned_again: int = 0  # those for a scene whose clip was queued
    lost: int = 0  # finished clips that were not there or not whole in the end

    @property
    def counted(self) -> int:
        return self.counted_making + self.counted_revising + self.counted_conditioning

    def as_text(self) -> str:
        return ", ".join(f"{name} {count}" for name, count in asdict(self).items())


@dataclass
class Chaos:
    """Has stories made by processes that are killed.

    Args:
        studio: whose store the processes work on.
        folder: for logs, and for stories that are made undisturbed.
        rng: chooses instants and victims.
        in_stems: the stories have two stems a scene, dialogue and effects; a line is revised.
    """

    studio: Studio
    folder: Path
    rng: random.Random
    in_stems: bool = False
    figures: Figures = field(default_factory=Figures)
    _crew: list[BaseProcess] = field(default_factory=list)

    async def play(self, seed: int) -> None:
        """Have one story made and then revised, and hold both against an undisturbed one."""
        os.environ[VARIABLE] = str(ENGINES)
        log = self.folder / f"{seed}.log"
        log.touch()
        story = await self.studio.add(_instruction(seed), **self._settings(seed))
        scene = self.rng.randint(1, SCENES // 2 if self.in_stems else SCENES)
        try:
            play = _Play(self, story.id, tone_process.Crew(self.studio.settings, log), log)
            await play.until_settled(SCENES)
            made = await _read(self.studio, story.id)
            await ask(self.studio.store.database, story.id, self._revision(scene), accept=True)
            await play.until_settled(SCENES + 1)
            revised = await _read(self.studio, story.id)
        finally:
            await asyncio.to_thread(self._end)
        assert [made, revised] == await self._undisturbed(seed, scene)
        most = 7 if self.in_stems else 3  # a body and its two seams; and of stems, their sums
        assert len(made.segments - revised.segments) <= most
        await self._account(story.id, log)

    async def _undisturbed(self, seed: int, scene: int) -> list["Heard"]:
        other = await Studio.make(self.folder / f"undisturbed-{seed}")
        try:
            story = await other.add(_instruction(seed), **self._settings(seed))
            await other.run(story.id)
            made = await _read(other, story.id)
            await ask(other.store.database, story.id, self._revision(scene), accept=True)
            await other.run(story.id)
            return [made, await _read(other, story.id)]
        finally:
            await other.store.database.close()

    async def _account(self, story_id: str, log: Path) -> None:
        figures, lines = self.figures, tone_process.read(log)
        finished = await list_clips(self.studio, story_id)
        begun = [line for line in lines if line.what == tone_process.BEGUN]
        files = [clip.file or "" for clip in finished.values()]
        figures.stories += 1
        figures.clips += len(finished)
        figures.begun += len(begun)
        figures.cut_short += len(begun) - sum(line.what == tone_process.MADE for line in lines)
        figures.repeated += count_repeated(lines, finished)
        figures.conditioned += sum(line.what == tone_process.CONDITIONING for line in lines)
        figures.conditioned_again += await self._count_conditioned_again(story_id, lines)
        figures.lost += sum(not self.studio.store.audio.is_whole(file) for file in files)
        assert len(finished) == SCENES + 1
        assert (figures.repeated, figures.conditioned_again, figures.lost) == (0, 0, 0)
        await _check_events(self.studio, story_id)

    async def _count_conditioned_again(self, story_id: str, lines: list[tone_process.Line]) -> int:
        """Count the scenes that were conditioned when their clips were queued already."""
        async with self.studio.store.database.read() as session:
            rows = await session.execute(
                select(SceneVersion.caption, Take.stem, Take.created_at)
                .join(Take, Take.scene_id == SceneVersion.id)
                .where(SceneVersion.story_id == story_id)
            )
            queued = {tone_process.name_of_scene(caption, stem): at for caption, stem, at in rows}
        return sum(
            line.what == tone_process.CONDITIONING and line.at > queued[line.clip] + CLOCK_S
            for line in lines
        )

    def _settings(self, seed: int) -> dict[str, Any]:
        return _stems(seed) if self.in_stems else _settings(seed)

    def _revision(self, scene: int) -> Edits:
        caption = f"scene {scene} reworded"
        layers = _layers(caption, scene - 1) if self.in_stems else None
        edit = {"op": "reword", "sub_event": scene, "caption": caption, "layers": layers}
        return Edits(edits=read_edits([edit]))

    def _end(self) -> None:
        for process in self._crew:
            process.kill()
            process.join()
        self._crew.clear()


@dataclass
class _Play:
    """One story and those who work on it."""

    chaos: Chaos
    story_id: str
    crew: tone_process.Crew
    log: Path
    _kills: int = 0

    async def until_settled(self, wanted: int) -> None:
        """Kill and replace processes until the story is finished with `wanted` clips in all."""
        self._kills = 0
        rng, database = self.chaos.rng, self.chaos.studio.store.database
        before: dict[str, Clip] = {}
        while not await self._is_finished():
            self._fill_up()
            is_late = len(before) == wanted and rng.random() < 0.5
            lines = rng.choice([0, 1] if wanted > SCENES else [0, 1, 2, 3, 4])
            more_s = rng.uniform(0.0, 0.2)
            if is_late or self._kills >= MAX_KILLS[wanted]:
                lines = 10**9  # left in peace
            if await self._wait(lines, more_s):
                before = await self._kill_one(before, wanted)
            if await self._is_stuck():
                self.chaos.figures.resumed += 1
                await resume(database, self.story_id)
        assert len(await list_clips(self.chaos.studio, self.story_id)) == wanted

    def _fill_up(self) -> None:
        """Replace who is gone; none may have ended with an error."""
        crew, rng = self.chaos._crew, self.chaos.rng
        for process in [process for process in crew if not process.is_alive()]:
            process.join()
            assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
            crew.remove(process)
        while sum(process.name != tone_process.DRIVER for process in crew) < 2:
            is_worker = rng.random() < 0.5
            crew.append(self.crew.work() if is_worker else self.crew.resume(self.story_id))
            if rng.random() < 0.3 and all(process.name != tone_process.DRIVER for process in crew):
                crew.append(self.crew.drive())

    async def _wait(self, lines: int, more_s: float) -> bool:
        """Wait for lines in the log and then a little; False if there is nothing to kill for."""
        seen = len(tone_process.read(self.log))
        deadline = time.monotonic() + PATIENCE_S
        looked = time.monotonic()
        while len(tone_process.read(self.log)) < seen + lines and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_S)
            if time.monotonic() - looked > 0.1:
                looked = time.monotonic()
                if await self._is_finished() or await self._is_stuck():
                    return False
                self._fill_up()
        await asyncio.sleep(more_s)
        return True

    async def _kill_one(self, known: dict[str, Clip], wanted: int) -> dict[str, Clip]:
        chaos, figures = self.chaos, self.chaos.figures
        lines = tone_process.read(self.log)
        joined = {line.pid for line in lines if line.what == tone_process.JOINED}
        victim = self._choose(lines)
        before = await list_clips(chaos.studio, self.story_id)
        assert {name: before[name].finished_at for name in known} == {
            name: clip.finished_at for name, clip in known.items()
        }
        victim.kill()
        await asyncio.to_thread(victim.join)
        after = await list_clips(chaos.studio, self.story_id)
        is_hit = victim.exitcode == -signal.SIGKILL
        self._kills += is_hit
        figures.kills += is_hit
        if is_hit and _is_conditioning(lines, victim):
            figures.counted_conditioning += 1
        elif is_hit and victim.pid in joined and before and len(after) < wanted:
            if wanted > SCENES:
                figures.counted_revising += 1
            else:
                figures.counted_making += 1
        return after

    def _choose(self, lines: list[tone_process.Line]) -> BaseProcess:
        """Choose a victim: more often than not the one that was heard of last."""
        crew, rng = self.chaos._crew, self.chaos.rng
        latest = [process for process in crew if lines and process.pid == lines[-1].pid]
        return latest[0] if latest and rng.random() < 0.6 else rng.choice(crew)

    async def _is_finished(self) -> bool:
        return (await self.chaos.studio.latest_run(self.story_id)).state == RunState.FINISHED

    async def _is_stuck(self) -> bool:
        run = await self.chaos.studio.latest_run(self.story_id)
        return run.state == RunState.FAILED or run.waits_for == Wait.CLIP_REVIEW


@dataclass(frozen=True)
class Heard:
    """What a revision is heard as, told by contents alone."""

    clips: tuple[str, ...]  # files in order, named by their hashes
    segments: frozenset[str]
    mix: str


async def _read(studio: Studio, story_id: str) -> Heard:
    async with studio.store.database.read() as session:
        story = await stories.get(session, story_id)
        revision = await session.get_one(Revision, story.revision_id)
        rows = await session.execute(
            select(SceneStem.scene_id, SceneStem.stem, Clip.file)
            .join(Clip, Clip.key == SceneStem.clip_key)
            .where(SceneStem.scene_id.in_(revision.scenes))
        )
        files: dict[int, list[str]] = {}
        for scene_id, _, file in sorted(rows):
            files.setdefault(scene_id, []).append(file or "")
        mix = await open_mix(session, studio.store.audio, story_id)
        segments = await list_segments(studio, revision.id)
    with mix:
        digest = hashlib.sha256(np.concatenate(list(mix.blocks()), axis=1).tobytes()).hexdigest()
    clips = tuple(file for scene in revision.scenes for file in files[scene])
    return Heard(clips, frozenset(segments), digest)


async def list_segments(studio: Studio, revision_id: int) -> list[str]:
    """List the keys of a mix's segments in order."""
    async with studio.store.database.read() as session:
        mix = await session.get_one(Mix, revision_id)
        rows = await session.execute(
            select(SegmentRow.id, SegmentRow.key).where(SegmentRow.id.in_(mix.segments))
        )
        keys = {row.id: row.key for row in rows}
    return [keys[segment_id] for segment_id in mix.segments]


def _is_conditioning(lines: list[tone_process.Line], process: BaseProcess) -> bool:
    own = [line.what for line in lines if line.pid == process.pid]
    windows = [what for what in own if what.startswith("condition")]
    return windows[-1:] == [tone_process.CONDITIONING]


def count_repeated(lines: list[tone_process.Line], finished: dict[str, Clip]) -> int:
    """Count the calls of an engine for clips that were finished when they were begun."""
    return sum(
        line.what == tone_process.BEGUN
        and line.clip in finished
        and line.at > (finished[line.clip].finished_at or 0.0) + CLOCK_S
        for line in lines
    )


async def list_clips(studio: Studio, story_id: str) -> dict[str, Clip]:
    """Return the finished clips of a story by the names that the log has them under."""
    async with studio.store.database.read() as session:
        rows = await session.scalars(
            select(Clip)
            .join(SceneStem, SceneStem.clip_key == Clip.key)
            .join(SceneVersion, SceneVersion.id == SceneStem.scene_id)
            .where(SceneVersion.story_id == story_id, Clip.file.is_not(None))
        )
        return {tone_process.name_of_request(clip.request): clip for clip in rows}


async def _check_events(studio: Studio, story_id: str) -> None:
    told = await studio.events(story_id)
    kinds = Counter(event.kind for event in told)
    finished = Counter(event.data["clip"] for event in told if event.kind == "clip.finished")
    assert [event.number for event in told] == list(range(1, len(told) + 1))
    assert len(finished) == kinds["clip.finished"] == kinds["clip.queued"] == SCENES + 1
    assert kinds["plan.ready"] == kinds["revision.ready"] == 1
    assert (kinds["mix.ready"], kinds["run.finished"]) == (2, 2)
    assert told[-1].kind == "run.finished"


def _instruction(seed: int) -> str:
    return "\n".join(f"scene {n} of story {seed}" for n in range(SCENES))


def _settings(seed: int) -> dict[str, float | int]:
    return {"seed": seed, "duration_s": 0.5 * SCENES, "tail_s": 0.1}


def _stems(seed: int) -> dict[str, Any]:
    """Settings of a story whose scenes have a line and a sound each: as many clips as of others."""
    captions = _instruction(seed).splitlines()[: SCENES // 2]
    events = [
        {"caption": caption, "duration_s": 1.0, "layers": _layers(caption, at)}
        for at, caption in enumerate(captions)
    ]
    plan = {"version": 2, "instruction": _instruction(seed), "language": "en", "sub_events": events}
    return {
        "seed": seed,
        "tail_s": 0.1,
        "given_plan": StoryPlan.model_validate(plan).model_dump(mode="json"),
        "engines": {"dialogue": "tone", "music": "tone", "effects": "tone"},
    }


def _layers(caption: str, scene: int) -> list[dict[str, str]]:
    return [
        {"kind": "ambience", "text": f"sound {scene}"},
        {"kind": "speech", "words": f"{caption}, she says."},
    ]
