"""Speech: the helper process, the voices, the manners, the languages."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soxr

from audiostory_core.engines.foley.speech.espeak_client import HELPER, EspeakClient
from audiostory_core.engines.foley.speech.ipa import mnemonics
from audiostory_core.engines.foley.speech.manner import Manners
from audiostory_core.engines.foley.speech.speech import FASTEST, Speech, Voice, speech_available
from audiostory_core.errors import EngineFailed
from audiostory_core.story.plan import SAMPLE_RATE
from audiostory_core.text.spoken.japanese import number_in_kana
from audiostory_core.text.spoken.lexicon import IPA

LINE = "Hello there, I am awake and I will be there in ten minutes."
MAN = Voice(variant="m2", pitch=50, rate_wpm=165)
WOMAN = Voice(variant="f2", pitch=50, rate_wpm=165)


@pytest.fixture(scope="module")
def speech() -> Iterator[Speech]:
    speaking = Speech()
    yield speaking
    speaking.close()


def rms_dbfs(waveform: np.ndarray) -> float:
    return 10 * np.log10(np.mean(waveform**2))


def centroid_hz(waveform: np.ndarray) -> float:
    power = np.abs(np.fft.rfft(waveform)) ** 2
    return float(np.sum(power * np.fft.rfftfreq(waveform.size, 1 / SAMPLE_RATE)) / np.sum(power))


def voicing(waveform: np.ndarray) -> tuple[float, float]:
    """Return the median fundamental in Hz and the median strength of periodicity, 0 … 1."""
    rate, frame = 11_025, 512
    low = soxr.resample(waveform, SAMPLE_RATE, rate)
    window = np.hanning(frame)
    of_window = np.fft.irfft(np.abs(np.fft.rfft(window, 2 * frame)) ** 2)
    fundamentals, strengths = [], []
    loudest = np.max(np.abs(low))
    for at in range(0, low.size - frame, frame // 2):
        piece = low[at : at + frame] * window
        if np.sqrt(np.mean(piece**2)) < 0.05 * loudest:
            continue
        of_piece = np.fft.irfft(np.abs(np.fft.rfft(piece, 2 * frame)) ** 2)
        periodicity = (of_piece / of_piece[0]) / (of_window / of_window[0] + 1e-9)
        shortest, longest = rate // 500, rate // 70
        lag = shortest + int(np.argmax(periodicity[shortest:longest]))
        strengths.append(periodicity[lag])
        if periodicity[lag] > 0.6:
            fundamentals.append(rate / lag)
    return float(np.median(fundamentals or [0.0])), float(np.median(strengths))


def test_speech_speaks_a_line_trimmed_and_leveled(speech: Speech) -> None:
    utterance = speech.speak(LINE, "en", MAN, None, None)
    assert 2.5 < utterance.waveform.size / SAMPLE_RATE < 4.5
    assert rms_dbfs(utterance.waveform) == pytest.approx(-20.0, abs=1.0)
    ends = utterance.waveform[:4410], utterance.waveform[-4410:]
    assert all(np.max(np.abs(end)) > 0.01 for end in ends)
    assert (utterance.speed, utterance.is_too_long, utterance.is_silent) == (1.0, False, False)


def test_speech_is_bit_identical_in_any_order_and_process(speech: Speech) -> None:
    lines = [(LINE, "en", MAN, None), ("Hola, amigo.", "es", WOMAN, "shouting")]
    lines += [("Be quiet.", "en", WOMAN, "whispering"), ("你好，世界。", "zh", MAN, None)]
    forwards = [speech.speak(*line, None).waveform for line in lines]
    backwards = [speech.speak(*line, None).waveform for line in reversed(lines)][::-1]
    time.sleep(1.1)  # espeak-ng seeds its noise with the second it starts in
    other = Speech()
    elsewhere = [other.speak(*line, None).waveform for line in lines]
    other.close()
    for first, second, third in zip(forwards, backwards, elsewhere, strict=True):
        assert first.tobytes() == second.tobytes() == third.tobytes()


def test_speech_hurries_a_long_line_and_never_cuts_it(speech: Speech) -> None:
    natural = speech.speak(LINE, "en", MAN, None, None).waveform.size
    hurried = speech.speak(LINE, "en", MAN, None, int(0.87 * natural))
    assert 1.1 < hurried.speed < FASTEST
    assert not hurried.is_too_long
    assert hurried.waveform.size <= 0.87 * natural
    hopeless = speech.speak(LINE, "en", MAN, None, natural // 3)
    assert hopeless.speed == FASTEST
    assert hopeless.is_too_long
    assert natural / FASTEST == pytest.approx(hopeless.waveform.size, rel=0.03)


def test_speech_speaks_ten_thousand_characters(speech: Speech) -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 223
    utterance = speech.speak(text, "en", MAN, None, 30 * SAMPLE_RATE)
    assert utterance.is_too_long
    assert utterance.waveform.size > 300 * SAMPLE_RATE
    last_minute = utterance.waveform[-60 * SAMPLE_RATE :]
    assert rms_dbfs(last_minute) > -24.0


@pytest.mark.parametrize("words", ["", "   ", "...!?", "😀🎉", "—", "***", "\u200d", "\0"])
def test_speech_says_when_nothing_can_be_spoken(speech: Speech, words: str) -> None:
    utterance = speech.speak(words, "en", MAN, None, None)
    assert utterance.is_silent
    assert 0 < utterance.waveform.size < SAMPLE_RATE
    assert not np.any(utterance.waveform)


def test_speech_skips_what_would_be_read_by_its_name(speech: Speech) -> None:
    assert speech.phonemes("*Run* 😀 … [now]!", "en") == speech.phonemes("Run … now !", "en")


def test_whispering_has_no_voice_and_is_soft(speech: Speech) -> None:
    for voice in (MAN, WOMAN):
        normal = speech.speak(LINE, "en", voice, None, None).waveform
        whispered = speech.speak(LINE, "en", voice, "whispering", None).waveform
        assert voicing(normal)[1] > 0.75
        assert voicing(whispered)[1] < 0.5
        assert rms_dbfs(whispered) < rms_dbfs(normal) - 8
        assert centroid_hz(whispered) > 1.3 * centroid_hz(normal)


def test_whispering_keeps_the_words(speech: Speech) -> None:
    """The envelopes of the voice and of its whisper, in time, rise and fall together."""
    slow = Voice(variant="m2", pitch=50, rate_wpm=165)
    whispered = speech.speak(LINE, "en", slow, "whispering", None).waveform
    as_slow = Voice(variant="m2", pitch=50, rate_wpm=round(165 * 0.93))
    normal = speech.speak(LINE, "en", as_slow, None, None).waveform
    length = min(whispered.size, normal.size) // 2205 * 2205
    envelopes = [
        np.log(np.mean(w[:length].reshape(-1, 2205) ** 2, axis=1) + 1e-7)
        for w in (whispered, normal)
    ]
    assert np.corrcoef(envelopes)[0, 1] > 0.6


def test_shouting_is_louder_higher_faster_and_brighter(speech: Speech) -> None:
    for voice in (MAN, WOMAN):
        normal = speech.speak(LINE, "en", voice, None, None).waveform
        shouted = speech.speak(LINE, "en", voice, "shouting", None).waveform
        assert rms_dbfs(shouted) > rms_dbfs(normal) + 6
        assert voicing(shouted)[0] > 1.15 * voicing(normal)[0]
        assert shouted.size < 0.95 * normal.size
        assert centroid_hz(shouted) > 1.3 * centroid_hz(normal)


def test_tired_is_slower_and_lower_and_excited_the_opposite(speech: Speech) -> None:
    normal, tired, excited = (
        speech.speak(LINE, "en", WOMAN, manner, None).waveform
        for manner in (None, "tired", "excited")
    )
    assert tired.size > 1.15 * normal.size > 1.25 * excited.size
    assert voicing(tired)[0] < 0.95 * voicing(normal)[0] < 0.87 * voicing(excited)[0]


@pytest.mark.parametrize(
    ("text", "timbre"),
    [
        ("whispering", "whispered"),
        ("in a tired whisper", "whispered"),
        ("susurrando", "whispered"),
        ("en chuchotant", "whispered"),
        ("flüsternd", "whispered"),
        ("低声说", "whispered"),
        ("囁くように", "whispered"),
        ("shouts", "shouted"),
        ("cries out", "shouted"),
        ("gritando", "shouted"),
        ("en criant", "shouted"),
        ("schreit", "shouted"),
        ("大喊", "shouted"),
        ("叫んで", "shouted"),
        ("robotic", "robotic"),
        ("neutral", "voiced"),
        (None, "voiced"),
    ],
)
def test_manners_are_found_in_six_languages(text: str | None, timbre: str) -> None:
    assert Manners.load().named_in(text).timbre == timbre


def test_manners_add_up() -> None:
    manners = Manners.load()
    both = manners.named_in("a tired whisper")
    assert both.rate == pytest.approx(
        manners.named_in("tired").rate * manners.named_in("whisper").rate
    )
    assert manners.named_in("tired, so tired") == manners.named_in("tired")
    assert manners.named_in("crying out") == manners.named_in("shouting")


def test_every_named_speaker_has_a_voice_of_their_own(speech: Speech) -> None:
    casts = [
        [speech.voice_for(f"Speaker {index}", about, index) for index in range(40)]
        for about in ("", "a woman", "an old man", "a boy", "a robot")
    ]
    for cast in casts:
        assert len({(voice.variant, voice.pitch) for voice in cast}) == len(cast)
    mixed = [
        speech.voice_for("A", about, index)
        for index, about in enumerate(["man", "woman", "girl", "old woman", "boy", "", "old man"])
    ]
    assert len({(voice.variant, voice.pitch) for voice in mixed}) == len(mixed)
    assert speech.voice_for("Anna", "tired", 3) == speech.voice_for("Anna", "tired", 3)


@pytest.mark.parametrize(
    ("name", "about", "lowest_hz", "highest_hz"),
    [
        ("Tom", "", 75, 150),
        ("KEEPER", "", 75, 150),
        ("老头", "", 75, 150),
        ("Capitán", "un hombre cansado", 75, 150),
        ("Anna", "", 160, 280),
        (None, "a tired woman", 160, 280),
        ("Erzählerin", "eine alte Frau", 150, 280),
        ("小红", "一个女人", 160, 280),
        ("ハナ", "若い女性", 160, 280),
        ("Léa", "une petite fille", 220, 420),
        ("小明", "一个男孩", 220, 420),
        ("Kid", "a boy", 220, 420),
    ],
)
def test_voices_fit_the_words_about_the_speaker(
    speech: Speech, name: str | None, about: str, lowest_hz: float, highest_hz: float
) -> None:
    for index in (0, 1):
        voice = speech.voice_for(name, about, index)
        fundamental_hz, _ = voicing(speech.speak(LINE, "en", voice, None, None).waveform)
        assert lowest_hz < fundamental_hz < highest_hz


@pytest.mark.parametrize(
    ("words", "language", "phonemes"),
    [
        ("hello", "en", "həlˈoʊ"),
        ("hello", "und", "həlˈoʊ"),
        ("hello", "xx", "həlˈoʊ"),
        ("hello", "zh", "həlˈoʊ"),
        ("hola", "es-MX", "ˈola"),
        ("bonjour", "fr-CA", "bɔ̃ʒˈuʁ"),
        ("Привет", "en", "prʲivʲˈet"),
        ("你好", "zh", "ni2χˈɑu2"),
        ("你好", "en", "ni2χˈɑu2"),
        ("日本", "ja", "nˈihpo̞ɴ"),
        ("안녕하세요", "en", "ˈɐnnjʌŋhˌɐsejˌo"),
    ],
)
def test_words_are_pronounced_in_their_language(
    speech: Speech, words: str, language: str, phonemes: str
) -> None:
    assert speech.phonemes(words, language) == phonemes


def test_mixed_scripts_are_spoken_each_in_its_language(speech: Speech) -> None:
    parts = [
        speech.phonemes(words, language) for words, language in (("我爱", "zh"), ("jazz", "en"))
    ]
    assert speech.phonemes("我爱jazz", "zh") == " ".join(parts)


def test_japanese_is_read_as_it_sounds(speech: Speech) -> None:
    written = "私は25日に東京へ行きます。"
    spelled = "ワタシワ ニジュウゴニチニ トーキョーエ イキマス。"
    assert speech.phonemes(written, "ja") == speech.phonemes(spelled, "ja")
    assert "letter" not in speech.phonemes(written, "en")


@pytest.mark.parametrize(
    ("number", "kana"),
    [
        (0, "ゼロ"),
        (10, "ジュウ"),
        (305, "サンビャクゴ"),
        (2024, "ニセンニジュウヨン"),
        (18_600, "イチマンハッセンロッピャク"),
        (100_000_000, "イチオク"),
    ],
)
def test_numbers_are_read_in_japanese(number: int, kana: str) -> None:
    assert number_in_kana(number) == kana


def test_a_dead_helper_is_started_again() -> None:
    speech = Speech()
    before = speech.speak("One.", "en", MAN, None, None).waveform
    helper = speech._client._process
    assert helper is not None
    os.killpg(helper.pid, signal.SIGKILL)
    helper.wait()
    assert np.array_equal(speech.speak("One.", "en", MAN, None, None).waveform, before)
    speech.close()
    assert np.array_equal(speech.speak("One.", "en", MAN, None, None).waveform, before)
    speech.close()


def test_a_helper_that_keeps_dying_is_an_engine_failure(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    script = (
        f"import sys; open({str(starts)!r}, 'a').write('x'); "
        "sys.stdin.buffer.read(4); sys.exit('no tongue')"
    )
    with (
        EspeakClient(command=(sys.executable, "-c", script)) as client,
        pytest.raises(EngineFailed, match="no tongue"),
    ):
        client.ask({"text": "a"})
    assert starts.read_text() == "xx"


def test_a_helper_that_does_not_answer_is_ended() -> None:
    script = "import time; time.sleep(600)"
    with (
        EspeakClient(command=(sys.executable, "-c", script), patience_s=0.3) as client,
        pytest.raises(EngineFailed, match=r"no answer within 0\.3"),
    ):
        client.ask({"text": "a"})


def test_a_helper_that_cannot_start_is_an_engine_failure() -> None:
    with EspeakClient(command=("/nonexistent/python",)) as client, pytest.raises(EngineFailed):
        client.ask({"text": "a"})


def test_the_helper_ignores_ctrl_c_and_ends_with_its_stdin() -> None:
    helper = subprocess.Popen(
        [sys.executable, "-m", "audiostory_core.engines.foley.speech.espeak"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert helper.stdin is not None
    assert helper.stdout is not None
    request = {"text": "hi", "voices": ["en"], "variant": "", "wants_phonemes": True}
    body = json.dumps(request).encode()
    for _ in range(2):
        helper.stdin.write(len(body).to_bytes(4, "big") + body)
        helper.stdin.flush()
        length = int.from_bytes(helper.stdout.read(4), "big")
        assert json.loads(helper.stdout.read(length))["phonemes"] == "hˈaɪ"
        helper.send_signal(signal.SIGINT)
    helper.stdin.close()
    assert helper.stdout.read() == b""
    helper.stdout.close()
    assert helper.wait(10) == 0


def test_the_helper_ends_when_its_owner_is_killed() -> None:
    script = (
        "from audiostory_core.engines.foley.speech.speech import Speech, Voice\n"
        "import time\n"
        "speech = Speech()\n"
        "speech.speak('hi', 'en', Voice('m2', 50, 165), None, None)\n"
        "print(speech._client._process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    helper_pid = int(owner.stdout.readline())
    owner.kill()
    owner.wait()
    owner.stdout.close()
    deadline = time.monotonic() + 10
    while _is_running(helper_pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _is_running(helper_pid)


def test_only_the_helper_loads_espeak_and_nothing_heavy(speech: Speech) -> None:
    speech.speak("hi", "en", MAN, None, None)
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert "espeak" not in maps.read_text()
    script = f"import runpy, sys; runpy.run_path({str(HELPER)!r}); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"numpy", "scipy", "pydantic", "audiostory_core"} & set(loaded)


def test_speech_is_available_here() -> None:
    assert speech_available() is None


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z")


@pytest.mark.parametrize(
    ("words", "language", "phonemes"),
    [
        ("Shhh! Brrr.", "en", "ʃː bɚrr"),
        ("Henry VIII at 10:30", "en", "hˈɛnɹi ðɪ ˈeɪtθ æt tˈɛn θˈɜːɾi"),
        ("1984", "ru", "ʌdnˈɑ tˈysʲʌtʃʲʌ dʲivʲatʲsˈot vˈosʲimʲdʲisʲʌt tʃʲitˈyrʲi"),
        ("3, 2, 1!", "ko", "sˈɐm ˈi ˈiɫ"),
        ("10:30", "hi", "dˈʌs bˈʌɟəkˌəɾ tˈiːs mˈɪnəʈ"),
    ],
)
def test_figures_and_interjections_are_heard_as_words(speech, words, language, phonemes):
    assert speech.phonemes(words, language) == phonemes


@pytest.mark.parametrize(
    ("written", "spelled"),
    [
        ("お母さん", "オカアサン"),
        ("お父さん", "オトウサン"),
        ("お兄さん", "オニイサン"),
        ("お姉さん", "オネエサン"),
        ("箱", "ハコ"),
        ("何を", "ナニヲ"),
        ("一昨日", "オトトイ"),
        ("空の箱", "カラノハコ"),
        ("３、２、１！", "サン、ニ、イチ！"),
        ("１２３", "ヒャクニジュウサン"),
        ("𠮟られた", "シカラレタ"),
    ],
)
def test_everyday_japanese_is_read_as_it_is_said(speech, written, spelled):
    assert speech.phonemes(written, "ja").replace(" ", "") == speech.phonemes(
        spelled, "ja"
    ).replace(" ", "")


def test_cheap_is_not_convenient_in_chinese(speech):
    assert "phˈiɛɜn" in speech.phonemes("便宜", "zh")


@pytest.mark.parametrize("language", ["en", "fr", "de", "ru", "ja"])
def test_reading_in_ipa_is_heard_in_every_language(speech, language):
    heard = speech.phonemes("Siobhan", language, {"Siobhan": "/ʃɪˈvɔːn/"})

    assert heard.startswith(("ʃɪ", "ʃi"))
    assert heard.endswith("n")


def test_every_symbol_of_the_readings_is_heard():
    marks = set("ˈˌː. ˑ‿ʰʲʷ̩̯̃͡")
    assert [symbol for symbol in IPA if symbol not in marks and not mnemonics(symbol)] == []


def test_kanji_without_a_reading_is_named(speech):
    utterance = speech.speak("彼は𪚥と言った。", "ja", MAN, None, None)

    assert utterance.unread == ("𪚥",)
    assert not utterance.is_silent
