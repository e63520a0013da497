"""A remark on one scene, read wish by wish; a word without a part in any refuses it."""

import re
from collections.abc import Collection, Iterable
from dataclasses import replace

from audiostory_core.engines.foley.sound import Shape
from audiostory_core.planners.clauses.lines import changed_line
from audiostory_core.planners.clauses.remarks.change_words import LOOSE, first_of
from audiostory_core.planners.clauses.remarks.frames import (
    DIALS,
    SIDES,
    frames_of,
)
from audiostory_core.planners.clauses.remarks.sounds import RUNNING
from audiostory_core.planners.clauses.remarks.vocabulary import (
    FILLER,
    MANNER,
    Span,
    Tagged,
)
from audiostory_core.planners.clauses.remarks.wishes import (
    Wishes,
    has_content,
)
from audiostory_core.story.plan import SpeechLayer

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_QUOTES = re.compile('["“„«「『].*["”“»」』]', re.DOTALL)
_OUTSIDE = frozenset(  # what no description of a sound to be added may have
    ("negation", "remove", "length", "middle", "fade_in", "fade_out", "pause", "later", "earlier", "swap", "merge", "voice")
)  # fmt: skip
_DESCRIBING = frozenset(
    (FILLER, "sound", "number", "times", "only", "even", "says", *SIDES, *DIALS)
)
_WINDOW = 5  # words of a phrase that describes a sound, such as "from the left side"


