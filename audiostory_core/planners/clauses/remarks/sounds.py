"""The sounds of one scene, changed: removed, replaced, added, turned, described otherwise.

Every new wording is read again before it is taken, see wording.py.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial

from audiostory_core.engines.foley.sound import Shape
from audiostory_core.engines.foley.words.reading import Reading
from audiostory_core.planners.clauses.layers import LayerReader
from audiostory_core.planners.clauses.remarks.change_words import LOOSE
from audiostory_core.planners.clauses.remarks.heard import Heard, music_kinds
from audiostory_core.planners.clauses.remarks.phrases import phrases_of
from audiostory_core.planners.clauses.turning import Changes, named, turned
from audiostory_core.story.plan import Layer, SoundKind, SoundLayer, SpeechLayer, SubEvent
from audiostory_core.story.shape import Pace

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_CLAUSES = re.compile(r"([,;.:!?]\s*)")
_BY_GAIN = ("louder", "quieter", "closer")  # dials that words can turn the wrong way by the meter
_READ_AS = {  # fields of a layer's shape, and of what foley reads in its text
    "count": "count",
    "distance": "distance",
    "pace": "pace",
    "pan": "position",
}
_STEPS, RUNNING = "footsteps", "running"  # kinds of sound


class SceneSounds(Heard):
    """Changes the sounds of a sub-event; see `Heard`."""

    def remove(self, kinds: Sequence[str]) -> None:
        """Take sounds out of the scene.

        Raises:
            BadInput: if that would leave nothing to hear, or they belong to the place.
        """
        for kind in kinds:
            changed = self._without(kind)
            if kind in self._implied(changed):
                raise self.refusal("names a sound that belongs to the place told in the scene")
            if not self._is_heard(changed):
                raise self.refusal("would leave nothing to hear; delete the scene instead")
            self.event = changed

    def remove_layers(self, places: Sequence[int]) -> None:
        """Take whole layers out of the scene, and what the caption says of them.

        Raises:
            BadInput: if that would leave nothing to hear.
        """
        gone = [self.event.layers[place] for place in places]
        kept = [layer for at, layer in enumerate(self.event.layers) if at not in places]
        if not kept:
            raise self.refusal("would leave nothing to hear; delete the scene instead")
        caption: str | None = self.event.caption
        for layer in gone:
            caption = caption and self._caption_without(caption, layer)
        self.event = self._rewritten(caption or self._caption_from(kept), kept)

    def _caption_without(self, caption: str, layer: Layer) -> str | None:
        if isinstance(layer, SpeechLayer):
            return _without_line(caption, layer.words)
        if layer.text in caption:
            return self.wording.fitted(caption, *_span_of(caption, layer.text), "")
        for mention in self.wording.read(layer.text).mentions:
            if any(m.kind == mention.kind for m in self.wording.read(caption).mentions):
                cut = self.wording.without(caption, mention.kind)
                if not cut:
                    return None
                caption = cut
        return caption

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
                raise self.refusal(f"cannot cut “{layer.text}” apart")
            if rest:
                layers.append(layer.model_copy(update={"text": rest}))
        reworded = self.wording.without(caption, kind)
        if reworded and not _is_closed(reworded):  # it ends within a line
            reworded = None
        if not reworded and not layers:
            raise self.refusal("would leave nothing to hear")
        return self._rewritten(reworded or self._caption_from(layers), layers)

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
                caption = anew or caption + self.caption_words.add_with.format(sound=text)
        if not changed:
            reworded = reword(caption)
            return None if reworded is None else self._rewritten(reworded, layers)
        return self._rewritten(caption, layers)

    def replace(self, old: str, new: str) -> bool:
        """Put another sound in the place of one; False if neither is a sound.

        Raises:
            BadInput: if the old one is not there, or the new one cannot be made.
        """
        is_sound = self.wording.read(old).mentions or self.other.read(old).mentions
        if not self.meant(old) and (not is_sound or not self.wording.read(new).mentions):
            return False
        kinds = self.meant(old)
        if not kinds:
            raise self.refusal(f"names a sound (“{old}”) that is not in the scene")
        for kind in kinds:
            if not self.wording.read(new).mentions:
                raise self.refusal(f"names “{new}”, which is no sound that foley can make")
            if self._named_again(kind, new):
                continue
            reword = partial(self._in_place_of, kind=kind, noun=old, new=new)
            made = self._with_sound_reworded(kind, reword)
            if made is None:
                raise self.refusal(f"cannot put “{new}” in the place of “{old}”")
            if old in made.caption and old not in new:  # "dreimal", of which no sound is left out
                raise self.refusal(f"cannot put “{new}” in the place of “{old}”")
            self.event = made
        return True

    def _in_place_of(self, text: str, kind: str, noun: str, new: str) -> str | None:
        """Return a text with a sound replaced, music by music of whichever name."""
        made = self.wording.replaced(self._uncounted(text, kind, new), kind, noun, new)
        if made is not None:
            return made
        wanted = set(self._kinds_in(new))
        mention = next(each for each in self.wording.read(text).mentions if each.kind == kind)
        bare = " ".join(w for w in new.split() if w.lower() not in self.language.determiners)
        made = self.wording.fitted(text, mention.start, mention.end, bare)
        inside = set(self._kinds_in(made))
        is_music = inside | wanted <= music_kinds() and kind not in inside
        return made if is_music and wanted <= inside else None

    def _named_again(self, kind: str, phrase: str) -> bool:
        """Shape a sound as a phrase has it that names no other: "three knocks instead of two"."""
        mentions = self.wording.read(phrase).mentions
        if [mention.kind for mention in mentions] != [kind]:
            return False
        changes = named(mentions[0].shape)
        return changes is not None and self._reshape(self.layers_of([kind]), lambda *_: changes)

    def add(self, phrase: str, *, at: int | None = None) -> None:
        """Let another sound be heard.

        Args:
            phrase: names it.
            at: place of its layer; None: the last.

        Raises:
            BadInput: if it is none that can be made.
        """
        heard = self.wording.read(phrase)
        if not heard.mentions:
            raise self.refusal(f"names “{phrase}”, which is no sound that foley can make")
        caption = self.event.caption.rstrip(" .。,，")
        caption += self.caption_words.add_with.format(sound=phrase)
        layers: list[Layer] = list(self.event.layers)
        if layers:
            read = LayerReader(self.language).read(phrase, None, attributed=False)
            kind = read[0].kind if read else SoundKind.SFX
            layer = SoundLayer(kind=kind, text=phrase)
            layers.insert(len(layers) if at is None else at, layer)
        self.event = self._rewritten(caption, layers)

    def turn(self, kinds: Sequence[str], dial: str, step: float) -> bool:
        """Turn sounds by a dial, by the shapes of their layers; by words where others share them.

        Returns:
            False if none can go further.
        """
        if dial in _BY_GAIN:
            self.take_layer()
        own = self.layers_of(kinds)
        is_turned = self._reshape(own, partial(self._changes, dial=dial, step=step))
        shaped = {kind for layer in own for kind in self._kinds_in(layer.text)}
        rest = [kind for kind in kinds if kind not in shaped]
        reworded = [self._reword_turned(kind, dial) for kind in rest]
        return any(reworded) or is_turned

    def reshape(self, kinds: Sequence[str], changes: Changes) -> None:
        """Set the shape of sounds that have layers of their own.

        Raises:
            BadInput: if one has none.
        """
        self.take_layer()
        own = self.layers_of(kinds)
        shaped = {kind for layer in own for kind in self._kinds_in(layer.text)}
        lacking = [kind for kind in kinds if kind not in shaped]
        if lacking:
            text = self.sounds().get(lacking[0], lacking[0])
            raise self.refusal(f"cannot be done: “{text}” has no layer to itself")
        self._reshape(own, lambda *_: changes)

    def _reword_turned(self, kind: str, dial: str) -> bool:
        for name in _dials_for(dial):
            if name in ("more", "fewer") and self._is_mass(kind):
                continue
            reword = partial(self.wording.turned, kind=kind, dial=name)
            made = self._with_sound_reworded(kind, reword)
            if made is not None:
                self.event = made
                return True
        return False

    def _changes(self, layer: SoundLayer, heard: Shape, dial: str, step: float) -> Changes | None:
        if dial not in ("more", "fewer"):
            return turned(layer, heard, dial, step)
        kind = self.wording.read(layer.text).mentions[0].kind
        if self._is_mass(kind) or layer.kind is SoundKind.MUSIC:
            changes = None
        else:
            changes = turned(layer, heard, dial, step) or self._counted_by_words(layer, kind, dial)
        # What cannot be counted is more when it is louder.
        return changes or turned(layer, heard, _dials_for(dial)[-1], step)

    def _counted_by_words(self, layer: SoundLayer, kind: str, dial: str) -> Changes | None:
        if layer.count is not None:
            return None
        reworded = self.wording.turned(layer.text, kind, dial)  # None of what is not counted
        count = None if reworded is None else self.wording.read(reworded).mentions[0].shape.count
        return None if count is None else {"count": count}

    def _reshape(
        self,
        own: Sequence[SoundLayer],
        change: Callable[[SoundLayer, Shape], Changes | None],
    ) -> bool:
        """Shape layers; what their words and the caption say of it is cut."""
        caption = self.event.caption
        layers = list(self.event.layers)
        is_changed = False
        for layer in own:
            changes = change(layer, self.wording.read(layer.text).mentions[0].shape)
            if changes is None:
                continue
            is_changed = True
            fields = [_READ_AS[name] for name in changes if name in _READ_AS]
            text = layer.text
            for kind in self._kinds_in(layer.text):
                text = self._plain(text, kind, fields)
                caption = self._plain(caption, kind, fields)
            at = next(at for at, each in enumerate(layers) if each is layer)
            layers[at] = layer.model_copy(update={**changes, "text": text})
        self.event = self._rewritten(caption, layers)
        return is_changed

    def _plain(self, text: str, kind: str, fields: Sequence[str]) -> str:
        """Return the text without what shapes a sound, and without what that leaves dangling."""
        plain = self.wording.plain(text, kind, fields)
        if plain == text or not self.language.spaced:
            return plain
        known = set(_CLAUSES.split(text))
        parts = [part if part in known else self._undangled(part) for part in _CLAUSES.split(plain)]
        return "".join(parts) or text

    def _undangled(self, clause: str) -> str:
        language = self.language
        idle = language.determiners | language.prepositions | language.function_words
        words = list(_WORD.finditer(clause))
        while len(words) > 1 and words[-1][0].lower() in idle:
            clause = clause[: words.pop().start()].rstrip(" ,;")
        return clause

    def describe(self, part: str) -> bool:
        """Let a sound be as the remark itself says, or the scene be where it says."""
        reading = self.wording.read(part)
        sounds = self.sounds()
        for mention in reading.mentions:
            if mention.kind in sounds and mention.shape != Shape():
                words = [
                    phrase
                    for phrase in phrases_of(part, self.language)
                    if not self.change_words.politeness.match(phrase)
                    and all(m.kind not in sounds for m in self.wording.read(phrase).mentions)
                ]
                if self._described(mention.kind, mention.shape, words):
                    return True
        if self.change_words is not self.caption_words:
            return False
        known = [mention.end for mention in reading.mentions if mention.kind in sounds]
        if len(known) < len(reading.mentions):
            return False
        phrase = self.change_words.opening.sub("", part[max(known, default=0) :]).strip(LOOSE)
        if self.meant(phrase):  # "a stone roof" of rain on a roof is no place
            return False
        caption = f"{self.event.caption.rstrip(' .。')}, {phrase}"
        before, after = self.wording.read(self.event.caption), self.wording.read(caption)
        if after.room == before.room and len(after.ambience) <= len(before.ambience):
            return False
        self.event = self._rewritten(caption, self.event.layers)
        return True

    def _described(self, kind: str, shape: Shape, words: Sequence[str]) -> bool:
        changes = named(shape)
        if changes is not None and self._reshape(self.layers_of([kind]), lambda *_: changes):
            return True
        reword = partial(self.wording.shaped, kind=kind, target=shape, words=words)
        made = self._with_sound_reworded(kind, reword)
        if made is not None:
            self.event = made
        return made is not None

    def walk(self, reading: Reading) -> bool:
        """Let steps be heard as a reading of English words has them: on what, and how fast.

        Returns:
            False if the scene has no steps, or the words name other sounds.
        """
        steps = [
            layer for layer in self._layers() if all(map(_is_step, self._kinds_in(layer.text)))
        ]
        kinds = {mention.kind for mention in reading.mentions}
        if (
            len(steps) != 1
            or not kinds
            or not all(map(_is_step, kinds))
            or self.language.code != "en"
        ):
            return False
        grounds = [m.text for m in reading.mentions if m.kind.startswith(_STEPS + "_")]
        old = steps[0]
        text = f"footsteps on {grounds[-1].removeprefix('footsteps on ')}" if grounds else old.text
        changes: dict[str, object] = {"text": text}
        if RUNNING in kinds or any(m.shape.pace > 1 for m in reading.mentions):
            changes["pace"] = Pace.FAST
        caption = self.event.caption
        caption = caption.replace(old.text, text, 1) if old.text in caption else text
        layers = [
            layer.model_copy(update=changes) if layer is old else layer
            for layer in self.event.layers
        ]
        self.event = self._rewritten(_cased_as(caption, self.event.caption), layers)
        return True


def _is_closed(caption: str) -> bool:
    """Tell whether every quote that a caption opens is closed."""
    if "„" in caption:
        return caption.count("„") == caption.count("“") + caption.count("”")
    pairs = (("“", "”"), ("«", "»"), ("「", "」"))
    return all(caption.count(opens) == caption.count(closes) for opens, closes in pairs)


def _is_step(kind: str) -> bool:
    return kind in (RUNNING, _STEPS) or kind.startswith(_STEPS + "_")


def _span_of(text: str, part: str) -> tuple[int, int]:
    at = text.index(part)
    return at, at + len(part)


def _without_line(caption: str, words: str) -> str | None:
    """Return a caption without a line and who says it; None if nothing else is in it."""
    at = caption.find(words.rstrip(" .。"))
    if at < 0:
        return caption
    starts = [m.end() for m in re.finditer(r"[.!?;。！？；\n]+[\"”»」]?\s*", caption[:at])]
    closing = re.compile(r"[^\"”»」\n]*[\"”»」]?[.。,;]?\s*").match(caption, at + len(words))
    end = closing.end() if closing else len(caption)
    rest = f"{caption[: starts[-1] if starts else 0]}{caption[end:]}".strip()
    return rest or None


def _dials_for(dial: str) -> tuple[str, ...]:
    # What cannot be counted is more when it is louder.
    return {"more": ("more", "louder"), "fewer": ("fewer", "quieter")}.get(dial, (dial,))


def _cased_as(text: str, old: str) -> str:
    return text if old[:1].isupper() == text[:1].isupper() else old[:1] + text[1:]
