"""Texts whose sounds are reworded: farther, louder, gone, replaced.

Every new wording is read again before it is taken: the sound must have moved the wanted way, and
all other sounds of the text must read as before. What foley would not render otherwise is
never returned.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from audiostory_core.engines.foley.sound import Mention, Shape
from audiostory_core.engines.foley.words.lexicon import Lexicon
from audiostory_core.engines.foley.words.reading import Reading
from audiostory_core.planners.clauses.language import Language

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_OPENING_MARKS = '"“«„(['
_LETTER = re.compile(r"[^\W_]")
_LONGEST_WINDOW = 4  # words of a phrase such as "out in the street"
_REACH = 8  # words around a sound in which such phrases are looked for
_MOVED = 0.05  # least difference of a shape's field that is heard
_DANGLING = re.compile(r"^[\s,;:.，。、；：—–-]+|[\s,;:，、；：—–-]+$")
_DOUBLED = re.compile(r"\s*([,;:，、；：])(?:\s*[,;:，、；：])+")
_SPACED_MARK = re.compile(r"\s+([,;:.!?])")
_ARTICLE = re.compile(r"\b([Aa])n?\s*$")


@dataclass(frozen=True)
class Step:
    """One wording that moves a sound: a phrase of languages/*.toml and what foley reads in it."""

    words: str
    field: str  # of Shape
    value: float
    up: bool
    least: float | None = None  # the field must be above this for the step to make sense

    def moves(self, before: Shape, after: Shape) -> bool:
        """Return whether a shape has moved the wanted way."""
        was, now = _figure(before, self.field), _figure(after, self.field)
        return now - was > _MOVED if self.up else was - now > _MOVED

    def applies(self, shape: Shape) -> bool:
        """Say whether the step leads anywhere from this shape."""
        was = _figure(shape, self.field)
        if self.least is not None and was <= self.least:
            return False
        return self.value - was > _MOVED if self.up else was - self.value > _MOVED


DIALS: Mapping[str, tuple[Step, ...]] = {
    "farther": (
        Step("distant", "distance", 0.8, True),
        Step("very_quiet", "intensity", -0.9, False),
    ),
    "closer": (
        Step("near", "distance", 0.05, False),
        Step("very_loud", "intensity", 1.0, True),
    ),
    "quieter": (
        Step("faint", "distance", 0.6, True),
        Step("distant", "distance", 0.8, True),
        Step("very_quiet", "intensity", -0.9, False),
    ),
    "louder": (
        Step("near", "distance", 0.05, False),
        Step("very_loud", "intensity", 1.0, True),
    ),
    "faster": (Step("fast", "pace", 1.6, True),),
    "slower": (Step("slow", "pace", 0.6, False),),
    "bigger": (Step("big", "size", 0.7, True),),
    "smaller": (Step("small", "size", -0.6, False),),
    "more": (
        Step("several", "count", 4, True),
        Step("dozen", "count", 12, True),
        Step("twenty", "count", 20, True),
    ),
    "fewer": (
        Step("few", "count", 3, False),
        Step("two", "count", 2, False),
    ),
}
_SINGULAR = frozenset(("a", "an", "one", "single", "un", "una", "une", "ein", "eine", "einen"))
_HABIT = 7.0  # of a flock whose number is not given


def _figure(shape: Shape, field: str) -> float:
    value = getattr(shape, field)
    return _HABIT if value is None else float(value)


class Wording:
    """Rewords the sounds of one language.

    Args:
        lexicon: finds the sounds in words.
        language: of the texts.
        words: `[change.words]` of that language: step → phrase before a noun, phrase after.
        hedges: words such as "very" that belong to the phrase beside them.
    """

    def __init__(
        self,
        lexicon: Lexicon,
        language: Language,
        words: Mapping[str, Sequence[str]],
        hedges: frozenset[str],
    ) -> None:
        self._lexicon = lexicon
        self._language = language
        self._words = words
        self._hedges = hedges
        self._gap = " " if language.spaced else ""

    def read(self, text: str) -> Reading:
        """Return what is heard in a text of this language."""
        return self._lexicon.read(text, self._language.code)

    def turned(self, text: str, kind: str, dial: str) -> str | None:
        """Return the text with every sound of a kind one step further, None if it cannot be."""
        changed = text
        number = 0
        while True:
            mentions = [mention for mention in self.read(changed).mentions if mention.kind == kind]
            if number >= len(mentions):
                return changed if changed != text else None
            stepped = self._stepped(changed, mentions[number], DIALS[dial])
            if stepped is None:
                return None
            changed, number = stepped, number + 1

    def _stepped(self, text: str, mention: Mention, steps: Sequence[Step]) -> str | None:
        for step in steps:
            phrases = self._words.get(step.words)
            shape = (
                self._counting_articles(text, mention) if step.field == "count" else mention.shape
            )
            if phrases is None or not step.applies(shape):
                continue
            for candidate in self._wordings(text, mention, step, phrases[0], phrases[1]):
                after = self._only_moved(text, candidate, mention)
                if after is not None and step.moves(shape, after.shape):
                    return candidate
        return None

    def _counting_articles(self, text: str, mention: Mention) -> Shape:
        if mention.shape.count is None and self._article(text, mention) in _SINGULAR:
            return replace(mention.shape, count=1)
        return mention.shape

    def _article(self, text: str, mention: Mention) -> str:
        words = list(_WORD.finditer(text, 0, self._noun_start(text, mention)))
        return words[-1][0].lower() if words else ""

    def _wordings(
        self, text: str, mention: Mention, step: Step, before: str, after: str
    ) -> Iterator[str]:
        """Yield wordings, the plainest first."""
        for start, end in self._holders(text, mention, step.field):
            phrase = before if end <= mention.start else after
            if phrase:
                yield self.fitted(text, start, end, phrase)
            cut = self.fitted(text, start, end, "")
            if step.field != "count":
                yield cut
            moved = [sound for sound in self.read(cut).mentions if sound.kind == mention.kind]
            if moved and step.field == "count":
                yield from self._counted(cut, moved[0], before)
            if moved:
                yield from self._inserted(cut, moved[0], before, after)
        if step.field == "count":
            yield from self._counted(text, mention, before)
        yield from self._inserted(text, mention, before, after)

    def _inserted(self, text: str, mention: Mention, before: str, after: str) -> Iterator[str]:
        at = self._noun_start(text, mention)
        first = self._first_word(text, at)
        is_verb = self._language.spaced and self._language.is_verb(first) and " " not in first
        places = [(at, before), (mention.end, after)]
        for place, phrase in reversed(places) if is_verb else places:
            if phrase:
                yield self.fitted(text, place, place, phrase)

    def _counted(self, text: str, mention: Mention, number: str) -> Iterator[str]:
        """Yield wordings in which a number stands where an article or another number stood."""
        if not number:
            return
        at = self._noun_start(text, mention)
        words = list(_WORD.finditer(text, 0, at))
        word = words[-1][0].lower() if words else ""
        is_number = bool(word) and self._is_number(word, mention)
        if not is_number and word not in self._language.determiners:
            return
        start = words[-1].start()
        if is_number and len(words) > 1 and words[-2][0].lower() in _SINGULAR:  # "a dozen"
            start = words[-2].start()
        if self._language.code == "en" and word in _SINGULAR:
            plural = text[:at] + _english_plural(text[at : mention.end]) + text[mention.end :]
            yield self.fitted(plural, start, at, number)
        yield self.fitted(text, start, at, number)

    def _is_number(self, word: str, mention: Mention) -> bool:
        plain, numbered = self.read(mention.text), self.read(f"{word} {mention.text}")
        return [m.shape.count for m in plain.mentions] != [m.shape.count for m in numbered.mentions]

    def _holders(self, text: str, mention: Mention, field: str) -> Iterator[tuple[int, int]]:
        """Yield spans beside a sound that express the field of it, the shortest first."""
        now = getattr(mention.shape, field)
        if now == getattr(Shape(), field):
            return
        units = self._units(text)
        middle = [i for i, (a, b) in enumerate(units) if a < mention.end and b > mention.start]
        first, last = max(0, middle[0] - _REACH), min(len(units), middle[-1] + 1 + _REACH)
        for length in range(1, _LONGEST_WINDOW + 1):
            for i in range(first, last - length + 1):
                start, end = units[i][0], units[i + length - 1][1]
                if start < mention.end and end > mention.start:
                    continue
                if self._has_verb(text[start:end]):
                    continue
                if getattr(self.read(text[start:end]).carried, field) == now:
                    yield self._with_hedges(text, start, end)

    def _has_verb(self, phrase: str) -> bool:
        language = self._language
        return language.spaced and any(language.is_verb(word) for word in phrase.lower().split())

    def _with_hedges(self, text: str, start: int, end: int) -> tuple[int, int]:
        if not self._language.spaced:
            return start, end
        words = list(_WORD.finditer(text))
        at = next((i for i, word in enumerate(words) if word.start() == start), 0)
        if at and words[at - 1][0].lower() in self._hedges:
            start = words[at - 1].start()
        following = next((word for word in words if word.start() > end), None)
        if following and following.start() <= end + 1 and following[0].lower() in self._hedges:
            end = following.end()
        return start, end

    def _units(self, text: str) -> list[tuple[int, int]]:
        pattern = _WORD if self._language.spaced else _LETTER
        return [match.span() for match in pattern.finditer(text)]

    def _noun_start(self, text: str, mention: Mention) -> int:
        """Return where the noun phrase of a sound begins, its article excluded."""
        if not self._language.spaced or self._language.head != "last":
            return mention.start
        at = mention.start
        language = self._language
        idle = language.determiners | language.prepositions | language.joiners
        idle |= language.separators | language.counts | language.adverbs | language.pronouns
        for word in reversed(list(_WORD.finditer(text, 0, mention.start))):
            lower = word[0].lower()
            if text[word.end() : at].strip() or lower in idle or language.is_verb(lower):
                break
            if language.sequence.fullmatch(lower) or self._is_number(lower, mention):
                break
            if lower in language.subordinators:
                break
            at = word.start()
        return at

    def _first_word(self, text: str, at: int) -> str:
        word = _WORD.match(text, at)
        return word[0].lower() if word else ""

    def _only_moved(self, text: str, candidate: str, mention: Mention) -> Mention | None:
        """Return the sound as the candidate words it, if nothing else has changed."""
        before, after = self.read(text), self.read(candidate)
        index = before.mentions.index(mention)
        if len(after.mentions) != len(before.mentions) or not _same_beds(before, after):
            return None
        for i, (old, new) in enumerate(zip(before.mentions, after.mentions, strict=True)):
            if old.kind != new.kind or (i != index and old.shape != new.shape):
                return None
        return after.mentions[index]

    def shaped(self, text: str, kind: str, target: Shape, words: Sequence[str]) -> str | None:
        """Return the text with one of the phrases beside a sound, so that it has the target shape.

        Args:
            text: names a sound of the kind.
            kind: of the sound.
            target: fields that differ from a plain shape are what the author asks for.
            words: phrases to try, the best first.
        """
        mention = next(sound for sound in self.read(text).mentions if sound.kind == kind)
        wanted = {
            name: getattr(target, name)
            for name in Shape.__dataclass_fields__
            if getattr(target, name) != getattr(Shape(), name)
        }
        if not wanted or all(getattr(mention.shape, n) == v for n, v in wanted.items()):
            return None
        spans = [(text, mention)]
        for name in wanted:
            for start, end in self._holders(text, mention, name):
                cut = self.fitted(text, start, end, "")
                spans += [(cut, sound) for sound in self.read(cut).mentions if sound.kind == kind][
                    :1
                ]
        for base, sound in spans:
            for place in (sound.end, self._noun_start(base, sound)):
                for phrase in words:
                    candidate = self.fitted(base, place, place, phrase)
                    after = self._only_moved(base, candidate, sound)
                    if after and all(getattr(after.shape, n) == v for n, v in wanted.items()):
                        return candidate
        return None

    def plain(self, text: str, kind: str, fields: Sequence[str]) -> str:
        """Return the text without the words that shape a sound, as far as they can be cut.

        Args:
            text: names sounds of the kind, or none.
            kind: of the sound.
            fields: of `Shape` that nothing is to be said of any more.
        """
        for field in fields:
            for number in range(sum(sound.kind == kind for sound in self.read(text).mentions)):
                mentions = [sound for sound in self.read(text).mentions if sound.kind == kind]
                cuts = self._plain_cuts(text, mentions[number], field)
                text = next(cuts, text)
        return text

    def _plain_cuts(self, text: str, mention: Mention, field: str) -> Iterator[str]:
        spans = list(self._holders(text, mention, field))
        if field == "count":
            at = self._noun_start(text, mention)
            words = list(_WORD.finditer(text, 0, at))
            if words and self._is_number(words[-1][0].lower(), mention):
                is_dozen = len(words) > 1 and words[-2][0].lower() in _SINGULAR
                spans.insert(0, (words[-2 if is_dozen else -1].start(), at))
        for start, end in spans:
            cut = self.fitted(text, start, end, "")
            after = self._only_moved(text, cut, mention)
            if after is not None and getattr(after.shape, field) == getattr(Shape(), field):
                yield cut

    def without(self, text: str, kind: str) -> str | None:
        """Return the text without the sounds of a kind; None if they cannot be cut out of it.

        Empty if the text names nothing else.
        """
        while True:
            before = self.read(text)
            mention = next((sound for sound in before.mentions if sound.kind == kind), None)
            if mention is None:
                return text
            others = [sound.kind for sound in before.mentions if sound is not mention]
            shorter = next(
                (
                    cut
                    for cut in self._cuts(text, mention)
                    if [sound.kind for sound in self.read(cut).mentions] == others
                ),
                None,
            )
            if shorter is None:
                return None
            text = shorter

    def _cuts(self, text: str, mention: Mention) -> Iterator[str]:
        bounds = self._boundaries(text)
        left = [(a, b) for a, b in bounds if b <= mention.start]
        right = [(a, b) for a, b in bounds if a >= mention.end]
        near_left = left[-1] if left else (0, 0)
        near_right = right[0] if right else (len(text), len(text))
        ends_sentence = text[near_right[0] : near_right[1]].strip() in ".!?。！？"
        starts_sentence = not left or text[near_left[0] : near_left[1]].strip() in ".!?。！？"
        if starts_sentence and not ends_sentence:
            spans = [(near_left[1], near_right[1]), (near_left[0], near_right[0])]
        else:
            spans = [(near_left[0], near_right[0]), (near_left[1], near_right[1])]
        if starts_sentence and ends_sentence:
            spans = [(near_left[1], near_right[1]), *spans]
        for start, end in [*spans, (self._noun_start(text, mention), mention.end)]:
            yield self.fitted(text, start, end, "")

    def _boundaries(self, text: str) -> list[tuple[int, int]]:
        language = self._language
        marks = [m.span() for m in re.finditer(r"[,;:.!?\n，。；：！？、]+", text)]
        parting = language.joiners | language.separators
        if language.spaced:
            marks += [m.span() for m in _WORD.finditer(text) if m[0].lower() in parting]
        else:
            marks += [m.span() for word in parting for m in re.finditer(re.escape(word), text)]
        merged: list[tuple[int, int]] = []
        for start, end in sorted(marks):
            if merged and not text[merged[-1][1] : start].strip():
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged

    def replaced(self, text: str, kind: str, noun: str, new: str) -> str | None:
        """Return the text with another sound in the place of one.

        Args:
            text: names a sound of the kind.
            kind: of the sound that goes.
            noun: how the author called it.
            new: words of the sound that comes.
        """
        wanted = [sound.kind for sound in self.read(new).mentions]
        while True:
            before = self.read(text)
            mention = next((sound for sound in before.mentions if sound.kind == kind), None)
            if mention is None:
                return text
            index = before.mentions.index(mention)
            kinds = [sound.kind for sound in before.mentions]
            expected = [*kinds[:index], *wanted, *kinds[index + 1 :]]
            candidate = next(
                (
                    wording
                    for wording in self._substitutes(text, mention, noun, new)
                    if [sound.kind for sound in self.read(wording).mentions] == expected
                ),
                None,
            )
            if candidate is None or kind in wanted:
                return candidate
            text = candidate

    def _substitutes(self, text: str, mention: Mention, noun: str, new: str) -> Iterator[str]:
        bare = self._without_article(new)
        start = self._noun_start(text, mention)
        words = list(_WORD.finditer(text, 0, start))
        article = words[-1].start() if words else start
        has_article = bool(words) and words[-1][0].lower() in self._language.determiners
        for word in _WORD.finditer(noun):
            at = text.lower().find(word[0].lower(), mention.start, mention.end)
            if at >= 0:
                yield self.fitted(text, at, at + len(word[0]), bare)
        if has_article:
            yield self.fitted(text, article, mention.end, new)
        yield self.fitted(text, mention.start, mention.end, new)
        yield self.fitted(text, mention.start, mention.end, bare)

    def _without_article(self, phrase: str) -> str:
        words = list(_WORD.finditer(phrase))
        if len(words) > 1 and words[0][0].lower() in self._language.determiners:
            return phrase[words[1].start() :]
        return phrase

    def fitted(self, text: str, start: int, end: int, phrase: str) -> str:
        """Return the text with a phrase in the place of a span, spaces and articles put right."""
        left, right = text[:start], text[end:]
        if self._language.code == "en":
            vowel = (phrase + right).lstrip()[:1].lower() in tuple("aeiou")
            left = _ARTICLE.sub(r"\1n " if vowel else r"\1 ", left)
        is_opening = not left.strip(' "“«„') and text[:1].isupper()
        if phrase and is_opening and right[:1].isupper() and start == end:
            right = right if self._language.code == "de" else right[:1].lower() + right[1:]
        gap = self._gap if phrase or (left and right) else ""
        before = gap if left.rstrip(" ") and left.rstrip(" ")[-1] not in "\n(“«「" else ""
        tail = right.lstrip(" ")
        after = gap if tail and (tail[0].isalnum() or tail[0] in _OPENING_MARKS) else ""
        made = (
            f"{left.rstrip(' ')}{before}{phrase}{after}{tail}"
            if phrase
            else f"{left}{before}{tail}"
        )
        made = _SPACED_MARK.sub(r"\1", made) if self._language.spaced else made
        made = _DOUBLED.sub(r"\1", _DANGLING.sub("", made))
        if self._language.spaced:
            made = re.sub(r"  +", " ", made)
        made = self._without_dangling(made)
        return made[:1].upper() + made[1:] if is_opening else made

    def _without_dangling(self, text: str) -> str:
        """Drop connectives that nothing is left to connect."""
        parting = self._language.joiners | self._language.separators
        if not self._language.spaced:
            parts = "|".join(re.escape(word) for word in sorted(parting)) or "(?!)"
            return re.sub(rf"^(?:{parts}|[和与及、])+|(?:{parts}|[和与及、])+$", "", text)
        words = list(_WORD.finditer(text))
        if words and words[-1][0].lower() in parting and not text[words[-1].end() :].strip(" .,"):
            text = text[: words[-1].start()].rstrip(" ,;")
        if len(words) > 1 and words[0].start() == 0 and words[0][0].lower() in parting:
            text = text[words[1].start() :]
        return text


def _english_plural(phrase: str) -> str:
    """Return "dogs bark" for "dog barks"."""
    noun, gap, verb = phrase.partition(" ")
    noun = noun if noun.endswith("s") else noun + "s"
    verb = verb.removesuffix("s") if " " not in verb and not verb.endswith("ss") else verb
    return noun + gap + verb


def _same_beds(before: Reading, after: Reading) -> bool:
    old = sorted(bed.kind for bed in before.ambience)
    return old == sorted(bed.kind for bed in after.ambience)


def change_words(entry: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
    """Return the wording phrases of a language file."""
    words: Mapping[str, Sequence[str]] = entry["change"]["words"]
    return words