class SceneRemark(Wishes):
    """Reads a remark on a sub-event and carries it out; see `Wishes`."""

    def tagged(self, part: str) -> Tagged:
        """Return a part of the remark with what its words mean."""
        text = self._vocabulary.prepared(part)
        tagged = self._vocabulary.tagged(text, list(self._named(text)))
        more = list(self._worded(tagged))
        return replace(tagged, spans=tuple(sorted((*tagged.spans, *more), key=lambda s: s.start)))

    def _named(self, text: str) -> Iterable[Span]:
        kinds = self.sounds.sounds()
        for wording in (self.sounds.wording, self.sounds.other):
            for mention in wording.read(text).mentions:
                if mention.kind in kinds:
                    end = mention.start + self._vocabulary.before_side(
                        text[mention.start : mention.end]
                    )
                    yield _span(mention.start, end, "sound", (mention.kind,))
        for name in self._names.speakers:
            begins = r"(?<!\w)" if name.isascii() else ""
            ends = r"(?:'s|s)?(?!\w)" if name.isascii() else ""
            for match in re.finditer(f"{begins}{re.escape(name)}{ends}", text, re.IGNORECASE):
                yield _span(*match.span(), "speaker", name)
        for start, end, seconds in self._lengths.spans(text):
            yield _span(start, end, "length", seconds)
        for start, end, factor in self._lengths.factors(text):
            yield _span(start, end, "factor", factor)
        for start, end, number in self._lengths.numbers(text, self._vocabulary.code):
            yield _span(start, end, "number", number)

    def _worded(self, tagged: Tagged) -> Iterable[Span]:
        """Yield words that the scene's sounds are called by, where they mean nothing else."""
        size = 1 if self._vocabulary.spaced else 2
        words = list(_WORD.finditer(tagged.text))
        if not self._vocabulary.spaced:
            words = list(re.finditer(rf"(?=(?P<pair>[^\W_]{{{size}}}))", tagged.text))
            words += list(re.finditer(r"(?P<pair>[\u3400-\u9fff])", tagged.text))
        end = -1
        for match in sorted(
            words, key=lambda each: (each.start(), -len(each[each.lastgroup or 0]))
        ):
            word = match[match.lastgroup or 0]
            start = match.start()
            if start < end or _is_read(tagged, start, start + len(word)):
                continue
            kinds = self.sounds.meant(word)
            if kinds and word[0].isalnum():
                end = start + len(word)
                yield _span(start, end, "sound", tuple(kinds))

    def carry_out(self, part: str) -> None:
        """Change the sub-event as one wish says.

        Raises:
            NotUnderstood: if a word has no part in any wish.
            BadInput: if it cannot be done.
        """
        if _QUOTES.search(part):
            self._quoted(part)
            return
        tagged = self.tagged(part)
        if not tagged.has("negation"):
            for frame in frames_of(tagged):
                self._made(frame, tagged)
                return
            if self._unquoted(part):
                return
        if self._replaced(part):
            return
        if tagged.has("negation"):
            raise self._refused("says what is not to be; say what is to be heard instead")
        if self._added(part) or self._described(part, tagged):
            return
        raise self._puzzled(tagged)

    def _quoted(self, part: str) -> None:
        sounds = self.sounds
        quote = _QUOTES.search(part)
        if quote:
            outside = self.tagged(f"{part[: quote.start()]} {part[quote.end() :]}")
            idle = {"line", "says", "speaker", "person", "rewrite", FILLER, MANNER, "everything"}
            unread = [word for word in outside.unread() if not word[:1].isupper() or word.islower()]
            is_line = all(span.tags & idle and not span.tags & DIALS for span in outside.spans)
            if outside.has("negation") or unread or not is_line:
                if self._replaced(part) or self._added(part):
                    return
                raise self._puzzled(outside)
        event = changed_line(sounds.event, part, sounds.language, sounds.caption_words.says)
        if event is None:
            raise self._puzzled(self.tagged(part))
        sounds.event = event

    def _unquoted(self, part: str) -> bool:
        """Take words for a line that are written like one: "Anna says Go away."."""
        sounds = self.sounds
        event = changed_line(sounds.event, part, sounds.language, sounds.caption_words.says)
        if event is None:
            return False
        known = {layer.words for layer in sounds.event.layers if isinstance(layer, SpeechLayer)}
        fresh = [
            layer.words
            for layer in event.layers
            if isinstance(layer, SpeechLayer) and layer.words not in known
        ]
        if not fresh or fresh[0][:1].islower():
            return False
        sounds.event = event
        return True

    def _replaced(self, part: str) -> bool:
        match = first_of(self.sounds.change_words.replace, part)
        if match is None:
            return False
        old, new = (match[name].strip(LOOSE) for name in ("old", "new"))
        counted = self.tagged(new)
        if not counted.unread() and has_content(counted, "number") and counted.values("sound"):
            self._count(counted)
            return True
        self._check_described(new)
        counted_layers = self.sounds.layers_of(self.sounds.meant(old))
        is_single = new.partition(" ")[0].lower() in self.sounds.language.determiners
        if is_single and any(layer.count for layer in counted_layers):
            raise self._refused("names one sound for several; say how many first")
        return self.sounds.replace(old, new)

    def _added(self, part: str) -> bool:
        match = first_of(self.sounds.change_words.add, part)
        if match is None:
            more = self.tagged(part)
            phrase = more.without(
                [s for s in more.spans if s.tags & {"more"} or s.tags <= {FILLER}]
            )
            if not has_content(more, "more") or self.sounds.meant(phrase):
                return False
            if not self.sounds.wording.read(phrase).mentions:
                return False
            self._check_described(phrase)
            self.sounds.add(phrase)
            return True
        phrase = match["sound"]
        words = self.sounds.change_words
        is_first, is_last = words.at_start.search(phrase), words.at_end.search(phrase)
        sound = words.at_end.sub("", words.at_start.sub("", phrase)).strip(LOOSE)
        self._check_described(sound)
        sound, at = self._anchored(sound)
        self.sounds.add(sound, at=0 if is_first and not is_last else at)
        return True

    def _anchored(self, sound: str) -> tuple[str, int | None]:
        """Return a sound to be added without the other that it follows or precedes, and its place."""
        tagged = self.tagged(sound)
        for span in tagged.spans:
            is_after = "after" in span.tags
            if not is_after and "before" not in span.tags:
                continue
            head, tail = tagged.text[: span.start].strip(LOOSE), tagged.text[span.end :]
            anchors = self.sounds.meant(tail.strip(LOOSE))
            own = [layer for kind in anchors for layer in self.sounds.layers_of([kind])]
            if not head or not own:
                raise self._refused(
                    f"names no sound of the scene to be heard {tagged.text[span.start :]}"
                )
            places = [at for at, layer in enumerate(self.sounds.event.layers) if layer in own]
            return head, max(places) + 1 if is_after else min(places)
        return sound, None

    def _check_described(self, phrase: str) -> None:
        """Refuse a sound whose description holds another wish."""
        text = self._vocabulary.prepared(phrase)
        tagged = self._vocabulary.tagged(text, list(self._named(text)))
        for span in tagged.spans:
            word = text[span.start : span.end].lower()
            is_wish = span.tags & _OUTSIDE and not span.tags & {FILLER, "sound"}
            if is_wish or self._is_comparative(span, word):
                raise self._puzzled(
                    replace(tagged, spans=tuple(s for s in tagged.spans if s is not span))
                )
        if re.search(r"\b(?:scene|scène|escena|szene)s?\b|场景|シーン", text, re.IGNORECASE):
            raise self._refused("names a sound and a scene; say it of that scene")

    def _is_comparative(self, span: Span, word: str) -> bool:
        if not span.tags & (DIALS | {"longer", "shorter"}) or "sound" in span.tags:
            return False
        first = word.split()[0]
        if self._vocabulary.code in ("en", "de") and first.endswith("er"):
            return True
        return " " in word and bool(self._vocabulary.tagged(first).spans)

    def _described(self, part: str, tagged: Tagged) -> bool:
        """Take what the remark itself says of a sound, if that accounts for all its words."""
        if any(not span.tags & _DESCRIBING for span in tagged.spans):
            return False
        if sum(tagged.has(side) for side in SIDES) > 1:
            raise self._refused("names several sides")
        if tagged.has(*DIALS):  # "more reverb", "twice as loud"
            return False
        words = [(span, tagged.text[span.start : span.end].lower()) for span in tagged.spans]
        if _is_multiplied(tagged) or any(self._is_comparative(*each) for each in words):
            return False  # "twice as loud", "zweimal lauter"
        if not self._unexplained(tagged):
            return self.sounds.describe(part)
        return self._walked(tagged)

    def _walked(self, tagged: Tagged) -> bool:
        reading = self.sounds.wording.read(tagged.text)
        spans = tuple(_span(m.start, m.end, "sound", (m.kind,)) for m in reading.mentions)
        tagged = replace(tagged, spans=(*tagged.spans, *spans))
        steps = {mention.kind for mention in reading.mentions} | {RUNNING}
        return not self._unexplained(tagged, steps) and self.sounds.walk(reading)

    def _is_idle(self, word: str) -> bool:
        language = self.sounds.language
        return word.lower() in language.determiners | language.prepositions

    def _unexplained(self, tagged: Tagged, known: Collection[str] = ()) -> bool:
        """Tell whether a word is neither understood nor part of a phrase that shapes a sound."""
        units = list(_WORD.finditer(tagged.text))
        if not self._vocabulary.spaced:
            units = list(re.finditer(r"[^\W_]", tagged.text))
        explained: set[int] = set()
        added = set(known)
        known = {*self.sounds.sounds(), *known}
        for length in range(1, _WINDOW + 1):
            for first in range(len(units) - length + 1):
                start, end = units[first].start(), units[first + length - 1].end()
                reading = self.sounds.other.read(tagged.text[start:end])
                is_shape = (
                    reading.carried != Shape()
                    or reading.room
                    or reading.ambience
                    or {m.kind for m in reading.mentions} & added
                )
                if is_shape and {m.kind for m in reading.mentions} <= known:
                    explained.update(range(first, first + length))
        return any(
            not _is_read(tagged, unit.start(), unit.end())
            and at not in explained
            and not self._is_idle(unit[0])
            for at, unit in enumerate(units)
        )


def _span(start: int, end: int, tag: str, value: object) -> Span:
    return Span(start, end, frozenset((tag,)), {tag: value})


def _is_multiplied(tagged: Tagged) -> bool:
    """Tell whether a number of times stands right before a degree, as in "twice as loud"."""
    times = [span for span in tagged.spans if "times" in span.tags]
    return any(
        span.tags & DIALS and tagged.text[each.end : span.start].strip().lower() in ("", "as")
        for each in times
        for span in tagged.spans
        if span.start >= each.end
    )


def _is_read(tagged: Tagged, start: int, end: int) -> bool:
    return any(span.start < end and start < span.end for span in tagged.spans)
