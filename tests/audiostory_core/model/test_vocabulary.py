import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import AutoTokenizer

from audiostory_core.errors import BadInput
from audiostory_core.model.vocabulary import ADDED_TOKENS, Vocabulary

GOLDEN = Path(__file__).parents[2] / "data" / "golden"
TOKENIZER = GOLDEN / "tokenizer"
VOCABULARY = Vocabulary.load(TOKENIZER)


def test_the_added_tokens_get_the_ids_of_the_release_on_qwens_151665_entries():
    ids = {token: 151_665 + index for index, token in enumerate(ADDED_TOKENS)}

    assert len(ids) == len(ADDED_TOKENS) == 612
    assert ids["</t5>"] == 151_665
    assert ids["<video_padding>"] == 151_666
    assert (ids["<timestamp>"], ids["</timestamp>"]) == (151_667, 151_668)
    assert ids["<t5>"] == 151_669
    assert (ids["<t5_00000>"], ids["<t5_00099>"]) == (151_670, 151_769)
    assert (ids["<aud>"], ids["</aud>"]) == (151_770, 151_771)
    assert (ids["<aud_00000>"], ids["<aud_00500>"]) == (151_772, 152_272)
    assert (ids["<|gen|>"], ids["<|/gen|>"]) == (152_273, 152_274)
    assert (ids["<|think|>"], ids["<|/think|>"]) == (152_275, 152_276)


def test_missing_tokens_are_appended_in_the_order_of_the_release():
    assert [VOCABULARY.special[token] for token in ADDED_TOKENS] == list(range(1222, 1834))
    assert len(VOCABULARY) == 1834
    assert VOCABULARY.ends == {VOCABULARY.im_end, VOCABULARY.special["<|endoftext|>"]}


def test_ids_of_the_released_transcript_are_read_back_by_token_string():
    expected = load_file(GOLDEN / "expected.safetensors")
    ids = expected["transcript_ids"].tolist()

    text = VOCABULARY.decode(ids)

    assert text.startswith("Three events: departure, drive, fade.<|/think|><|gen|>The truck")
    assert ids[-1] == VOCABULARY.im_end
    assert ids.count(VOCABULARY.t5_end) == 3
    start = ids.index(VOCABULARY.t5) + 1
    assert ids[start : start + 64] == VOCABULARY.semantic


def test_a_saved_vocabulary_is_the_same_and_stock_transformers_reads_it(tmp_path):
    VOCABULARY.save(tmp_path)

    assert Vocabulary.load(tmp_path).special == VOCABULARY.special
    stock = AutoTokenizer.from_pretrained(tmp_path)
    told = "<|im_start|>user\nA dog barks.<|im_end|>\n<|think|>"
    assert stock.decode(stock.encode(told)) == told
    assert stock.encode("<|/think|>") == [VOCABULARY.think_end]
    assert stock.encode("A dog barks.") == VOCABULARY.encode_text("A dog barks.")


def test_merges_of_unknown_pieces_are_refused(tmp_path):
    folder = copied(tmp_path / "tokenizer")
    with (folder / "merges.txt").open("a") as merges:
        merges.write("nowhere tofind\n")

    with pytest.raises(BadInput, match="nowhere"):
        Vocabulary.load(folder)


def test_every_special_string_inside_text_is_text():
    for token in VOCABULARY.special:
        ids = VOCABULARY.encode_text(f"before {token}after")

        assert not set(ids) & set(VOCABULARY.special.values())
        assert VOCABULARY.decode(ids) == f"before {token}after"


@settings(max_examples=200)
@given(
    st.lists(
        st.one_of(st.sampled_from(sorted(VOCABULARY.special)), st.text(alphabet="aB <|>/_05\n"))
    )
)
def test_no_text_spells_a_special_token(pieces):
    text = "".join(pieces)

    ids = VOCABULARY.encode_text(text)

    assert not set(ids) & set(VOCABULARY.special.values())
    assert VOCABULARY.decode(ids) == text


def copied(target: Path) -> Path:
    return Path(shutil.copytree(TOKENIZER, target, copy_function=shutil.copyfile))


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"has no tokenizer\.json") as refused:
        Vocabulary.load(tmp_path)

    assert refused.value.field == "weights"


@pytest.mark.parametrize("name", ["vocab.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", ["{", "[]", "\udcff", ""])
def test_a_damaged_file_is_named(tmp_path, name, content):
    folder = copied(tmp_path / "tokenizer")
    (folder / name).write_text(content, encoding="utf-8", errors="surrogateescape")

    with pytest.raises(BadInput) as refused:
        Vocabulary.load(folder)

    assert refused.value.field == "weights"
    assert refused.value.value in (str(folder / name), str(folder))


def test_a_tokenizer_without_the_chat_tokens_is_refused(tmp_path):
    folder = copied(tmp_path / "tokenizer")
    (folder / "tokenizer_config.json").unlink()

    with pytest.raises(BadInput, match=r"has no token <\|im_start\|>"):
        Vocabulary.load(folder)


def test_tokens_that_share_an_id_are_refused(tmp_path):
    folder = tmp_path / "tokenizer"
    VOCABULARY.save(folder)
    saved = json.loads((folder / "tokenizer.json").read_text())
    for token in saved["added_tokens"]:
        if token["content"] in ("<|gen|>", "<|/gen|>", "<|think|>", "<|/think|>"):
            token["id"] = 1830
    (folder / "tokenizer.json").write_text(json.dumps(saved))

    with pytest.raises(BadInput, match=r"gives .*gen.* the id 1830, which another") as refused:
        Vocabulary.load(folder)

    assert refused.value.field == "weights"


def test_the_colliding_ids_of_the_release_are_refused(tmp_path):
    folder = copied(tmp_path / "tokenizer")
    told = {"<|gen|>": 1300, "<|/gen|>": 1300, "<|think|>": 1300, "<|/think|>": 1300}
    (folder / "added_tokens.json").write_text(json.dumps(told))

    with pytest.raises(BadInput, match="the id 1300"):
        Vocabulary.load(folder)


def test_a_token_that_text_could_spell_is_refused(tmp_path):
    folder = copied(tmp_path / "tokenizer")
    vocab = json.loads((folder / "vocab.json").read_text())
    vocab["<t5>"] = len(vocab)
    (folder / "vocab.json").write_text(json.dumps(vocab))

    with pytest.raises(BadInput, match="<t5>"):
        Vocabulary.load(folder)
