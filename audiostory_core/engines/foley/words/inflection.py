"""Words of a text, and the forms under which two of them count as the same word."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_CJK = "\u3005\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f"
_TOKEN = re.compile(
    r"(?P<numeral>[一二三四五六七八九十百]{2,})"  # twelve is not two
    rf"|(?P<ideograph>[{_CJK}])"
    r"|(?P<number>\d+(?:[.,]\d+)*)"
    rf"|(?P<word>(?:(?![{_CJK}])[^\W\d_]|[\u0300-\u036f])+)"
    r"|(?P<sentence>[.!?…。！？;；:：\n]+)"
    r"|(?P<clause>[,，、()（）\[\]—–\"“”«»„「」『』]+)"
)
_DETERMINERS = {
    "en": "a an the his her its their my your our this that these those some",
    "es": "el la los las un una unos unas su sus de del al",
    "fr": "le la les l un une de d du des son sa ses leur leurs au aux",
    "de": "der die das den dem des ein eine einen einem einer eines sein seine ihr ihre",
}


@dataclass(frozen=True, slots=True)
class Word:
    """A word, a number, or one Chinese or Japanese character.

    `clause` and `sentence` count the commas and the stops before it.
    """

    text: str  # casefolded, NFKC
    start: int  # in characters of the original text
    end: int
    clause: int
    sentence: int
    is_capital: bool = False  # written with a capital initial


def fold(text: str) -> str:
    """Return the text as it is compared: NFKC, casefolded."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def split_words(text: str) -> list[Word]:
    """Return the words of a text in order; punctuation only divides clauses and sentences."""
    words: list[Word] = []
    clause = sentence = 0
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "sentence":
            sentence += 1
            clause += 1
        elif token.lastgroup == "clause":
            clause += 1
        else:
            written = token.group()
            start, end = token.span()
            words.append(Word(fold(written), start, end, clause, sentence, written[0].isupper()))
    return words


def determiners(languages: Iterable[str]) -> frozenset[str]:
    """Return the words of these languages that phrases and texts may have or lack."""
    return frozenset(
        word for language in languages for word in _DETERMINERS.get(language, "").split()
    )


def without_determiners(words: Sequence[Word], skipped: frozenset[str]) -> list[Word]:
    """Return the words but the skipped ones; one that ends its clause is a verb's ("fährt ein")."""
    following = [*words[1:], None]
    return [
        word
        for word, after in zip(words, following, strict=False)
        if word.text not in skipped or after is None or after.clause != word.clause
    ]


@dataclass
class _Forms:
    """Under which strings a word is known.

    Two words are the same if they share a whole form, or a root of which at least one carries an
    ending that only verbs or plurals have: "ladran" is "ladra", but "puerto" is not "puerta".
    """

    whole: set[str]
    bare: set[str]  # the word may be this root as it stands
    inflected: set[str]  # the word is surely an inflection of this root
    clipped: set[str]  # too short to equal another clipped root, may equal a bare one

    def add(self, other: "_Forms") -> None:
        self.whole |= other.whole
        self.bare |= other.bare
        self.inflected |= other.inflected
        self.clipped |= other.clipped


class Inflection:
    """Which words of one language are forms of each other.

    Args:
        language: BCP 47 primary subtag; languages without rules compare words as they are.
        irregular: lemma → its irregular forms.
    """

    def __init__(self, language: str, irregular: Mapping[str, list[str]]) -> None:
        self._rules = _RULES.get(language, _no_rules)
        self._drops_accents = language == "de"  # Vogel, Vögel
        self._lemma = {
            self._spelled(form): self._spelled(lemma)
            for lemma, forms in irregular.items()
            for form in forms
        }

    def phrase_keys(self, word: str) -> frozenset[str]:
        """Return the keys of a lexicon word; it matches a text word that shares one."""
        if word.startswith("="):
            return frozenset([word])
        forms = self._forms(word)
        keys = forms.whole | {f"{root}<" for root in forms.bare | forms.inflected}
        keys |= {f"{root}>" for root in forms.inflected | forms.clipped}
        return frozenset(keys) | self._without_accents(word, keys)

    def text_keys(self, word: str) -> frozenset[str]:
        """Return the keys of a text word."""
        forms = self._forms(word)
        keys = {f"={word}"} | forms.whole
        keys |= {f"{root}>" for root in forms.bare | forms.inflected}
        keys |= {f"{root}<" for root in forms.inflected | forms.clipped}
        if word.isascii() and not self._drops_accents:
            keys |= {f"^{key}" for key in keys}
        return frozenset(keys)

    def _without_accents(self, word: str, keys: set[str]) -> frozenset[str]:
        if word.isascii() or self._drops_accents:
            return frozenset()
        return frozenset(f"^{_strip_accents(key)}" for key in keys)

    def _spelled(self, word: str) -> str:
        return _strip_accents(fold(word)) if self._drops_accents else fold(word)

    def _forms(self, word: str) -> _Forms:
        word = self._spelled(word)
        forms = self._rules(word)
        if word in self._lemma:
            forms.add(self._rules(self._lemma[word]))
        return forms


