"""Stories of lines as they are heard: pauses between lines, and time that no line needs."""

import json

import numpy as np
import pytest
import soundfile

FRAME_S = 0.02
QUIET_DBFS = -40.0
ROAD = {
    "en": (
        "Narrator: The old road ran along the river for many miles, and every morning the carter drove "
        "his slow brown horse past the mill and the white church, speaking to nobody. At noon the "
        "bells of the church rang over the valley, and the carter stopped under the great oak, ate "
        "his bread, and fed the brown horse from a sack."
    ),
    "de": (
        "ERZÄHLER: Die alte Straße lief viele Meilen am Fluss entlang, und jeden Morgen fuhr der "
        "Kutscher an der Mühle und der weißen Kirche vorbei, ohne mit jemandem zu sprechen. Am Mittag "
        "läuteten die Glocken über dem Tal, und der Kutscher hielt unter der großen Eiche."
    ),
    "es": (
        "NARRADOR: El viejo camino corría junto al río, y cada mañana el carretero pasaba con su "
        "caballo por delante del molino y de la iglesia blanca, sin hablar con nadie. Al mediodía "
        "sonaban las campanas en el valle, y el carretero comía su pan bajo el gran roble."
    ),
}
LONG = (
    f"{ROAD['en']} In the evening he came home by the same road, and his wife stood at the gate and "
    "asked him what he had seen. He had seen nothing, he said, but the river and the road and the "
    "white church. She laughed, and they went in, and the dog lay down before the fire."
)


def _made(audiostory, folder, instruction, *options):
    """Return the process and the pauses within the speech, in seconds."""
    file = folder / "story.wav"
    finished = audiostory("create", instruction, "--seed", "1", "-o", file, *options)
    with file.open("rb") as opened, soundfile.SoundFile(opened) as wave:
        samples, frame = wave.read(), round(FRAME_S * wave.samplerate)
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame * samples.shape[1])
    power_db = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    loud = np.flatnonzero(power_db >= QUIET_DBFS)
    return finished, np.diff(loud)[np.diff(loud) > 1] * FRAME_S, loud * FRAME_S


@pytest.mark.parametrize("text", [*ROAD.values(), LONG], ids=[*ROAD, "longer than a clip"])
def test_narration_has_no_long_pause(text, audiostory, tmp_path):
    finished, pauses_s, _ = _made(audiostory, tmp_path, text)

    assert finished.returncode == 0
    assert "as its speaker" not in finished.stdout + finished.stderr
    assert max(pauses_s) <= 1.5


def test_lines_of_an_exchange_follow_each_other_as_in_speech(audiostory, tmp_path):
    text = (
        "ANNA: Did you hear that noise outside?\nBEN: It was only the wind, I think.\n"
        "ANNA: No, somebody is at the door.\nBEN: Then let us see who it is."
    )

    finished, pauses_s, _ = _made(audiostory, tmp_path, text)

    between_s = sorted(pauses_s)[-3:]
    assert finished.returncode == 0
    assert 0.3 <= between_s[0] <= between_s[-1] <= 1.2


def test_figures_have_the_time_that_they_take(audiostory, tmp_path):
    text = "NARRATOR: Dial 555-0198-2231, then 4-8-15-16-23-42.\nBEN: 2,147,483,647 reasons!"

    finished, _, _ = _made(audiostory, tmp_path, text)

    assert finished.returncode == 0
    assert "as its speaker" not in finished.stdout + finished.stderr


def test_time_that_a_line_does_not_need_is_without_babble(audiostory, tmp_path):
    text = 'The old man says: "I have waited a long time for this night."'

    finished, _, loud_s = _made(audiostory, tmp_path, text, "--duration", "45")

    assert finished.returncode == 0
    assert "The lines take about" in " ".join((finished.stdout + finished.stderr).split())
    assert max(loud_s) < 6.0


def test_plan_says_how_long_its_words_take_before_anything_is_made(audiostory):
    sentence = (
        "The old road ran along the river for many long miles, and every morning the carter drove "
        "his slow brown horse past the mill and the church. "
    )

    plan = json.loads(
        audiostory("plan", "Narrator: " + 12 * sentence, "--duration", "60", "--json").stdout
    )

    notes = [note for note in plan["notes"] if note.startswith("Too many words")]
    assert len(notes) == 1
    assert "about 99 s are needed" in notes[0]
    assert "the story has 60 s" in notes[0]
