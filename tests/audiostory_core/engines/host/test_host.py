"""An engine in a process of its own: what it makes, and every way in which it can fail."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import psutil
import pytest

from audiostory_core.engines.card import read_card
from audiostory_core.engines.host import child
from audiostory_core.engines.host.engine import HostedEngine
from audiostory_core.engines.protocol import ClipRequest, Condition
from audiostory_core.errors import Cancelled, EngineFailed
from audiostory_core.stem import Stem
from audiostory_core.story.plan import SoundLayer, StoryPlan, SubEvent
from tests.support.cards import TOY, TROUBLED, write_card

BARE = (sys.executable, "-I", "-S")
ROOT = Path(__file__).parents[4]
PATIENCE_S = 30.0
SAMPLES = 4410


@pytest.fixture
def make(tmp_path):
    """Make hosted engines that are closed at the end."""
    made = []

    def make_engine(python=BARE, *, patience_s=20.0, needs_condition=False, entry="Troubled"):
        folder = write_card(
            tmp_path / f"troubled{len(made)}",
            f"[environment]\npatience_s = {patience_s}\nstart_s = {max(patience_s, 5.0)}",
            entry=f"engine:{entry}",
            revision="1",
            needs_condition=needs_condition,
        )
        (folder / "engine.py").symlink_to(TROUBLED / "engine.py")
        made.append(HostedEngine(read_card(folder, "a test"), python, dict(os.environ)))
        return made[-1]

    yield make_engine
    for engine in made:
        engine.close()


def request(caption="plain", samples=SAMPLES, **fields):
    return ClipRequest(caption, (), samples, 7, "en", **fields)


def synthesize(engine, *captions):
    return engine.synthesize([request(caption) for caption in captions])


def ends(pid):
    """Wait until a process is gone."""
    deadline = time.monotonic() + PATIENCE_S
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return True


class Listener:
    """Notes progress; loses interest after so many reports."""

    def __init__(self, most=10**9):
        self.steps = []
        self._most = most

    def step(self, index, done):
        self.steps.append((index, done))
        if len(self.steps) > self._most:
            raise Cancelled


def test_samples_arrive_as_the_engine_made_them():
    card = read_card(TOY, "a test")
    engine = HostedEngine(card, BARE, {})

    first, second = engine.synthesize(
        [request("rain", parameters=card.defaults), request("sea", parameters=card.defaults)]
    )
    engine.close()

    assert first.waveform.dtype == np.float32
    assert first.waveform.shape == (2, SAMPLES)
    assert first.matched == ("tone: rain",)
    period = round(44_100 / (220 * 2 ** (zlib.crc32(b"rain") % 12 / 12)))
    expected = 0.2 * np.sin(2 * np.pi * ((np.arange(SAMPLES) + 7) % period) / period)
    np.testing.assert_allclose(first.waveform[0], expected, atol=1e-6)
    np.testing.assert_array_equal(first.waveform[0], first.waveform[1])
    assert not np.array_equal(first.waveform, second.waveform)


def test_everything_of_a_request_reaches_the_engine(make):
    layers = (SoundLayer(kind="sfx", text="rain"),)
    condition = Condition(b"dusk", b"\x00\x01")

    (clip,) = make().synthesize(
        [ClipRequest("tells", layers, SAMPLES, 2**63 - 1, "fr", (), condition, {"steps": 3})]
    )

    dumped = [layer.model_dump(mode="json") for layer in layers]
    expected = [str(2**63 - 1), "fr", str(dumped), "{'steps': 3}", "dusk", r"b'\x00\x01'"]
    assert list(clip.matched) == expected
    assert clip.warnings == ("noted",)
    assert clip.is_silence


def test_interpreter_of_the_engine_has_nothing_of_the_studio(make):
    (clip,) = synthesize(make(), "imports")

    assert clip.matched == ()


def test_host_stays_for_the_next_batch(make):
    engine = make()
    synthesize(engine, "plain")
    first = engine.pid

    synthesize(engine, "plain", "plain")

    assert engine.pid == first


def test_engine_that_raises_fails_the_batch_in_its_words_and_stays(make):
    engine = make()

    with pytest.raises(EngineFailed, match="RuntimeError: no such voice"):
        synthesize(engine, "plain", "raises no such voice")
    pid = engine.pid

    assert len(synthesize(engine, "plain")) == 1
    assert engine.pid == pid


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("short", "made 1 samples, not 4410"),
        ("mono", "made 1 channels, not 2"),
        ("double", "made samples of format 'd', not float32"),
        ("nan", "made samples that are not finite numbers"),
        ("dies", r"ended by signal 9 \(out of memory\)"),
        ("leaves", "ended with code 3"),
        ("raises a\0b\ud800", "RuntimeError: a\ufffdb\ufffd"),
    ],
)
def test_what_is_no_clip_is_a_failed_attempt_in_words(make, caption, words):
    engine = make()

    with pytest.raises(EngineFailed, match=words):
        synthesize(engine, "plain", caption)

    assert synthesize(engine, "plain")[0].waveform.shape == (2, SAMPLES)


@pytest.mark.parametrize("caption", ["sleeps", "repeats"])
def test_host_without_progress_is_ended_when_patience_is(make, caption):
    engine = make(patience_s=0.5)
    synthesize(engine, "plain")
    pid = engine.pid

    with pytest.raises(EngineFailed, match=r"made no progress for 0\.5 s and was ended"):
        synthesize(engine, caption)

    assert ends(pid)
    assert len(synthesize(engine, "plain")) == 1


def test_host_killed_in_mid_clip_costs_its_batch_only(make):
    engine = make()

    class Killer(Listener):
        def step(self, index, done):
            super().step(index, done)
            if done > 0.25 and engine.pid is not None:
                os.kill(engine.pid, signal.SIGKILL)

    with pytest.raises(EngineFailed, match="ended by signal 9"):
        engine.synthesize([request("steps")], Killer())

    assert len(synthesize(engine, "plain")) == 1


def test_host_killed_between_batches_costs_nothing(make):
    engine = make()
    synthesize(engine, "plain")
    os.kill(engine.pid, signal.SIGKILL)
    os.waitid(os.P_PID, engine.pid, os.WEXITED | os.WNOWAIT)  # its last thread, too

    assert len(synthesize(engine, "plain")) == 1


def test_cancel_stops_an_engine_that_listens_and_keeps_its_host(make):
    engine = make()
    synthesize(engine, "plain")
    pid = engine.pid

    with pytest.raises(Cancelled):
        engine.synthesize([request("steps"), request("plain")], Listener(most=3))

    assert len(synthesize(engine, "plain")) == 1
    assert engine.pid == pid


def test_cancel_ends_an_engine_that_does_not_listen(make):
    engine = make()
    synthesize(engine, "plain")
    pid = engine.pid

    with pytest.raises(Cancelled):
        engine.synthesize([request("sleeps")], Listener(most=3))

    assert ends(pid)
    assert len(synthesize(engine, "plain")) == 1


def test_progress_never_falls_and_ends_at_one(make):
    watch = Listener()

    make().synthesize([request("plain"), request("plain")], watch)

    for index in (0, 1):
        shares = [done for at, done in watch.steps if at == index]
        assert shares == sorted(shares)
        assert shares[-1] == 1.0


def test_flood_of_stderr_neither_blocks_nor_fills_the_log(make, caplog):
    caplog.set_level(logging.INFO, logger="audiostory_core")
    engine = make()

    synthesize(engine, "floods 200000", "endless 20000000")
    engine.close()

    lines = [record.getMessage() for record in caplog.records]
    more = sum(int(match[1]) for line in lines if (match := re.search(r": (\d+) more", line)))
    shown = sum(line.endswith(": trouble") for line in lines)
    assert 200_000 <= shown + more <= 200_002
    assert shown < 1000
    assert max(map(len, lines)) < 1100


def test_what_an_engine_prints_goes_to_the_log_and_not_into_a_frame(make, caplog):
    caplog.set_level(logging.INFO, logger="audiostory_core")
    engine = make()

    (clip,) = synthesize(engine, "prints")
    engine.close()

    assert clip.matched == ("nothing to read",)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["troubled0: printed", "troubled0: \ufffd\ufffd\ufffd\ufffd{}echoed"]


FRAMES = """
import json, os, sys, time
def write(header, *parts):
    text = json.dumps({"parts": [len(part) for part in parts], **header}).encode()
    os.write(1, len(text).to_bytes(4, "big") + text + b"".join(parts))
