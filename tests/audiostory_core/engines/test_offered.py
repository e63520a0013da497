import json

import pytest

from audiostory_core.engines.foley.engine import Foley
from audiostory_core.engines.offered import capabilities_of, card_of
from tests.support.fakes import ToneEngine


@pytest.fixture(scope="module")
def foley():
    engine = Foley()
    yield engine.capabilities
    engine.close()


def _through_a_table(capabilities):
    card = json.loads(json.dumps(card_of(capabilities)))
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


@pytest.mark.parametrize(
    ("speech", "music", "stems"),
    [(True, True, ("dialogue", "music", "effects")), (False, True, ("music", "effects"))],
)
def test_offers_from_before_there_were_stems_are_read(foley, speech, music, stems):
    card = card_of(foley) | {"speech": speech, "music": music}
    older = {name: card[name] for name in card if name not in ("stems", "composite", "continuous")}

    read = capabilities_of("foley", "1", older)

    assert (read.stems, read.composite, read.continuous) == (stems, True, ())
