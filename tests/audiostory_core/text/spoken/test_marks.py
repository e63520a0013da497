import pytest

from audiostory_core.planners.clauses.planner import Clauses
from audiostory_core.planners.protocol import Brief
from audiostory_core.story.plan import SpeechLayer
from audiostory_core.text.spoken.marks import without_footnotes, without_marks


@pytest.mark.parametrize(
    ("written", "without", "dropped"),
    [
        ("It rose.[1]\n\n[1] A note.", "It rose.\n\n", ("[1] A note.",)),
        ("It rose.² Yes.\n² Ibid.\n", "It rose. Yes.\n", ("² Ibid.",)),
        ("Es stieg.³\n\n³ Ebenda.", "Es stieg.\n\n", ("³ Ebenda.",)),
        ("Il monta.[^2]\n\n[^2]: Voir.", "Il monta.\n\n", ("[^2]: Voir.",)),
        ("He ran† home.\n† Later.", "He ran home.\n", ("† Later.",)),
        ("It rose.[4]", "It rose.", ("[4]",)),
        ("[S1] Hello. [S2] Oh.", "[S1] Hello. [S2] Oh.", ()),
        ("A room of 20 m² and 5 km².", "A room of 20 m² and 5 km².", ()),
        ("[1] A list\n[2] of things", "[1] A list\n[2] of things", ()),
    ],
)
def test_footnotes_and_their_marks_are_dropped_together(written, without, dropped):
    assert without_footnotes(written) == (without, dropped)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Rock &amp; roll", "Rock & roll"),
        ("&ldquo;Who?&rdquo;", "“Who?”"),
        ("It&#8217;s me.<br/>Oh.", "It’s me.\nOh."),
        ("l&agrave;", "là"),
        ("<i>Run</i>!", " Run !"),
        ("3 < 5 & 6", "3 < 5 & 6"),
        ("&#0;", "&#0;"),
    ],
)
def test_entities_and_tags_are_read_as_what_they_are(written, said):
    assert without_marks(written) == (said, ())


def test_footnotes_of_dialogue_are_no_sounds_and_the_plan_says_so():
    text = "Narrator: The river rose.[1] Nobody slept.²\n\n[1] See the county records.\n² Ibid."
    plan = Clauses().plan(Brief(text, None))

    layers = [layer for event in plan.sub_events for layer in event.layers]
    assert all(isinstance(layer, SpeechLayer) for layer in layers)
    assert " ".join(layer.words for layer in layers) == "The river rose. Nobody slept."
    assert "2 footnotes are not spoken: [1] See the county records.; ² Ibid." in plan.notes
