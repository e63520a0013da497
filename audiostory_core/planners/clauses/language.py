"""What the planner knows of a language, read from languages/*.toml, and which one a text is in."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

from audiostory_core.manuscript.dashes import IDLE_WORDS, MANNER_OF, PRONOUNS_WORDS, SAYS
from audiostory_core.text.detection import UNKNOWN, by_letters, by_script, common_words

CODES = ("en", "es", "fr", "de", "zh", "ja")
_SURE, _AHEAD = 0.4, 1.5  # by how much a share of known words is above so much of the next
_ALONE = 0.5  # of the share of the best, at most, that the next has where the best is believed
_FEW_WORDS = 5  # too few for their letters to say more than known words do
_LIKELY = 0.5  # the share of words that is believed where letters tell nothing
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_LETTERS = {  # beyond a to z
    "en": "", "es": "áéíóúüñ", "fr": "àâæçéèêëîïôœùûüÿ", "de": "äöüß",
}  # fmt: skip
_NEVER = re.compile(r"(?!)")


def words_of(entry: str) -> frozenset[str]:
    """Return the words of a space-separated list."""
    return frozenset(entry.split())


def any_phrase(phrases: Iterable[str], *, spaced: bool) -> re.Pattern[str]:
    """Compile a pattern for any of the phrases, the longest first; none never matches."""
    longest_first = sorted(
        {phrase.strip() for phrase in phrases} - {""}, key=lambda p: (-len(p), p)
    )
    if not longest_first:
        return _NEVER
    body = "|".join(re.escape(phrase) for phrase in longest_first)
    return re.compile(rf"(?:{body})(?!\w)" if spaced else rf"(?:{body})", re.IGNORECASE)


@dataclass(frozen=True)
class Language:
    """The word lists and patterns of one language; all words are lower case."""

    code: str
    head: Literal["first", "last"]  # where the noun stands in "a tired woman"
    spaced: bool  # words are separated by spaces
    function_words: frozenset[str]
    determiners: frozenset[str]
    pronouns: frozenset[str]
    anaphora: frozenset[str]  # pronouns that stand for what was named before
    clitics: frozenset[str]  # between subject and verb: "se aleja"
    plurals: frozenset[str]  # nouns that take a plural verb without looking plural
    prepositions: frozenset[str]
    joiners: frozenset[str]
    subordinators: frozenset[str]
    separators: frozenset[str]  # what comes after sounds at the same time
    adverbs: frozenset[str]
    adjectives: frozenset[str]
    not_participles: frozenset[str]
    verbs: frozenset[str]  # all regular forms
    irregular_verbs: frozenset[str]
    abbreviations: frozenset[str]
    not_speakers: frozenset[str]
    speaker_nouns: frozenset[str]
    manners: frozenset[str]
    music: frozenset[str]
    ambience: frozenset[str]
    not_ambience: frozenset[str]  # words that contain one of `ambience` and are none
    places: frozenset[str]
    silence: frozenset[str]
    counts: frozenset[str]  # words that say how often something happens
    silence_word: str  # how a layer asks for silence
    participle_endings: tuple[str, ...]
    clause_endings: tuple[str, ...]
    sequence: re.Pattern[str]  # connectives that open an event
    splitters: re.Pattern[str]  # those that part two events without a comma
    scene_is: re.Pattern[str]  # "it is", before a place or a time of day
    aftermath: re.Pattern[str]  # "After the storm,": what is over and not heard
    framing: tuple[re.Pattern[str], ...]  # words addressed to the planner
    labels: Mapping[str, str]  # "sfx" in "SFX: glass breaks" → kind of layer
    speech_verbs: Mapping[str, str]  # → the manner they imply, "" for none
    tones: Mapping[str, frozenset[str]]

    def is_verb(self, word: str) -> bool:
        """Say whether a lower-case word can be the finite verb of an event."""
        if self.code == "fr":
            word = word.replace("’", "'").rpartition("'")[2]  # "s'éloigne"
        return word in self.verbs or word in self.irregular_verbs

    def knows(self, word: str) -> bool:
        """Say whether a lower-case word is one of those that make a text this language's."""
        lists = (self.function_words, self.ambience, self.music, self.speech_verbs)
        return any(word in words for words in lists) or self.is_verb(word)

    def is_participle(self, word: str) -> bool:
        """Say whether a lower-case word only accompanies an event, such as "signaling"."""
        return (
            len(word) > 4
            and word.endswith(self.participle_endings)
            and word not in self.not_participles
        )