def read():
    head = os.read(0, 4)
    return os.read(0, int.from_bytes(head, "big"))
"""


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("print('Loading weights…', flush=True)", "wrote what is no frame"),
        ("os.write(1, b'\\xff' * 4)", "wrote what is no frame"),
        ("os.write(1, b'\\x00\\x00\\x00\\x03{]}')", "wrote what is no frame"),
        ("os.write(1, b'\\x00\\x00\\x00\\x02[]')", "wrote what is no frame"),
        ("write({'is': 'ready', 'parts': [-1]})", "parts of no length"),
        ("write({'is': 'done'})", "did not say that it is ready"),
        ("write({'is': 'ready'}); read(); write({'is': 'song'})", "answered 'song'"),
        ("write({'is': 'ready'}); read(); write({'is': 'clip', 'index': 1})", "is not due"),
        (
            "write({'is': 'ready'}); read(); write({'is': 'clip', 'index': 0, 'parts': [2**60] * 2})",
            "samples, not 4410",
        ),
        ("write({'is': 'ready'}); read(); write({'is': 'done', 'parts': [2**60]})", "with samples"),
        ("write({'is': 'ready'}); read(); write({'is': 'progress'})", "progress of nothing"),
        (
            "write({'is': 'ready'}); read(); write({'is': 'progress', 'index': 1, 'done': 1})",
            "progress of nothing",
        ),
        ("write({'is': 'ready'}); read(); write({'is': 'done'})", "0 clips for 1 requests"),
        ("raise SystemExit('no GPU')", r"ended with code 1 \(no GPU\)"),
        ("os.close(1); time.sleep(60)", "closed its pipe"),
    ],
)
def test_host_that_speaks_another_language_is_ended(make, script, words):
    engine = make((sys.executable, "-I", "-S", "-c", FRAMES + script + "\ntime.sleep(60)"))

    with pytest.raises(EngineFailed, match=words):
        synthesize(engine, "plain")

    assert engine.pid is None


def test_host_that_cannot_be_started_is_a_failed_attempt(make, tmp_path):
    with pytest.raises(EngineFailed, match="cannot be started"):
        synthesize(make((str(tmp_path / "python"),)), "plain")


def test_host_and_what_it_started_end_when_its_parent_is_killed(make, tmp_path):
    engine = make()
    pids = tmp_path / "pids"
    script = f"""
        import sys, threading, time
        from pathlib import Path
        from audiostory_core.engines.card import read_card
        from audiostory_core.engines.host.engine import HostedEngine
        from audiostory_core.engines.protocol import ClipRequest
        card = read_card(Path({str(engine._card.folder)!r}), "a test")
        engine = HostedEngine(card, {BARE!r}, {{"PATH": "/usr/bin:/bin"}})
        request = ClipRequest("forks {pids}", (), 100, 7, "en")
        threading.Thread(target=engine.synthesize, args=([request],)).start()
        while not Path({str(pids)!r}).exists() or not Path({str(pids)!r}).read_text():
            time.sleep(0.01)
        print(engine.pid, flush=True)
        time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as parent:
        host = int(parent.stdout.readline())
        parent.kill()

    assert ends(host)
    assert ends(int(pids.read_text()))


