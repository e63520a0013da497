"""What it costs to revise one of N scenes, and how soon it is heard.

    python -m bench.revise --scenes 10 100 1000 --times 9 [--stems]

A real `audiostory serve` with one worker and the engine foley makes stories of 6 s scenes, then
one scene in the middle of each is reworded, the stories in turn. The time is from sending the
change over HTTP to having received the range of `/mix` that covers the scene and both its seams.
Each change is made to a finished story, thus in a new run, and accepted afterwards. With `--stems`
every scene has a bed, music and a line as stems of their own, and the line is what changes.
"""

import argparse
import json
import os
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

SCENE_S = 6.0
TAIL_S = 1.0
RATE, FRAME, HEADER = 44_100, 6, 4096  # bytes of a PCM-24 frame; a generous header
SPEAKER = {"name": "Anna", "description": "a woman"}
SOUNDS = ("A bell rings", "A dog barks", "An owl hoots")  # differ with the seed, as beds do not


@dataclass
class Story:
    """A finished story and what was measured on it."""

    scenes: int
    path: str
    heard_ms: list[float] = field(default_factory=list)
    after_clip_ms: list[float] = field(default_factory=list)  # of it, since the clip was made
    made: list[tuple[int, int, int]] = field(default_factory=list)  # clips, bodies, seams


class Events:
    """The events of a story, one after the other."""

    def __init__(self, client: httpx.Client, path: str, after: int) -> None:
        self._stream = client.stream("GET", f"{path}/events", headers={"Last-Event-ID": str(after)})
        self._lines = self._stream.__enter__().iter_lines()
        self.number = after

    def wait_for(self, kinds: set[str]) -> str:
        """Return the first event of one of the kinds."""
        for line in self._lines:
            name, _, told = line.partition(": ")
            if name == "id":
                self.number = int(told)
            if name == "event" and told in kinds:
                return told
        raise RuntimeError("the event stream ended")

    def close(self) -> None:
        """Stop listening."""
        self._stream.__exit__(None, None, None)


def plan(scenes: int, *, in_stems: bool) -> dict[str, object]:
    """Return a plan of so many scenes of different sounds."""
    events: list[dict[str, object]] = [
        {"caption": f"{SOUNDS[n % len(SOUNDS)]}.", "duration_s": SCENE_S} for n in range(scenes)
    ]
    if in_stems:
        for n, event in enumerate(events):
            event["layers"] = layers(f"This is line number {n}.")
    return {
        "instruction": f"{scenes} scenes",
        "language": "en",
        "duration_s": SCENE_S * scenes,
        "sub_events": events,
    } | ({"version": 2, "cast": [SPEAKER]} if in_stems else {})


def layers(words: str) -> list[dict[str, str]]:
    """Return the layers of a scene that has something of each stem."""
    return [
        {"kind": "ambience", "text": "rain on a tin roof"},
        {"kind": "music", "text": "slow piano"},
        {"kind": "speech", "words": words, "speaker": SPEAKER["name"]},
    ]


def make_story(client: httpx.Client, scenes: int, *, in_stems: bool) -> Story:
    """Make a story and wait until it is finished."""
    engines = {"engines": {"effects": "foley"}} if in_stems else {}
    asked = {"plan": plan(scenes, in_stems=in_stems), "seed": scenes} | engines
    posted = client.post("/v1/stories", json=asked)
    posted.raise_for_status()
    path = posted.headers["location"]
    while (status := client.get(path).json()["status"]) != "finished":
        assert status in ("queued", "running"), status
        time.sleep(0.5)
    return Story(scenes, path)


