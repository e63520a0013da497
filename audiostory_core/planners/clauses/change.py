"""What an author says of one scene, carried out: caption, layers, spoken lines and duration.

The words are read as what they ask for (a sound to go, to come, to be replaced, to be
changed); wording.py then words the scene so that it is heard that way.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

from audiostory_core.engines.foley.sound import Shape
from audiostory_core.engines.foley.words.lexicon import shipped
from audiostory_core.engines.foley.words.reading import Reading
from audiostory_core.errors import BadInput
from audiostory_core.planners.clauses.language import CODES, Language, Languages, any_phrase
from audiostory_core.planners.clauses.layers import LayerReader
from audiostory_core.planners.clauses.length import LengthReader
from audiostory_core.planners.clauses.lines import changed_line
from audiostory_core.planners.clauses.turning import DEGREES, Changes, named, turned
from audiostory_core.planners.clauses.wording import DIALS, Wording, change_words
from audiostory_core.story.plan import Layer, SoundKind, SoundLayer, SpeechLayer, SubEvent

_REMEDY = (
    'Say, for example, "make the siren more distant", "remove the birds", "add thunder", '
    '"replace the dog with a cat", "5 seconds longer" or "change the line to “…”".'
)
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_LOOSE = ' ,;:.!?，。、；：！？"“”'
_READ_AS = {  # fields of a layer's shape, and of what foley reads in its text
    "count": "count",
    "distance": "distance",
    "pace": "pace",
    "pan": "position",
}
_LONGEST_PHRASE = 5  # words of a direction such as "from the left side"


@dataclass(frozen=True)
class ChangeWords:
    """What the authors of one language say to change a scene."""

    remove: tuple[re.Pattern[str], ...]
    replace: tuple[re.Pattern[str], ...]
    add: tuple[re.Pattern[str], ...]
    at_start: re.Pattern[str]
    at_end: re.Pattern[str]
    dial_patterns: tuple[tuple[str, re.Pattern[str]], ...]  # dial, what asks for it
    politeness: re.Pattern[str]
    splits: re.Pattern[str]  # between two changes
    opening: re.Pattern[str]  # "make it"
    add_with: str
    says: str
    hedges: frozenset[str]
    degrees: tuple[tuple[str, re.Pattern[str]], ...]  # key of `DEGREES`, what asks for it
    spaced: bool

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "ChangeWords":
        """Compile the `[change]` table of a language file."""
        table = entry["change"]
        spaced = bool(entry.get("spaced", True))
        openings = any_phrase(table["splits"].split("|"), spaced=spaced).pattern
        joiners = "|".join(sorted(entry.get("joiners", "").split())) or "(?!)"
        return cls(
            remove=_whole(table["remove"]),
            replace=_whole(table["replace"]),
            add=_whole(table["add"]),
            at_start=re.compile(rf"\s*(?:{table['at_start']})\s*", re.IGNORECASE),
            at_end=re.compile(rf"\s*(?:{table['at_end']})\s*", re.IGNORECASE),
            dial_patterns=tuple(
                (dial, _phrases(words, spaced=spaced)) for dial, words in table["asked"].items()
            ),
            politeness=_phrases(table["politeness"], spaced=spaced),
            splits=re.compile(
                rf"\s*(?:[,;，、；]\s*(?:(?:{joiners})\s+)?|[.。]\s*|\s(?:{joiners})\s+)(?={openings})",
                re.IGNORECASE,
            ),
            opening=re.compile(
                rf"(?:{openings})\s*(?:(?:it|this|them|everything|the scene)\s+)?", re.IGNORECASE
            ),
            add_with=table["add_with"],
            says=table["says"],
            hedges=frozenset(table["hedges"].split()),
            degrees=tuple((name, _phrases(table[name], spaced=spaced)) for name in DEGREES),
            spaced=spaced,
        )

    def dial(self, change: str) -> tuple[str, str] | None:
        """Return the dial that a change asks for and the words that are left of it."""
        candidates = [
            (match.end() - match.start(), -at, dial, match)
            for at, (dial, pattern) in enumerate(self.dial_patterns)
            if (match := pattern.search(change))
        ]
        if not candidates:
            return None
        _, _, dial, match = max(candidates, key=lambda candidate: candidate[:2])
        return dial, f"{change[: match.start()]} {change[match.end() :]}"

    def step(self, change: str) -> float:
        """Return how far a change turns a dial, 1 where it does not say."""
        return next((DEGREES[name] for name, words in self.degrees if words.search(change)), 1.0)

    def bare(self, words: str) -> str:
        """Return the words without those that only address the planner."""
        return " ".join(self.politeness.sub(" ", words).split()).strip(_LOOSE)


def _phrases(words: str, *, spaced: bool) -> re.Pattern[str]:
    pattern = any_phrase(words.split("|"), spaced=spaced).pattern
    return re.compile(rf"(?<!\w){pattern}" if spaced else pattern, re.IGNORECASE)


def _whole(patterns: Sequence[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(rf"(?:{pattern})[.!。！]*", re.IGNORECASE) for pattern in patterns)


class _NotUnderstood(BadInput):
    """The words may be of another language."""


class Reviser:
    """Changes sub-events by plain words; loads foley's lexicon at the first change."""

    def __init__(self, languages: Languages) -> None:
        self._languages = languages
        self._entries = dict(zip(CODES, languages.entries, strict=True))
        self._lengths = LengthReader(languages.entries)
        self._known: dict[str, ChangeWords] = {}

    def _change_words(self, code: str) -> ChangeWords:
        if code not in self._known:
            self._known[code] = ChangeWords.of(self._entries[code])
        return self._known[code]

    def revise(self, event: SubEvent, change: str, language: str) -> SubEvent:
        """Return the sub-event with the change made.

        Raises:
            BadInput: if the words ask for nothing that can be changed.
        """
        words = change.strip()
        if not words:
            raise BadInput("change", change, "is empty", _REMEDY)
        code = self._code(language, event.caption)
        codes = dict.fromkeys((code, "en"))
        problem: _NotUnderstood | None = None
        for change_code in codes:
            scene = _Scene(self, event, code, change_code, change)
            try:
                return self._in_parts(scene, words)
            except _NotUnderstood as error:
                problem = problem or error
        assert problem is not None
        raise problem

    def _in_parts(self, scene: "_Scene", words: str) -> SubEvent:
        parts = [words]
        if not re.search('["“„«「]', words):
            parts = [part for part in scene.change_words.splits.split(words) if part.strip(_LOOSE)]
        for part in parts or [words]:
            scene.event = scene.carried_out(part.strip(_LOOSE) if len(parts) > 1 else part)
        return scene.event

    def _code(self, language: str, caption: str) -> str:
        code = language.partition("-")[0].lower()
        if code not in self._entries:
            code = self._languages.detect(caption)
        return code if code in self._entries else "en"

    def parts_for(
        self, code: str, change_code: str
    ) -> tuple[Language, ChangeWords, Wording, LengthReader]:
        """Return what a scene of one language, spoken of in another, is changed with."""
        language = self._languages.named(code)
        wording = Wording(
            shipped(), language, change_words(self._entries[code]), self._change_words(code).hedges
        )
        return language, self._change_words(change_code), wording, self._lengths