def _inflected(verbs: frozenset[str], endings: tuple[str, ...]) -> frozenset[str]:
    forms = set(verbs)
    for ending in endings:
        if ending == "ies":
            forms |= {verb[:-1] + ending for verb in verbs if verb.endswith("y")}
        else:
            forms |= {verb + ending for verb in verbs}
    return frozenset(forms)


_WORD_LISTS = tuple(
    name for name, kind in Language.__annotations__.items() if kind == frozenset[str]
)
_SAYING = {  # of languages without a file: who says what is known all the same
    "speech_verbs": dict.fromkeys(SAYS, "") | MANNER_OF,
    "pronouns": PRONOUNS_WORDS,
    "determiners": IDLE_WORDS,
}
_TUPLES = ("participle_endings", "clause_endings")


def _language(code: str, entries: Mapping[str, Any]) -> Language:
    spaced = bool(entries.get("spaced", True))
    lists: dict[str, Any] = {name: words_of(entries.get(name, "")) for name in _WORD_LISTS}
    lists |= {name: tuple(entries.get(name, "").split()) for name in _TUPLES}
    lists["verbs"] = _inflected(lists["verbs"], tuple(entries.get("verb_endings", "").split()))
    framing = entries.get("framing", [])
    return Language(
        code=code,
        head=entries.get("head", "last"),
        silence_word=entries.get("silence_word", "silence"),
        spaced=spaced,
        sequence=any_phrase(entries.get("sequence", "").split("|"), spaced=spaced),
        splitters=any_phrase(entries.get("splitters", "").split("|"), spaced=spaced),
        scene_is=any_phrase(entries.get("scene_is", "").split("|"), spaced=spaced),
        aftermath=re.compile(entries.get("aftermath", r"(?!)"), re.IGNORECASE),
        framing=tuple(re.compile(pattern, re.IGNORECASE) for pattern in framing),
        labels=entries.get("labels", {}),
        speech_verbs=entries.get("speech_verbs", {}),
        tones={tone: words_of(entry) for tone, entry in entries.get("tones", {}).items()},
        **lists,
    )


@dataclass(frozen=True)
class Languages:
    """All languages known, and one without any words for the rest."""

    known: Mapping[str, Language]
    unknown: Language
    entries: tuple[Mapping[str, Any], ...]  # as in the files, for what is shared by all languages

    @classmethod
    def load(cls) -> "Languages":
        """Read the language files that come with the package."""
        folder = files("audiostory_core.planners.clauses") / "languages"
        entries = [
            tomllib.loads((folder / f"{code}.toml").read_text(encoding="utf-8")) for code in CODES
        ]
        known = {code: _language(code, entry) for code, entry in zip(CODES, entries, strict=True)}
        return cls(known, _language(UNKNOWN, _SAYING), tuple(entries))

    def named(self, code: str) -> Language:
        """Return the language of a code, or the one without words."""
        return self.known.get(code.split("-")[0].lower(), self.unknown)

    def detect(self, text: str) -> str:
        """Return the code of the language a text is most likely in, or `UNKNOWN`."""
        written = by_script(text)
        if written:
            return written
        shares = self._shares(common_words(text))
        best, *others = sorted(shares, key=lambda code: -shares[code])
        ahead = shares[best] - _AHEAD * shares[others[0]]
        is_short = len(_WORD.findall(text)) <= _FEW_WORDS
        is_alone = is_short or shares[others[0]] <= _ALONE * shares[best]
        if ahead >= _SURE or (is_alone and shares[best] >= _LIKELY):
            return best
        likeliest = by_letters(text, shares)
        is_likely = ahead > 0 or shares[best] >= _LIKELY
        return best if likeliest == UNKNOWN and is_likely else likeliest

    def _shares(self, sample: str) -> dict[str, float]:
        """Return what share of the words each language with spaces knows; none with odd letters."""
        words = [word for word in _WORD.findall(sample) if word[0].islower() or len(sample) < 200]
        lowered = [word.lower() for word in words]
        odd = {letter for word in words if word[0].islower() for letter in word if letter > "z"}
        shares: dict[str, float] = {}
        for language in self.known.values():
            if language.spaced:
                known = sum(language.knows(word) for word in lowered)
                is_plain = odd <= {*_LETTERS[language.code], "’"}
                shares[language.code] = known / max(len(words), 1) * is_plain
        return shares
