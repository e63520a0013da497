"""The tokenizer of the language model, with the 612 tokens that AudioStory adds to Qwen2's.

Every id is found by token string: the ids written in the release's own `added_tokens.json` have
gaps and duplicates, and what its code uses are the positions in which the tokens were added.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tokenizers import Tokenizer
from transformers import Qwen2Tokenizer

from audiostory_core.errors import BadInput
from audiostory_core.json_text import NotJson, parse
from audiostory_core.model.config import RESIDUAL_TOKENS, SEMANTIC_TOKENS

ADDED_TOKENS: tuple[str, ...] = (
    "</t5>",
    "<video_padding>",
    "<timestamp>",
    "</timestamp>",
    "<t5>",
    *(f"<t5_{index:05d}>" for index in range(100)),
    "<aud>",
    "</aud>",
    *(f"<aud_{index:05d}>" for index in range(501)),
    "<|gen|>",
    "<|/gen|>",
    "<|think|>",
    "<|/think|>",
)
"""What AudioStory adds to Qwen2's vocabulary, in the order in which the release adds it: on the
151,665 entries of Qwen2.5 the first gets id 151665 and the last 152276."""

REMEDY = "Name the tokenizer of the checkpoint: a Qwen2 folder, not the release's `tokenizer/`."


class Vocabulary:
    """Token ids of AudioStory's grammar, and text to ids and back.

    Text stays text: a caption that spells `<|im_end|>` is encoded by its characters, so that no
    author can close a turn or open a sub-event by writing one.

    Args:
        tokenizer: Qwen2's; it is given what it lacks of `ADDED_TOKENS`.
        source: where the tokenizer was read, for the error.

    Raises:
        BadInput: if two tokens share an id, if plain text could spell one, or if the tokens of
            the chat format are missing.
    """

    def __init__(self, tokenizer: Qwen2Tokenizer, source: Path) -> None:
        known = tokenizer.get_added_vocab()
        tokenizer.add_tokens([token for token in ADDED_TOKENS if token not in known])
        self._tokenizer = tokenizer
        self._ids: dict[str, int] = tokenizer.get_added_vocab()

        whole = tokenizer.backend_tokenizer
        self._text = Tokenizer(whole.model)  # knows no added token
        self._text.normalizer = whole.normalizer
        self._text.pre_tokenizer = whole.pre_tokenizer
        self._check(source)

        self.semantic = [self._ids[f"<t5_{index:05d}>"] for index in range(SEMANTIC_TOKENS)]
        self.residual = [self._ids[f"<aud_{index:05d}>"] for index in range(RESIDUAL_TOKENS)]
        self.t5 = self._ids["<t5>"]
        self.t5_end = self._ids["</t5>"]
        self.aud = self._ids["<aud>"]
        self.aud_end = self._ids["</aud>"]
        self.gen = self._ids["<|gen|>"]
        self.gen_end = self._ids["<|/gen|>"]
        self.think = self._ids["<|think|>"]
        self.think_end = self._ids["<|/think|>"]
        self.timestamp = self._ids["<timestamp>"]
        self.timestamp_end = self._ids["</timestamp>"]
        self.im_start = self._ids["<|im_start|>"]
        self.im_end = self._ids["<|im_end|>"]
        # Qwen2's instruct models stop at either; a bare tokenizer may lack the second.
        self.ends = {self.im_end, self._ids.get("<|endoftext|>", self.im_end)}

    def _check(self, source: Path) -> None:
        needed = (*ADDED_TOKENS, "<|im_start|>", "<|im_end|>")
        spelled = set(self._text.get_vocab().values())
        owners: dict[int, str] = {}
        for token in needed:
            if token not in self._ids:
                raise BadInput("weights", str(source), f"has no token {token}", REMEDY)
            index = self._ids[token]
            if index in owners or index in spelled:
                other = owners.get(index, "a piece of text")
                problem = f"gives {token} and {other} the same id {index}"
                raise BadInput("weights", str(source), problem, REMEDY)
            owners[index] = token

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a tokenizer folder in Qwen2's format, with AudioStory's tokens or without.

        Raises:
            BadInput: if the folder holds no such tokenizer, or one that `Vocabulary` refuses.
        """
        declared = _check_files(folder)
        try:
            tokenizer = Qwen2Tokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # what tokenizers raises is of no narrower class
            problem = f"holds no tokenizer that can be read ({error})"
            raise BadInput("weights", str(folder), problem, REMEDY) from error
        ids = tokenizer.get_added_vocab()
        for token, index in declared.items():
            if ids.get(token) != index:
                problem = f"gives {token} the id {index}, which another token has"
                raise BadInput("weights", str(folder), problem, REMEDY)
        return cls(tokenizer, folder)

    def save(self, folder: Path) -> None:
        """Write the tokenizer with all its tokens, as transformers and vLLM load it."""
        self._tokenizer.save_pretrained(folder)

    def __len__(self) -> int:
        """Number of embeddings that the ids need: the largest id and one."""
        return max(*self._ids.values(), *self._text.get_vocab().values()) + 1

    @property
    def special(self) -> dict[str, int]:
        """Ids of all tokens that text cannot spell, by token string: Qwen2's and the 612."""
        return dict(self._ids)

    def encode_text(self, text: str) -> list[int]:
        """Return the ids of plain text; strings of special tokens in it are text as well."""
        return self._text.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids, special tokens as their strings, broken UTF-8 as U+FFFD."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=False)


def _check_files(folder: Path) -> dict[str, int]:
    """Refuse what transformers would take for an empty tokenizer; return the ids of added tokens.

    The ids are the written ones: tokenizers loads a colliding token under the next free id.
    """
    added: dict[str, object] = {}
    if (folder / "tokenizer.json").is_file():
        content = _read(folder / "tokenizer.json")
        model, tokens = content.get("model"), content.get("added_tokens")
        vocab = model.get("vocab") if isinstance(model, dict) else None
        if isinstance(tokens, list):
            added = {token["content"]: token["id"] for token in tokens if _is_added(token)}
    elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        vocab = _read(folder / "vocab.json")
        if (folder / "added_tokens.json").is_file():
            added = _read(folder / "added_tokens.json")
    else:
        problem = "has no tokenizer.json, nor vocab.json and merges.txt"
        raise BadInput("weights", str(folder), problem, REMEDY)
    if not isinstance(vocab, dict) or not all(isinstance(index, int) for index in vocab.values()):
        raise BadInput("weights", str(folder), "has no vocabulary of token ids", REMEDY)
    if (folder / "tokenizer_config.json").is_file():
        _read(folder / "tokenizer_config.json")
    return {token: index for token, index in added.items() if isinstance(index, int)}


def _is_added(token: object) -> bool:
    return isinstance(token, dict) and {"content", "id"} <= token.keys()


def _read(path: Path) -> dict[str, object]:
    try:
        content = parse(path.read_bytes())
    except (OSError, NotJson) as error:
        raise BadInput("weights", str(path), f"cannot be read as JSON ({error})", REMEDY) from error
    if not isinstance(content, dict):
        raise BadInput("weights", str(path), "is not a JSON object", REMEDY)
    return content