class _Scene:
    """One sub-event while it is being changed.

    Args:
        reviser: knows the words.
        event: as it was.
        code: language of the caption.
        change_code: language of the change.
        change: verbatim, for errors.
    """

    def __init__(
        self, reviser: Reviser, event: SubEvent, code: str, change_code: str, change: str
    ) -> None:
        self.event = event
        self._code, self._change_code = code, change_code
        self.language, self.change_words, self.wording, self._lengths = reviser.parts_for(
            code, change_code
        )
        _, _, self._other, _ = reviser.parts_for(change_code, change_code)
        self._caption_words = reviser.parts_for(code, code)[1]
        self._change = change

    def carried_out(self, part: str) -> SubEvent:
        """Return the sub-event with one change made."""
        line = changed_line(self.event, part, self.language, self._caption_words.says)
        if line is not None:
            return line
        for attempt in (self._removed, self._replaced, self._added, self._lasting, self._dialed):
            made = attempt(part)
            if made is not None:
                return made
        made = self._directed(part)
        if made is not None:
            return made
        refusal = self._refusal("asks for nothing that the embedded planner knows how to change")
        raise _NotUnderstood(refusal.field, refusal.value, refusal.problem, refusal.remedy)

    def _refusal(self, problem: str) -> BadInput:
        heard = ", ".join(f"“{text}”" for text in self.sounds().values()) or "no sound it knows"
        return BadInput("change", self._change, f"{problem}; the scene has {heard}", _REMEDY)

    def sounds(self) -> dict[str, str]:
        """Return the kinds heard in the scene, with the words that name them."""
        kinds = {
            mention.kind: mention.text
            for layer in self._layers()
            for mention in self.wording.read(layer.text).mentions
        }
        if kinds or any(isinstance(layer, SpeechLayer) for layer in self.event.layers):
            return kinds
        mentions = self.wording.read(self.event.caption).mentions
        return {mention.kind: mention.text for mention in mentions}

    def _layers(self) -> list[SoundLayer]:
        return [layer for layer in self.event.layers if isinstance(layer, SoundLayer)]

    def meant(self, phrase: str) -> list[str]:
        """Return the kinds of the scene that a phrase names."""
        sounds = self.sounds()
        named = {
            mention.kind
            for wording in (self.wording, self._other)
            for mention in wording.read(phrase).mentions
        }
        exact = [kind for kind in sounds if kind in named]
        if exact:
            return exact
        layers = {layer.text: layer for layer in self._layers()}
        return [
            kind
            for kind, text in sounds.items()
            if _shares_a_word(phrase, text, self.language)
            or any(
                _shares_a_word(phrase, layer_text, self.language)
                for layer_text in layers
                if [mention.kind for mention in self.wording.read(layer_text).mentions] == [kind]
            )
        ]

    def _kinds(self, phrase: str) -> list[str]:
        kinds = self.meant(phrase)
        if not kinds:
            raise self._refusal(f"names a sound (“{phrase}”) that is not in the scene")
        return kinds

    def _removed(self, part: str) -> SubEvent | None:
        match = _first(self.change_words.remove, part)
        if match is None:
            return None
        phrase = match["sound"].strip(_LOOSE)
        for kind in self._kinds(phrase):
            changed = self._without(kind)
            if kind in self._implied(changed):
                raise self._refusal("names a sound that belongs to the place told in the scene")
            if not self._is_heard(changed):
                raise self._refusal("would leave nothing to hear")
            self.event = changed
        return self.event

    def _readings(self, event: SubEvent) -> list[Reading]:
        texts = [layer.text for layer in event.layers if isinstance(layer, SoundLayer)]
        return [self.wording.read(text) for text in (event.caption, *texts)]

    def _implied(self, event: SubEvent) -> set[str]:
        return {bed.kind for reading in self._readings(event) for bed in reading.ambience}

    def _is_heard(self, event: SubEvent) -> bool:
        return any(isinstance(layer, SpeechLayer) for layer in event.layers) or any(
            reading.mentions or reading.ambience or reading.silences
            for reading in self._readings(event)
        )

    def _without(self, kind: str) -> SubEvent:
        caption = self.event.caption
        layers: list[Layer] = []
        for layer in self.event.layers:
            if isinstance(layer, SpeechLayer) or not self._names(layer.text, kind):
                layers.append(layer)
                continue
            others = [m for m in self.wording.read(layer.text).mentions if m.kind != kind]
            rest = self.wording.without(layer.text, kind) if others else ""
            if rest is None:
                raise self._refusal(f"cannot cut “{layer.text}” apart")
            if rest:
                layers.append(layer.model_copy(update={"text": rest}))
        reworded = self.wording.without(caption, kind)
        if not reworded and not layers:
            raise self._refusal("would leave nothing to hear")
        return self._rewritten(reworded or self._caption_from(layers), layers)

    def _caption_from(self, layers: Sequence[Layer]) -> str:
        """Return a caption made of the layers."""
        return ", ".join(
            dict.fromkeys(
                layer.text if isinstance(layer, SoundLayer) else f"“{layer.words}”"
                for layer in layers
            )
        )

    def _names(self, text: str, kind: str) -> bool:
        return any(mention.kind == kind for mention in self.wording.read(text).mentions)

    def _rewritten(self, caption: str, layers: Sequence[Layer]) -> SubEvent:
        return self.event.model_copy(update={"caption": caption, "layers": tuple(layers)})

    def _with_sound_reworded(
        self, kind: str, reword: Callable[[str], str | None]
    ) -> SubEvent | None:
        """Reword one sound, in the layers that name it and in the caption."""
        caption = self.event.caption
        layers: list[Layer] = []
        changed = False
        for layer in self.event.layers:
            if isinstance(layer, SpeechLayer) or not self._names(layer.text, kind):
                layers.append(layer)
                continue
            text = reword(layer.text)
            if text is None:
                return None
            layers.append(layer.model_copy(update={"text": text}))
            changed = True
            if layer.text in caption:
                caption = caption.replace(layer.text, _cased_as(text, layer.text), 1)
            else:
                anew = reword(caption) if self._names(caption, kind) else None
                caption = anew or caption + self._caption_words.add_with.format(sound=text)
        if not changed:
            reworded = reword(caption)
            return None if reworded is None else self._rewritten(reworded, layers)
        return self._rewritten(caption, layers)

    def _replaced(self, part: str) -> SubEvent | None:
        match = _first(self.change_words.replace, part)
        if match is None:
            return None
        old, new = (match[name].strip(_LOOSE) for name in ("old", "new"))
        named = self.wording.read(old).mentions or self._other.read(old).mentions
        if not self.meant(old) and (not named or not self.wording.read(new).mentions):
            return None
        for kind in self._kinds(old):
            if not self.wording.read(new).mentions:
                raise self._refusal(f"names “{new}”, which is no sound that foley can make")
            made = self._named_again(kind, new)
            if made is not None:
                self.event = made
                continue
            reword = partial(self.wording.replaced, kind=kind, noun=old, new=new)
            made = self._with_sound_reworded(kind, reword)
            if made is None:
                raise self._refusal(f"cannot put “{new}” in the place of “{old}”")
            self.event = made
        return self.event

    def _named_again(self, kind: str, phrase: str) -> SubEvent | None:
        """Shape a sound as a phrase has it that names no other: "three knocks instead of two"."""
        mentions = self.wording.read(phrase).mentions
        if [mention.kind for mention in mentions] != [kind]:
            return None
        changes = named(mentions[0].shape)
        return None if changes is None else self._reshaped(kind, lambda *_: changes)

    def _added(self, part: str) -> SubEvent | None:
        match = _first(self.change_words.add, part)
        if match is None:
            return None
        phrase = match["sound"]
        first = self.change_words.at_start.search(phrase)
        last = self.change_words.at_end.search(phrase)
        sound = self.change_words.at_end.sub("", self.change_words.at_start.sub("", phrase)).strip(
            _LOOSE
        )
        if re.search(r"\d\s*s\b|second", sound) and not self.wording.read(sound).mentions:
            return None
        if self.change_words.dial(part) and self.meant(sound):
            return None
        return self._with(sound, at_start=bool(first and not last))

    def _with(self, phrase: str, *, at_start: bool = False) -> SubEvent:
        heard = self.wording.read(phrase)
        if not heard.mentions:
            raise self._refusal(f"names “{phrase}”, which is no sound that foley can make")
        caption = self.event.caption.rstrip(" .。,，")
        caption += self._caption_words.add_with.format(sound=phrase)
        layers: list[Layer] = list(self.event.layers)
        if layers:
            read = LayerReader(self.language).read(phrase, None, attributed=False)
            kind = read[0].kind if read else SoundKind.SFX
            layer = SoundLayer(kind=kind, text=phrase)
            layers = [layer, *layers] if at_start else [*layers, layer]
        return self._rewritten(caption, layers)

    def _lasting(self, part: str) -> SubEvent | None:
        if self.meant(part):
            return None
        duration_s = self._lengths.read(part, self.event.duration_s)
        if duration_s is None:
            duration_s = self._lengths.scaled(part, self.event.duration_s)
        if duration_s is None:
            return None
        return self.event.model_copy(update={"duration_s": self._lengths.checked(duration_s, part)})

    def _dialed(self, part: str) -> SubEvent | None:
        dial_request = self.change_words.dial(part)
        if dial_request is None or dial_request[0] not in DIALS:
            return None
        dial, rest = dial_request
        phrase = self.change_words.bare(rest)
        if phrase and not self.meant(phrase) and self._added_by(dial, phrase):
            return self._with(phrase)
        kinds = self._kinds(phrase) if phrase else list(self.sounds())
        step = self.change_words.step(part)
        turned = [kind for kind in kinds if self._turn(kind, dial, step)]
        if not turned:
            raise self._refusal(f"asks for a sound that cannot be told any {dial}")
        return self.event

    def _added_by(self, dial: str, phrase: str) -> bool:
        return dial == "more" and bool(self.wording.read(phrase).mentions)

    def _turn(self, kind: str, dial: str, step: float) -> bool:
        """Turn a sound by its layer's shape; by words where no layer has it to itself."""
        for name in _dials_for(dial):
            reword = partial(self.wording.turned, kind=kind, dial=name)
            if self._layers_of(kind):
                made = self._reshaped(kind, partial(self._changes, kind=kind, dial=name, step=step))
            else:
                made = self._with_sound_reworded(kind, reword)
            if made is not None:
                self.event = made
                return True
        return False

    def _changes(
        self, layer: SoundLayer, heard: Shape, kind: str, dial: str, step: float
    ) -> Changes | None:
        changes = turned(layer, heard, dial, step)
        if changes is not None or dial not in ("more", "fewer") or layer.count is not None:
            return changes
        reworded = self.wording.turned(layer.text, kind, dial)  # None of what is not counted
        count = None if reworded is None else self.wording.read(reworded).mentions[0].shape.count
        return None if count is None else {"count": count}

    def _layers_of(self, kind: str) -> list[SoundLayer]:
        """Return the layers that name a sound, if it has them to itself."""
        layers = [layer for layer in self._layers() if self._names(layer.text, kind)]
        kinds = {m.kind for layer in layers for m in self.wording.read(layer.text).mentions}
        return layers if kinds == {kind} else []

    def _reshaped(
        self, kind: str, change: Callable[[SoundLayer, Shape], Changes | None]
    ) -> SubEvent | None:
        """Shape the layers of a sound; what their words and the caption say of it is cut."""
        own = self._layers_of(kind)
        caption = self.event.caption
        layers = list(self.event.layers)
        for layer in own:
            changes = change(layer, self.wording.read(layer.text).mentions[0].shape)
            if changes is None:
                return None
            fields = [_READ_AS[name] for name in changes if name in _READ_AS]
            text = self.wording.plain(layer.text, kind, fields)
            shaped = layer.model_copy(update={**changes, "text": text})
            layers[layers.index(layer)] = shaped
            caption = self.wording.plain(caption, kind, fields)
        return self._rewritten(caption, layers) if own else None

    def _directed(self, part: str) -> SubEvent | None:
        """Add what the change itself says of a sound, or what it names besides."""
        reading = self.wording.read(part)
        sounds = self.sounds()
        for mention in reading.mentions:
            if mention.kind in sounds and mention.shape != Shape():
                words = [
                    phrase
                    for phrase in _phrases_of(part, self.language)
                    if not self.change_words.politeness.match(phrase)
                    and all(m.kind not in sounds for m in self.wording.read(phrase).mentions)
                ]
                kind, shape = mention.kind, mention.shape
                changes = named(shape)
                if changes is not None and self._layers_of(kind):
                    return self._reshaped(kind, lambda *_, changes=changes: changes)
                reword = partial(self.wording.shaped, kind=kind, target=shape, words=words)
                made = self._with_sound_reworded(kind, reword)
                if made is not None:
                    return made
        if self._change_code != self._code:
            return None
        known = [mention.end for mention in reading.mentions if mention.kind in sounds]
        phrase = self.change_words.opening.sub("", part[max(known, default=0) :]).strip(_LOOSE)
        if reading.mentions and not known:
            return self._with(phrase)
        caption = f"{self.event.caption.rstrip(' .。')}, {phrase}"
        before, after = self.wording.read(self.event.caption), self.wording.read(caption)
        if after.room != before.room or len(after.ambience) > len(before.ambience):
            return self._rewritten(caption, self.event.layers)
        return None


