"""Finding cards: shipped, in folders, and of installed packages."""

import sys

import pytest

from audiostory_core.engines.discovery import DEFAULT, find_cards
from audiostory_core.errors import BadInput
from tests.support.cards import TOY, install_plugin, write_card


def test_shipped_engines_are_there_and_the_default_is_first():
    cards = find_cards()

    assert cards.names[0] == DEFAULT
    assert set(cards.names) >= {"foley", "audiostory"}
    assert cards.problems == ()
    assert all(card.is_shipped for card in cards)


def test_folder_of_an_engine_and_folder_of_engines_are_searched(tmp_path):
    write_card(tmp_path / "several" / "brief")
    write_card(tmp_path / "several" / "curt")

    cards = find_cards([TOY, tmp_path / "several"])

    assert set(cards.names) >= {"toy", "brief", "curt"}
    assert not cards.get("toy").is_shipped


def test_package_offers_an_engine_and_is_not_imported(tmp_path, monkeypatch):
    install_plugin(tmp_path, "bellows", package="bellows_engine")
    monkeypatch.syspath_prepend(tmp_path)

    card = find_cards().get("bellows")

    assert card.origin == "the package bellows-plugin 1.0"
    assert card.folder == tmp_path / "bellows_engine"
    assert "bellows_engine" not in sys.modules


def test_broken_card_leaves_the_others_and_says_what_is_wrong(tmp_path, monkeypatch):
    install_plugin(tmp_path, "bellows", package="bellows_engine")
    (tmp_path / "bellows_engine" / "card.toml").write_text("name = 'bellows'\nvolume = 11")
    monkeypatch.syspath_prepend(tmp_path)

    cards = find_cards([TOY])

    assert set(cards.names) >= {"foley", "toy"}
    (problem,) = cards.problems
    assert problem.name == "bellows"
    assert "bellows_engine/card.toml: " in problem.why
    with pytest.raises(BadInput, match="bellows_engine"):
        cards.get("bellows")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("name = 'bellows'\nvolume = 11", "bellows"),
        ("name = '../etc'", "pipes"),
        ("name = 7", "pipes"),
        ("name = ", "pipes"),
    ],
)
def test_broken_card_is_known_by_the_name_that_it_gives(tmp_path, content, name):
    folder = tmp_path / "pipes"
    folder.mkdir()
    (folder / "card.toml").write_text(content)

    cards = find_cards([folder])

    assert [problem.name for problem in cards.problems] == [name]
    with pytest.raises(BadInput, match=r"pipes/card\.toml") as refused:
        cards.get(name)
    assert ".." not in str(refused.value).replace("'../etc'", "")


def test_package_without_a_card_is_a_problem(tmp_path, monkeypatch):
    install_plugin(tmp_path, "bellows", package="bellows_engine")
    (tmp_path / "bellows_engine" / "card.toml").unlink()
    monkeypatch.syspath_prepend(tmp_path)

    (problem,) = find_cards().problems

    assert problem.why == "the package bellows-plugin 1.0 holds no card.toml"


def test_folder_without_a_card_is_a_problem(tmp_path):
    (problem,) = find_cards([tmp_path / "nowhere"]).problems

    assert "nowhere" in problem.why


def test_two_engines_of_a_name_are_both_named_and_neither_is_used(tmp_path):
    left = write_card(tmp_path / "left" / "brief")
    right = write_card(tmp_path / "right" / "brief")

    cards = find_cards([left, right])

    assert "brief" not in cards
    with pytest.raises(BadInput) as refused:
        cards.get("brief")
    assert str(left / "card.toml") in str(refused.value)
    assert str(right / "card.toml") in refused.value.problem


def test_shipped_engine_cannot_be_replaced(tmp_path):
    other = write_card(tmp_path / "foley")

    cards = find_cards([other])

    assert cards.get("foley").is_shipped
    (problem,) = cards.problems
    assert str(other) in problem.why
    assert "the shipped one is used" in problem.why


def test_folder_named_twice_is_one_engine():
    cards = find_cards([TOY, TOY.parent])

    assert "toy" in cards
    assert cards.problems == ()


def test_unknown_name_is_refused_with_those_that_are_known():
    with pytest.raises(BadInput, match="audiostory, foley, toy"):
        find_cards([TOY]).get("kazoo")
