"""From the words of an event to its layers: beds, sounds in order, music."""

import re
from collections.abc import Iterator, Sequence

from audiostory_core.planners.clauses.language import Language
from audiostory_core.planners.clauses.words import Token, is_event_verb, tokenize
from audiostory_core.story.plan import SoundKind, SoundLayer

_PARTING = frozenset(",;:.!?…()[]—–，、；：。！？（）|/")
_MARKUP = re.compile(r"\*+|`+|_{2,}")
_LONGEST_MANNER = 4  # words
_HOW_SAID = re.compile(
    r"[^はが]{1,10}[はが][^はが]{0,8}(?:声|口調|様子|調子|泣き|笑い|怒り)\w{0,4}$"
)
_LOOSE = " ,;:.，、；：。-–—()[]"


class LayerReader:
    """Reads layers event by event; remembers of whom the text speaks.

    A phrase without a subject ("and drives away") gets the one before it, so that its layer
    can be heard without the rest of the story.
    """

    def __init__(self, language: Language) -> None:
        self._language = language
        self._subject = ""  # of the phrase before
        self._topic = ""  # of the sentence
        self._person = ""  # the last subject that "she" may stand for
        self._group = ""  # … that "they" may stand for

    def new_sentence(self) -> None:
        """Forget who "it" is."""
        self._topic = ""

    def new_scene(self) -> None:
        """Forget of whom the text speaks."""
        self._subject = self._topic = self._person = self._group = ""

    def read(self, text: str, label: str | None, *, attributed: bool) -> list[SoundLayer]:
        """Return the layers that a text names, in order, each a short phrase.

        Args:
            text: words of one event.
            label: kind of layer that the text itself asks for, as in "SFX: glass breaks".
            attributed: whether a quote stands beside the text; the words that only say who
                speaks are left out then.
        """
        layers: list[SoundLayer] = []
        for phrase in self._phrases(text):
            words = text[phrase[0].start : phrase[-1].end]
            if attributed and self._only_attributes(words, phrase):
                continue
            wording = self._with_subject(text, phrase)
            kind = SoundKind(label) if label else self._kind(words, phrase)
            layers.append(SoundLayer(kind=kind, text=wording))
        return layers

    def _phrases(self, text: str) -> Iterator[list[Token]]:
        over = self._language.aftermath.match(text)
        begin = over.end() if over and over.end() < len(text.rstrip(_LOOSE)) else 0
        tokens = tokenize(text, begin, len(text))
        phrase: list[Token] = []
        for index, token in enumerate(tokens):
            mark = not token.is_word and token.word in _PARTING
            if mark and phrase and self._joins(text, tokens, index, phrase):
                continue
            if mark or self._parts(text, tokens, index, phrase):
                if self._is_sound(phrase):
                    yield self._trimmed(phrase)
                    phrase = []
                elif not mark or token.word not in ",，":
                    phrase = []
                continue
            if token.is_word:
                phrase.append(token)
        if self._is_sound(phrase):
            yield self._trimmed(phrase)

    def _joins(
        self, text: str, tokens: Sequence[Token], index: int, phrase: Sequence[Token]
    ) -> bool:
        """Say whether a mark stands within a phrase: "Mr. Smith", "big, red", ", signaling …"."""
        language = self._language
        mark = tokens[index].word
        following = tokens[index + 1].word if index + 1 < len(tokens) else ""
        if mark == ".":
            touches = not text[tokens[index].end : tokens[index].end + 1].isspace()
            return (touches and bool(following)) or phrase[-1].word in language.abbreviations
        if mark == ":" and following.isdigit() and phrase[-1].word.isdigit():
            return text[tokens[index].end].isdigit()  # "At 6:30 he leaves"
        if mark != "," or not language.spaced:
            return False
        if language.is_participle(following) or phrase[-1].word in language.adjectives:
            return True
        if self._only_adds_how(tokens, index + 1):
            return True
        if following in language.subordinators and following not in language.determiners:
            return True
        return len(phrase) <= 3 and phrase[0].word in language.prepositions

    def _only_adds_how(self, tokens: Sequence[Token], first: int) -> bool:
        """Say whether what follows a comma is "closer and closer" or "louder than before"."""
        language = self._language
        until = next((i for i in range(first, len(tokens)) if not tokens[i].is_word), len(tokens))
        words = [token.word for token in tokens[first:until]]
        how = language.adverbs | language.joiners | language.prepositions
        return 1 < len(words) <= _LONGEST_MANNER and all(word in how for word in words)

    def _only_attributes(self, words: str, phrase: Sequence[Token]) -> bool:
        verbs = self._language.speech_verbs
        if not self._language.spaced:
            says = any(verb in words for verb in verbs) or words.endswith(("が", "は"))
            return says or bool(_HOW_SAID.match(words))
        return len(phrase) <= 8 and any(token.word in verbs for token in phrase)

    def _parts(
        self, text: str, tokens: Sequence[Token], index: int, phrase: Sequence[Token]
    ) -> bool:
        language = self._language
        word = tokens[index].word
        if not phrase or index + 1 >= len(tokens):
            return False
        if word in language.separators:
            return not language.sequence.match(text, tokens[index].start)
        if word not in language.joiners:
            return False
        return phrase[-1].word not in language.adjectives | language.adverbs

    def _is_sound(self, phrase: Sequence[Token]) -> bool:
        language = self._language
        idle = (
            language.function_words | language.adverbs | language.joiners | language.determiners
            if language.spaced
            else language.adverbs
        )
        return any(token.word not in idle for token in phrase)

    def _trimmed(self, phrase: list[Token]) -> list[Token]:
        language = self._language
        idle = language.joiners | language.separators
        while len(phrase) > 1 and phrase[0].word in idle:
            phrase = phrase[1:]
        return phrase

    def _with_subject(self, text: str, phrase: list[Token]) -> str:
        language = self._language
        words = text[phrase[0].start : phrase[-1].end]
        opening = language.sequence.match(words)
        if opening and opening.end() < len(words):
            after = phrase[0].start + opening.end()
            rest = [token for token in phrase if token.start >= after]
            if rest:
                phrase = rest
            words = text[max(after, 0) : phrase[-1].end]
        words = _MARKUP.sub("", words).strip(_LOOSE)
        if not language.spaced:
            return words
        verb = next((i for i in range(len(phrase)) if is_event_verb(phrase, i, 0, language)), None)
        if verb is None:
            return words
        return self._with_pronoun_resolved(text, phrase, verb, words)

    def _with_pronoun_resolved(
        self, text: str, phrase: Sequence[Token], verb: int, words: str
    ) -> str:
        language = self._language
        idle = language.adverbs | language.clitics
        before = [token for token in phrase[:verb] if token.word not in idle]
        relative = [i for i, t in enumerate(before) if i and t.word in language.subordinators]
        before = before[: relative[0]] if relative else before
        if not before:
            return self._with_subject_after(text, phrase, verb, words)
        if len(before) == 1 and before[0].word in language.anaphora:
            known = self._meant_by(before[0].word)
            if not known:
                return words
            self._subject = known
            return f"{known} {text[phrase[verb].start : phrase[-1].end]}"
        self._subject = text[before[0].start : before[-1].end]
        self._topic = self._topic or self._subject
        subject_words = {token.word for token in before}
        if subject_words & language.speaker_nouns:
            self._person = self._subject
        several = subject_words & (language.plurals | language.counts | {"and"})
        if several or (before[-1].word.endswith("s") and not before[-1].word.endswith("ss")):
            self._group = self._subject
        return words

    def _meant_by(self, pronoun: str) -> str:
        """Return who or what an English pronoun stands for, as far as the text says."""
        if self._language.code != "en" or pronoun == "it":
            return self._topic
        if pronoun == "they":
            return self._group
        return self._person or self._topic

    def _with_subject_after(self, text: str, phrase: Sequence[Token], verb: int, words: str) -> str:
        language = self._language
        following = phrase[verb + 1] if verb + 1 < len(phrase) else None
        if language.code == "en" or following is None:
            return f"{self._subject} {words}".strip()
        if following.word in language.anaphora and self._topic:
            self._subject = self._topic
            until = text[phrase[verb].start : following.start]
            return f"{until}{self._topic}{text[following.end : phrase[-1].end]}"
        # "suena un timbre": what follows may be the subject.
        inverted = following.word in language.determiners | language.pronouns
        return words if inverted else f"{self._subject} {words}".strip()

    def _kind(self, words: str, phrase: Sequence[Token]) -> SoundKind:
        language = self._language
        if not language.spaced:
            return _unspaced_kind(words, language)
        phrase_words = [token.word for token in phrase]
        if any(word in language.silence for word in phrase_words):
            return SoundKind.AMBIENCE
        if any(word in language.music for word in phrase_words):
            return SoundKind.MUSIC
        head = self._head(phrase)
        nouns = head[-1:] if language.head == "last" else head
        is_bed = any(noun in language.ambience for noun in nouns)
        return SoundKind.AMBIENCE if is_bed else SoundKind.SFX

    def _head(self, phrase: Sequence[Token]) -> list[str]:
        """Return the words before the verb or the first preposition: what the phrase is about."""
        head: list[str] = []
        for index, token in enumerate(phrase):
            ends = token.word in self._language.prepositions or is_event_verb(
                phrase, index, 0, self._language
            )
            if head and ends:
                break
            if not ends:
                head.append(token.word)
        return head


def _unspaced_kind(words: str, language: Language) -> SoundKind:
    if any(word in words for word in language.silence):
        return SoundKind.AMBIENCE
    for other in sorted(language.not_ambience):
        words = words.replace(other, "")
    if any(word in words for word in language.music):
        return SoundKind.MUSIC
    if any(word in words for word in language.ambience):
        return SoundKind.AMBIENCE
    return SoundKind.SFX