def _strip_accents(word: str) -> str:
    if word.isascii():
        return word
    parts = unicodedata.normalize("NFD", word)
    return "".join(part for part in parts if not unicodedata.combining(part))


def _no_rules(word: str) -> _Forms:
    return _Forms({word}, set(), set(), set())


_SHORT_SYLLABLE = re.compile(r"[^aeiou]*[aeiouy][^aeiouwxy]")
_VOWEL = re.compile(r"[aeiouy]")


def _english(word: str) -> _Forms:
    whole = {word} | _english_singular(word)
    for ending in ("ing", "ed"):
        if word.endswith(ending) and not word.endswith("eed"):
            whole |= _english_verb(word.removesuffix(ending))
    return _Forms(whole, set(), set(), set())


def _english_singular(word: str) -> set[str]:
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return set()
    if word.endswith("ies"):
        return {word[:-3] + "y", word[:-1]}
    if word.endswith(("ses", "xes", "zes", "ches", "shes", "oes")):
        return {word[:-2], word[:-1]}
    return {word[:-1]}


def _english_verb(stem: str) -> set[str]:
    if len(stem) < 2 or not _VOWEL.search(stem):
        return set()
    if stem.endswith("i"):
        return {stem[:-1] + "y"}
    if stem.endswith(("ss", "zz")):
        return {stem}
    if stem[-1] == stem[-2]:
        return {stem, stem[:-1]}
    if _SHORT_SYLLABLE.fullmatch(stem):
        return {stem + "e"}  # "caring" is "care": "car" would double its consonant
    return {stem, stem + "e"}


_SPANISH_ENDINGS = (
    "ándose",
    "iéndose",
    "ándola",
    "ándolo",
    "ando",
    "iendo",
    "yendo",
    "aron",
    "ieron",
    "aban",
    "aba",
    "ían",
    "ía",
    "an",
    "en",
    "ar",
    "er",
    "ir",
    "ó",
    "ió",
    "ado",
    "ada",
    "ados",
    "adas",
    "ido",
    "ida",
    "idos",
    "idas",
    "arse",
    "erse",
    "irse",
)
_FRENCH_ENDINGS = (
    "issent",
    "issant",
    "issait",
    "issaient",
    "èrent",
    "aient",
    "ait",
    "ant",
    "ent",
    "er",
    "ir",
    "it",
    "ée",
    "ées",
    "era",
)
_GERMAN_ENDINGS = (
    "ende",
    "end",
    "enden",
    "ern",
    "em",
    "en",
    "er",
    "es",
    "est",
    "et",
    "ten",
    "tet",
    "te",
    "e",
    "n",
    "s",
    "t",
    "st",
)


def _spanish(word: str) -> _Forms:
    whole = {word}
    if len(word) > 3 and word.endswith("s"):
        whole.add(word[:-1])
    if len(word) > 4 and word.endswith("es"):
        whole.add(word[:-2])
    if word.endswith("ces"):
        whole.add(word[:-3] + "z")
    return _Forms(whole, _roots(word, ["a", "e"]), _roots(word, _SPANISH_ENDINGS), set())


def _french(word: str) -> _Forms:
    whole = {word}
    if len(word) > 3 and word.endswith(("s", "x")):
        whole.add(word[:-1])
    if len(word) > 4 and word.endswith("aux"):
        whole.add(word[:-3] + "al")
    return _Forms(whole, _roots(word, ["e", "es"]), _roots(word, _FRENCH_ENDINGS), set())


def _german(word: str) -> _Forms:
    roots = _roots(word, _GERMAN_ENDINGS)
    if word.startswith("ge") and word.endswith(("t", "en")):
        roots |= _roots(word.removeprefix("ge"), ["t", "en"])
    long = {root for root in roots if len(root) > 3}
    return _Forms({word}, {word}, long, roots - long)


def _roots(word: str, endings: Iterable[str]) -> set[str]:
    return {
        word.removesuffix(ending)
        for ending in endings
        if word.endswith(ending) and len(word) >= len(ending) + 3
    }


_RULES = {"en": _english, "es": _spanish, "fr": _french, "de": _german}