def revise(
    client: httpx.Client, database: Path, story: Story, turn: int, *, in_stems: bool
) -> None:
    """Reword a scene in the middle, measure until it is heard, and accept it."""
    scene = story.scenes // 2 + turn % 4
    edit: dict[str, object] = {"op": "reword", "sub_event": scene}
    if in_stems:
        edit["layers"] = layers(f"Now she says {turn}.")
    else:
        edit |= {"caption": f"{SOUNDS[turn % 3]}.", "seed": turn}
    wish = {"change": {"kind": "edits", "edits": [edit]}}
    first = int((scene - 1) * SCENE_S * RATE * FRAME)
    last = int((scene * SCENE_S + TAIL_S) * RATE * FRAME) + HEADER
    etag = client.head(f"{story.path}/mix.wav").headers["etag"]
    before = count(database)
    latest = client.get(f"{story.path}").json()
    assert latest["status"] == "finished", latest
    events = Events(client, story.path, last_event(database, story.path))
    started = time.perf_counter()
    client.post(f"{story.path}/changes", json=wish).raise_for_status()
    ends = {"mix.ready", "run.failed", "change.refused"}
    assert (next_event := events.wait_for({"clip.finished", *ends})) == "clip.finished", next_event
    clip_made = time.perf_counter()
    assert events.wait_for(ends) == "mix.ready"
    heard = client.get(f"{story.path}/mix.wav", headers={"Range": f"bytes={first}-{last}"})
    heard_at = time.perf_counter()
    story.heard_ms.append(1000 * (heard_at - started))
    story.after_clip_ms.append(1000 * (heard_at - clip_made))
    assert heard.status_code == 206
    assert heard.headers["etag"] != etag
    after = count(database)
    clips, bodies, seams = (now - was for now, was in zip(after, before, strict=True))
    story.made.append((clips, bodies, seams))
    events.wait_for({"run.parked"})
    client.post(f"{story.path}/approve").raise_for_status()
    events.wait_for({"run.finished"})
    events.close()


def count(database: Path) -> tuple[int, int, int]:
    """Count finished clips, bodies of clips and seams."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        (clips,) = connection.execute("SELECT count(*) FROM clip WHERE file IS NOT NULL").fetchone()
        told = connection.execute(
            "SELECT count(CASE WHEN nullif(seam, 'null') IS NULL THEN file END), "
            "count(nullif(seam, 'null')) FROM segment"
        )
        bodies, seams = told.fetchone()
    return clips, bodies, seams


def last_event(database: Path, path: str) -> int:
    """Return the number of a story's last event."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        story_id = path.rpartition("/")[2]
        told = connection.execute("SELECT next_event - 1 FROM story WHERE id = ?", (story_id,))
        return int(told.fetchone()[0])


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--times", type=int, default=9)
    parser.add_argument("--stems", action="store_true", help="scenes of three stems; lines change")
    parser.add_argument("--home", type=Path, help="keep the data folder here, for another time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = options.home or Path(folder) / "home"
        said = Path(folder) / "said.txt"  # a file: an unread pipe fills up and stops who writes
        with said.open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "api", "serve", "--port", "0", "--workers", "1"],
                env=os.environ | {"AUDIOSTORY_HOME": str(home)},
                stderr=stderr,
            )
        try:
            while "/docs" not in said.read_text():
                assert process.poll() is None, said.read_text()
                time.sleep(0.05)
            url = re.findall(r"(http://\S+)/docs", said.read_text())[0]
            with httpx.Client(base_url=url, timeout=600) as client:
                stories = load(client, home, options.scenes, in_stems=options.stems)
                for turn in range(options.times + 1):
                    for story in stories:
                        seed = int(time.time()) + turn
                        revise(client, home / "studio.db", story, seed, in_stems=options.stems)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
    print(
        "| scenes | clips made | bodies | seams | until heard, median (least … most) "
        "| of that after the clip |\n|---|---|---|---|---|---|"
    )
    for story in stories:
        ms, after_clip = (
            story.heard_ms[1:],
            story.after_clip_ms[1:],
        )  # the first warms the worker up
        made = max(story.made)
        assert set(story.made) == {made}, story.made
        print(
            f"| {story.scenes:,} | {made[0]} | {made[1]} | {made[2]} "
            f"| {statistics.median(ms):.0f} ms ({min(ms):.0f} … {max(ms):.0f}) "
            f"| {statistics.median(after_clip):.0f} ms ({min(after_clip):.0f} … {max(after_clip):.0f}) |"
        )


def load(client: httpx.Client, home: Path, scenes: list[int], *, in_stems: bool) -> list[Story]:
    """Make the stories, unless an earlier time has left them in the data folder."""
    noted = home / "bench-revise.json"
    known = json.loads(noted.read_text()) if noted.exists() else {}
    stories = []
    for number in scenes:
        if str(number) not in known:
            known[str(number)] = make_story(client, number, in_stems=in_stems).path
            noted.write_text(json.dumps(known))
        stories.append(Story(number, known[str(number)]))
    return stories


if __name__ == "__main__":
    main()
