import io
import json

import numpy as np
import pytest
import soundfile

from audiostory_core.errors import BadInput, LanguageModelAway, UnreadableAudio
from audiostory_core.understanding.describe import HeardEvent, describe
from tests.support.chat_clients import client_of
from tests.support.chat_server import Audio, Reply, hosting, schema_of


def heard(caption="Rain, then a bark.", transcript="Come in.", events=((0.0, 1.5, "rain"),)):
    told = [{"label": label, "start_s": start, "end_s": end} for start, end, label in events]
    return json.dumps({"transcript": transcript, "caption": caption, "events": told})


def tone(seconds, sample_rate=44_100, channels=2):
    at = np.arange(int(seconds * sample_rate)) / sample_rate
    return np.tile(0.3 * np.sin(2 * np.pi * 440 * at), (channels, 1)).astype(np.float32)


KBPS = {3: [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
        2: [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]}  # fmt: skip
RATES = {3: [44_100, 48_000, 32_000], 2: [22_050, 24_000, 16_000]}
TITLE = b"TIT2" + bytes([0, 0, 0, 5, 0, 0, 3]) + b"Rain"
ID3 = b"ID3\4\0\0" + bytes([0, 0, 1, 0]) + TITLE.ljust(128, b"\0")


def mp3(seconds, sample_rate, channels, mode="CONSTANT"):
    """Return an MP3 and its first frame, the one that tells how long it is."""
    encoded = io.BytesIO()
    soundfile.write(
        encoded, tone(seconds, sample_rate, channels).T, sample_rate,
        format="MP3", bitrate_mode=mode, compression_level=0.5,
    )  # fmt: skip
    content = encoded.getvalue()
    version, layer_bits = content[1] >> 3 & 3, content[2]
    rate = RATES[version][layer_bits >> 2 & 3]
    frame_bytes = (144 if version == 3 else 72) * KBPS[version][(layer_bits >> 4) - 1] * 1000
    first = content[: frame_bytes // rate + (layer_bits >> 1 & 1)]
    assert b"Xing" in first or b"Info" in first
    return content, first


def description_of(audio, text=None, **options):
    with hosting(Reply(text or heard())) as host, client_of(host) as client:
        return describe(audio, client, **options), host


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize(("sample_rate", "channels"), [(44_100, 2), (16_000, 1), (8_000, 6)])
def test_file_is_heard_as_mono_at_16_khz(tmp_path, suffix, sample_rate, channels):
    path = tmp_path / f"told.{suffix}"
    soundfile.write(path, tone(2.0, sample_rate, channels).T, sample_rate)

    told, host = description_of(path)

    assert told.caption == "Rain, then a bark."
    assert told.transcript == "Come in."
    assert told.events == (HeardEvent("rain", 0.0, 1.5),)
    assert host.heard == [Audio(16_000, 1, 32_000, "PCM_16")]


def test_model_is_asked_for_a_strict_schema_and_told_the_length():
    _, host = description_of(tone(2.5))

    rules, asked = host.asked[0]["messages"]
    assert "The audio lasts 2.50 seconds" in rules["content"]
    assert [part["type"] for part in asked["content"]] == ["input_audio", "text"]
    assert set(schema_of(host.asked[0])["properties"]) == {"transcript", "caption", "events"}


def test_waveform_tells_its_rate():
    _, host = description_of(tone(1.0, 22_050, 1), sample_rate=22_050)

    assert host.heard == [Audio(16_000, 1, 16_000, "PCM_16")]


def test_long_audio_is_described_in_pieces_whose_times_go_on():
    told, host = description_of(tone(70.0, 16_000, 1), sample_rate=16_000)

    assert len(host.heard) == 3
    assert sum(one.samples for one in host.heard) == 70 * 16_000
    assert max(one.samples for one in host.heard) <= 30 * 16_000
    assert told.caption == " ".join(["Rain, then a bark."] * 3)
    assert [round(event.start_s, 1) for event in told.events] == [0.0, 23.3, 46.7]


def test_events_that_cannot_be_are_left_out_and_the_rest_put_in_order():
    events = [(1.0, 1.5, "late"), (0.2, 9.0, "early\x00"), (1.9, 1.0, "backwards"),
              (5.0, 6.0, "after the end"), (-1.0, 1.0, "before"), (0.0, 1.0, "")]  # fmt: skip

    told, _ = description_of(tone(2.0), heard(events=events))

    assert told.events == (HeardEvent("early", 0.2, 2.0), HeardEvent("late", 1.0, 1.5))


def test_answer_that_cannot_be_used_is_sent_back_once():
    with hosting(Reply("A tone."), Reply(heard())) as host, client_of(host) as client:
        told = describe(tone(1.0), client)

    assert told.caption == "Rain, then a bark."
    assert "has no JSON object with caption" in host.asked[1]["messages"][-1]["content"]
    assert len(host.heard) == 2


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (Reply("A tone."), "has no JSON object with caption"),
        (Reply(heard(caption=" ")), "has an empty caption"),
        (Reply(refusal="No voices."), "is a refusal: No voices."),
        (Reply('{"caption": "a", "events": [3]}'), "is wrong in events.0"),
    ],
)
def test_model_that_cannot_tell_is_one_error(reply, problem):
    with hosting(reply) as host, client_of(host) as client, pytest.raises(BadInput) as caught:
        describe(tone(1.0), client)

    assert caught.value.field == "audio"
    assert problem in caught.value.problem


