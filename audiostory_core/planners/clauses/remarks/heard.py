"""What is heard in one scene while it is changed, and what words of a remark name of it."""

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from itertools import pairwise

from audiostory_core.engines.foley.words.reading import Reading
from audiostory_core.errors import BadInput
from audiostory_core.planners.clauses.language import Language
from audiostory_core.planners.clauses.layers import LayerReader
from audiostory_core.planners.clauses.remarks.change_words import ChangeWords
from audiostory_core.planners.clauses.wording import Wording
from audiostory_core.story.plan import Layer, SoundKind, SoundLayer, SpeechLayer, SubEvent

REMEDY = (
    'Say, for example, "make the siren more distant", "remove the birds", "add thunder", '
    '"replace the dog with a cat", "5 seconds longer", "Anna whispers" or '
    '"change the line to “…”"; or change a field exactly, see docs/authoring.md.'
)
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_MASS = ("rain", "wind", "storm", "water", "sea", "river", "stream", "fire", "traffic", "snow")


@cache
def music_kinds() -> frozenset[str]:
    """Return the kinds of sound that are music."""
    lexicon = files("audiostory_core.engines.foley") / "lexicon" / "music.toml"
    return frozenset(tomllib.loads(lexicon.read_text(encoding="utf-8"))) - {
        "doorbell",
        "church_bell",
    }


class Heard:
    """What is heard in a sub-event while it is changed.

    Args:
        event: as it was.
        language: of the caption.
        wording: of that language.
        other: of the language of the remark.
        caption_words: of the language of the caption.
        change_words: of the language of the remark.
        change: the remark, for errors.
    """

    def __init__(
        self,
        event: SubEvent,
        language: Language,
        wording: Wording,
        other: Wording,
        caption_words: ChangeWords,
        change_words: ChangeWords,
        change: str,
    ) -> None:
        self.event = event
        self.language, self.wording, self.other = language, wording, other
        self.caption_words, self.change_words = caption_words, change_words
        self._change = change

    def take_layer(self) -> None:
        """Let the only sound of a scene without layers have one, so that it can be shaped."""
        event = self.event
        if event.layers or len(self.sounds()) != 1:
            return
        read = LayerReader(self.language).read(event.caption, None, attributed=False)
        if len(read) == 1 and isinstance(read[0], SoundLayer):
            layer = read[0].model_copy(update={"text": event.caption})
            self.event = event.model_copy(update={"layers": (layer,)})

    def refusal(self, problem: str) -> BadInput:
        """Return a refusal that lists what is heard in the scene."""
        heard = ", ".join(f"“{text}”" for text in self.sounds().values()) or "no sound it knows"
        return BadInput("change", self._change, f"{problem}; the scene has {heard}", REMEDY)

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
        kinds_named = {
            mention.kind
            for wording in (self.wording, self.other)
            for mention in wording.read(phrase).mentions
        }
        exact = [kind for kind in sounds if kind in kinds_named]
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

    def music(self) -> tuple[list[int], list[str]]:
        """Return the places of layers that are music, and kinds of music beside them."""
        places = [
            at
            for at, layer in enumerate(self.event.layers)
            if isinstance(layer, SoundLayer) and layer.kind is SoundKind.MUSIC
        ]
        inside = {
            mention.kind
            for at in places
            for mention in self.wording.read(text_of(self.event.layers[at])).mentions
        }
        kinds = [kind for kind in self.sounds() if kind in music_kinds() and kind not in inside]
        return places, kinds

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

    def _kinds_in(self, text: str) -> list[str]:
        return [mention.kind for mention in self.wording.read(text).mentions]

    def layers_of(self, kinds: Sequence[str]) -> list[SoundLayer]:
        """Return the layers of sounds that are heard in no layer together with others."""
        layers = [(layer, set(self._kinds_in(layer.text))) for layer in self._layers()]
        shared = {
            kind for _, inside in layers if not inside <= set(kinds) for kind in inside & set(kinds)
        }
        return [
            layer
            for layer, inside in layers
            if inside and inside <= set(kinds) and not inside & shared
        ]

    def _uncounted(self, text: str, kind: str, new: str) -> str:
        """Return a text without the count of a sound, if a single one takes its place."""
        is_single = new.partition(" ")[0].lower() in self.language.determiners
        return self.wording.plain(text, kind, ["count"]) if is_single else text

    def _is_mass(self, kind: str) -> bool:
        return kind in music_kinds() or kind.partition("_")[0] in _MASS


def _shares_a_word(phrase: str, text: str, language: Language) -> bool:
    if not language.spaced:
        pairs = {a + b for a, b in pairwise(phrase)} or {phrase}
        return any(pair in text for pair in pairs)
    idle = language.function_words | language.determiners | language.prepositions
    stems = {_stem(word) for word in _WORD.findall(phrase.lower()) if word not in idle}
    return bool(stems & {_stem(word) for word in _WORD.findall(text.lower()) if word not in idle})


def _stem(word: str) -> str:
    for ending in ("ing", "es", "s"):
        if len(word) > len(ending) + 2 and word.endswith(ending):
            return word.removesuffix(ending)
    return word


def text_of(layer: Layer) -> str:
    """Return what a layer says or is."""
    return layer.words if isinstance(layer, SpeechLayer) else layer.text