def test_close_ends_the_host_and_a_later_batch_starts_another(make):
    engine = make()
    synthesize(engine, "plain")
    pid = engine.pid

    engine.close()

    assert ends(pid)
    assert len(synthesize(engine, "plain")) == 1


def test_two_batches_at_once_take_turns(make):
    engine = make()
    made = []
    threads = [
        threading.Thread(target=lambda: made.extend(synthesize(engine, "plain", "plain")))
        for _ in range(3)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == 6


def test_samples_are_copied_once_in_the_parent(make):
    engine = make()
    synthesize(engine, "plain")
    samples = 20 * 44_100
    tracemalloc.start()

    (clip,) = engine.synthesize([request("plain", samples)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert clip.waveform.nbytes == 8 * samples
    assert peak < 1.5 * clip.waveform.nbytes


def plan(*captions):
    events = tuple(SubEvent(caption=caption, duration_s=2.0) for caption in captions)
    return StoryPlan(
        instruction="x", language="en", duration_s=2.0 * len(events), sub_events=events
    )


def test_conditions_pass_in_both_directions(make):
    engine = make(needs_condition=True)
    before = {0: Condition(b"start rain")}

    parts = list(engine.interleave(plan("rain", "sea", "wind"), [1, 2], before))

    assert parts == [
        {1: Condition(b"start rain sea", b"\x00")},
        {2: Condition(b"start rain sea wind", b"\x00\x00")},
    ]
    (clip,) = engine.synthesize([request("tells", condition=parts[0][1])])
    assert clip.matched[-2:] == ("start rain sea", r"b'\x00'")


@pytest.mark.parametrize("stem", Stem)
def test_engine_in_a_host_knows_the_stem(make, stem):
    engine = make(needs_condition=True, entry="Stemmed")

    (part,) = engine.interleave(plan("rain"), [0], {}, stem=stem)
    (clip,) = engine.synthesize([request("stems", stem=stem)])

    assert part[0].data.decode() == stem
    assert clip.matched == (stem,)


def test_engine_older_than_stems_fails_in_words_where_it_is_to_make_one(make):
    engine = make(needs_condition=True)

    with pytest.raises(EngineFailed, match="unexpected keyword argument 'stem'"):
        list(engine.interleave(plan("rain"), [0], {}, stem=Stem.MUSIC))

    assert list(engine.interleave(plan("rain"), [0], {})) == [{0: Condition(b"start rain", b"")}]


def test_caller_that_has_enough_conditions_stops_the_engine_there(make, caplog):
    caplog.set_level(logging.INFO, logger="audiostory_core")
    engine = make(needs_condition=True)
    parts = engine.interleave(plan("rain", "sea", "wind"), [0, 1, 2], {})

    first = next(parts)
    pid = engine.pid
    parts.close()
    synthesize(engine, "plain")

    assert list(first) == [0]
    assert engine.pid == pid
    engine.close()
    lines = [record.getMessage() for record in caplog.records]
    assert [line for line in lines if "conditioned" in line] == ["troubled0: conditioned 0"]


def test_conditions_of_other_places_are_rubbish(make):
    script = "write({'is': 'ready'}); read(); write({'is': 'conditions', 'conditions': {'7': {'data': 0, 'tensors': None}}}, b'x')"
    engine = make((*BARE, "-c", FRAMES + script + "\ntime.sleep(60)"), needs_condition=True)

    with pytest.raises(EngineFailed, match="conditions of other places"):
        next(engine.interleave(plan("rain", "sea"), [0, 1], {}))


def test_engine_that_needs_no_condition_starts_no_host_for_it(make):
    engine = make()

    (part,) = engine.interleave(plan("rain", "sea"), [0, 1], {})

    assert part[0] == part[1]
    assert engine.pid is None


def test_child_imports_the_standard_library_alone():
    code = f"import runpy, sys; runpy.run_path({child.__file__!r}); print(*sys.modules)"

    loaded = subprocess.run(
        [*BARE, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    roots = {name.partition(".")[0] for name in loaded}
    assert roots - set(sys.stdlib_module_names) <= {"__main__", "encodings"}


def test_frames_are_read_as_they_are_written(tmp_path):
    with (tmp_path / "frames").open("w+b") as file:
        pipe = child.Pipe(file, file)
        pipe.write({"is": "clip", "name": "né"}, [b"ab", memoryview(np.ones(2, "<f4"))])
        file.seek(0)

        header, parts = pipe.read()

        assert pipe.read() is None
    assert header == {"is": "clip", "name": "né", "parts": [2, 8]}
    assert parts == [b"ab", np.ones(2, "<f4").tobytes()]
    assert json.dumps(header)