def test_model_that_takes_no_audio_says_so():
    with hosting(Reply(heard())) as host, client_of(host) as client:
        host.refuses = {"messages"}
        with pytest.raises(BadInput, match="messages is not supported"):
            describe(tone(1.0), client)


def test_server_that_fails_is_away():
    with (
        hosting(Reply(status=503)) as host,
        client_of(host) as client,
        pytest.raises(LanguageModelAway, match="answers 503"),
    ):
        describe(tone(1.0), client)


@pytest.mark.parametrize(
    "waveform",
    [
        np.zeros((2, 0), np.float32),
        np.zeros((2, 100), np.float32),
        np.zeros(44_100, np.float32),
        np.zeros((0, 44_100), np.float32),
        np.full((2, 44_100), np.nan, np.float32),
        np.full((2, 44_100), np.inf, np.float32),
    ],
)
def test_waveform_that_is_none_is_refused_before_the_model_is_asked(waveform):
    with hosting(Reply(heard())) as host, client_of(host) as client, pytest.raises(BadInput):
        describe(waveform, client)

    assert host.asked == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "does not exist"),
        (b"", "is not audio that can be read"),
        (b"no audio " * 100, "is not audio that can be read"),
    ],
)
def test_file_that_is_no_audio_is_told(tmp_path, content, problem):
    path = tmp_path / "told.wav"
    if content is not None:
        path.write_bytes(content)

    with (
        hosting(Reply(heard())) as host,
        client_of(host) as client,
        pytest.raises(UnreadableAudio, match=problem),
    ):
        describe(path, client)


def test_loud_audio_is_clipped_and_not_wrapped(tmp_path):
    _, host = description_of(tone(0.5) * 100)

    assert host.heard[0].samples == 8_000


@pytest.mark.parametrize(("sample_rate", "channels"), [(44_100, 2), (48_000, 2), (22_050, 1)])
@pytest.mark.parametrize("kind", ["as written", "bare", "tagged", "tagged behind", "cut short"])
def test_mp3_of_constant_bit_rate_is_heard_to_its_end(tmp_path, sample_rate, channels, kind):
    whole, first = mp3(5.0, sample_rate, channels)
    bare = whole.removeprefix(first)
    content = {
        "as written": whole,
        "bare": bare,
        "tagged": ID3 + bare,
        "tagged behind": bare + b"TAG".ljust(128, b" "),
        "cut short": bare[:-100],
    }[kind]
    path = tmp_path / "told.mp3"
    path.write_bytes(content)

    _, host = description_of(path)

    assert sum(one.samples for one in host.heard) / 16_000 == pytest.approx(5.0, abs=0.15)


def test_mp3_of_varying_bit_rate_is_heard_whole_or_refused(tmp_path):
    whole, first = mp3(20.0, 44_100, 2, "VARIABLE")
    path = tmp_path / "told.mp3"
    path.write_bytes(whole)
    _, host = description_of(path)
    assert sum(one.samples for one in host.heard) == 20 * 16_000

    path.write_bytes(whole.removeprefix(first))
    with pytest.raises(UnreadableAudio, match="does not tell its length"):
        description_of(path)