def _dials_for(dial: str) -> tuple[str, ...]:
    # What cannot be counted is more when it is louder.
    return {"more": ("more", "louder"), "fewer": ("fewer", "quieter")}.get(dial, (dial,))


def _first(patterns: Sequence[re.Pattern[str]], text: str) -> re.Match[str] | None:
    return next(
        (match for pattern in patterns if (match := pattern.fullmatch(text.strip(_LOOSE)))), None
    )


def _shares_a_word(phrase: str, text: str, language: Language) -> bool:
    if not language.spaced:
        pairs = {a + b for a, b in pairwise(phrase)}
        return any(pair in text for pair in pairs)
    idle = language.function_words | language.determiners | language.prepositions
    stems = {_stem(word) for word in _WORD.findall(phrase.lower()) if word not in idle}
    return bool(stems & {_stem(word) for word in _WORD.findall(text.lower()) if word not in idle})


def _stem(word: str) -> str:
    for ending in ("ing", "es", "s"):
        if len(word) > len(ending) + 2 and word.endswith(ending):
            return word.removesuffix(ending)
    return word


def _cased_as(text: str, old: str) -> str:
    return text if old[:1].isupper() == text[:1].isupper() else old[:1] + text[1:]


def _phrases_of(part: str, language: Language) -> Iterator[str]:
    """Yield runs of words of a change that may describe a sound, the longest first."""
    spans = [m.span() for m in _WORD.finditer(part)]
    if not language.spaced:
        spans = [(at, at + 1) for at in range(len(part))]
    for length in range(_LONGEST_PHRASE, 0, -1):
        for i in range(len(spans) - length + 1):
            words = part[spans[i][0] : spans[i + length - 1][1]]
            first, _, rest = words.partition(" ")
            if language.code == "en" and language.is_verb(first) and not first.endswith("ing"):
                yield f"and {_third_person(first)} {rest}".strip()
            else:
                yield words


def _third_person(verb: str) -> str:
    if verb.endswith(("ss", "ch", "sh", "x", "o")):
        return verb + "es"
    return verb if verb.endswith("s") else verb + "s"
