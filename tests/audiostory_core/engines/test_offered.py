import json

import pytest

from audiostory_core.engines.discovery import find_cards
from audiostory_core.engines.foley.engine import Foley
from audiostory_core.engines.offered import capabilities_of, offer_of
from audiostory_core.engines.protocol import Capabilities
from audiostory_core.story.shape import SHAPES
from tests.support.fakes import ToneEngine

BEFORE_STEMS = {  # as it lies in the tables of earlier versions
    "longest_clip_s": 33.0,
    "controllable_duration": True,
    "speech": True,
    "music": True,
    "needs_condition": True,
    "sample_rate": 44_100,
    "parameters": {},
    "languages": [],
    "manners": {"names": ["whispering"], "words": ["whisper*", "leise"]},
}
STEMS = {"stems": ["effects"], "composite": False, "continuous": ["effects"]}  # later rows


@pytest.fixture(scope="module")
def foley():
    engine = Foley()
    yield engine.capabilities
    engine.close()


def _through_a_table(capabilities):
    card = json.loads(json.dumps(offer_of(capabilities)))
    return capabilities_of(capabilities.name, capabilities.revision, card)


def test_what_an_engine_can_do_is_read_as_it_was_written_down():
    own = ToneEngine().capabilities

    assert _through_a_table(own) == own


@pytest.mark.parametrize(
    ("text", "is_known"),
    [
        ("whispering", True),
        ("a tired whisper", True),
        ("leise", True),
        ("悄声", True),
        ("x", False),
    ],
)
def test_manners_are_known_elsewhere_as_they_are_to_the_engine(foley, text, is_known):
    manners = _through_a_table(foley).manners

    assert manners.names == foley.manners.names
    assert manners.knows(text) == foley.manners.knows(text) == is_known


def test_stems_are_known_elsewhere(foley):
    read = _through_a_table(foley)

    assert read.stems == ("dialogue", "music", "effects")
    assert (read.composite, read.continuous) == (True, ("effects",))


@pytest.mark.parametrize("name", ["foley", "audiostory"])
def test_all_that_a_card_says_is_known_elsewhere(name):
    card = find_cards().get(name)
    own = Capabilities.of(card, "7", longest_clip_s=12.5, parameters={"steps": 9})

    read = _through_a_table(own)

    assert read == own
    assert read.card == card.written
    assert (read.longest_clip_s, read.parameters) == (12.5, {"steps": 9})


@pytest.mark.parametrize(
    ("speech", "music", "stems"),
    [(True, True, ("dialogue", "music", "effects")), (False, True, ("music", "effects"))],
)
def test_offers_from_before_there_were_stems_are_read(speech, music, stems):
    read = capabilities_of("foley", "1", BEFORE_STEMS | {"speech": speech, "music": music})

    assert (read.name, read.revision, read.longest_clip_s) == ("foley", "1", 33.0)
    assert (read.stems, read.composite, read.continuous) == (stems, True, ())
    assert read.manners.knows("leise")


def test_offers_from_before_they_held_cards_are_read():
    read = capabilities_of("bells", "1", BEFORE_STEMS | STEMS | {"languages": ["de"]})

    assert (read.stems, read.composite, read.continuous) == (("effects",), False, ("effects",))
    assert read.languages == ("de",)
    assert read.card.needs_condition
    assert read.card.shapes == SHAPES  # the engine's own matter then, and so they stay


def test_drivers_that_know_no_cards_in_offers_read_theirs(foley):
    names = (*BEFORE_STEMS, *STEMS)

    assert {name: offer_of(foley)[name] for name in names} == BEFORE_STEMS | {
        "stems": ["dialogue", "music", "effects"],
        "composite": True,
        "continuous": ["effects"],
        "manners": {"names": list(foley.manners.names), "words": list(foley.manners.words)},
    }


def test_field_of_a_newer_card_is_read_over(foley):
    offer = json.loads(json.dumps(offer_of(foley)))
    offer["card"] |= {"smell": "of rain"}
    offer["card"]["limits"] |= {"smallest_clip_s": 0.1}

    assert capabilities_of("foley", foley.revision, offer).card == foley.card


def test_of_a_newer_card_with_another_meaning_what_all_versions_know_is_read(foley):
    offer = json.loads(json.dumps(offer_of(foley)))
    offer["card"] |= {"shapes": ["gain_db", "wetness"]}

    read = capabilities_of("foley", foley.revision, offer)

    assert (read.stems, read.languages) == (foley.stems, foley.languages)
    assert read.card.shapes == SHAPES
