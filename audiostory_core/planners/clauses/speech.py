"""Spoken words: which quotes are speech, who says them and how."""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from audiostory_core.planners.clauses.language import Language

_CLOSERS = {
    '"': '"', "“": "”“\"", "„": "“”\"", "«": "»", "‹": "›", "»": "«", "「": "」", "『": "』", "‘": "’",
    "'": "'", "＂": "＂", "”": "”",
}  # fmt: skip
_OPENER = re.compile(r"[\"“„«‹»「『＂”]|(?<!\w)['‘](?=\w)")
_CLOSER = re.compile(r"[\"”“»›«」』＂]|(?<=[\w.!?,…。！？])['’](?!\w)")
_PARAGRAPH = re.compile(r"\n[ \t\r]*\n")
_CONTEXT = 120  # characters around a quote in which its speaker is looked for
_BREAK = re.compile(
    r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)\.|[!?;:。！？；：\n\"“”„«»「」『』]"
)
_COMMA = re.compile(r"[,，、]")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_ENDS_AS_SPEECH = re.compile(r"[.!?…。！？,，]\s*$")
_CLASSIFIER = re.compile(r"^[一那这這两]?(?:个|位|名|個)")
_PARTICLE = re.compile(r"(?:は|が|も|の声が|と)$")
_TOPIC = re.compile(r"(?:.*[でに])??(?P<name>[^でには]{1,12}?)(?:の声)?(?:は|が)")
_ADVERB = re.compile(r"(?:(\w)\1|\w{2})地$")
_THEY = frozenset(["彼", "彼女", "彼ら", "他", "她", "他们", "她们", "我", "私", "俺", "僕"])


@dataclass(frozen=True)
class Quote:
    """Quoted words; `start` and `end` include the quote marks."""

    start: int
    end: int
    is_open: bool = False  # ends with its paragraph, and goes on in the next

    @property
    def inner(self) -> tuple[int, int]:
        """Span of the words between the marks."""
        return self.start + 1, self.end - (not self.is_open)


@dataclass(frozen=True)
class Voice:
    """Who speaks and how, as the text says; all None for a voice without a name."""

    speaker: str | None = None
    manner: str | None = None
    description: str = ""


def find_quotes(text: str) -> list[Quote]:
    """Find paired quotes, outermost only, none across an empty line; linear in the text.

    A quote that the next paragraph carries on, by the same mark at its start, ends with its own.
    """
    closings: dict[str, list[int]] = {}
    for closer in _CLOSER.finditer(text):
        closings.setdefault(closer[0], []).append(closer.start())
    blanks = [blank.span() for blank in _PARAGRAPH.finditer(text)]
    breaks = [start for start, _ in blanks]
    quotes: list[Quote] = []
    at = 0
    while (match := _OPENER.search(text, at)) is not None:
        at = match.end()
        end = _closing(closings, _CLOSERS[match[0]], at)
        next_break = bisect_left(breaks, at)
        has_break = next_break < len(breaks)
        if has_break and (end is None or breaks[next_break] < end):
            until, following = blanks[next_break]
            is_carried_on = text.startswith(match[0], following) and match[0] in '"“„«「'
            if is_carried_on and text[at:until].strip():
                quotes.append(Quote(match.start(), until, is_open=True))
                at = until
            continue
        if end is None:
            continue
        if text[at:end].strip():
            quotes.append(Quote(match.start(), end + 1))
            at = end + 1
    return quotes


def _closing(closings: Mapping[str, list[int]], marks: str, at: int) -> int | None:
    ends = []
    for mark in marks:
        positions = closings.get(mark, [])
        index = bisect_left(positions, at)
        if index < len(positions):
            ends.append(positions[index])
    return min(ends, default=None)


def voice_of(text: str, quote: Quote, language: Language) -> Voice | None:
    """Read who says a quote, or return None where it is a title or an emphasis, not speech."""
    before = text[max(0, quote.start - _CONTEXT) : quote.start]
    after = text[quote.end : quote.end + _CONTEXT]
    after = _BREAK.split(after, maxsplit=1)[0]
    stripped = before.rstrip()
    lead = _BREAK.split(stripped.rstrip(" :：,，"))[-1]
    voice = _read_voice(lead, language, verb_last=True) or _read_voice(
        after, language, verb_last=False
    )
    if voice:
        if language.code == "ja" and not voice.speaker and (named := _TOPIC.match(lead)):
            voice = replace(_voice_named(named["name"], language), manner=voice.manner)
        return voice
    words = text[quote.inner[0] : quote.inner[1]]
    introduced = not stripped or stripped[-1] in ":：,，\n.!?。！？" or before.endswith("\n")
    if introduced or _ENDS_AS_SPEECH.search(words):
        return Voice()
    return None


def read_voices(text: str, quotes: Sequence[Quote], language: Language) -> list[Voice | None]:
    """Return who says each quote; None where it is none."""
    voices: list[Voice | None] = []
    for number, quote in enumerate(quotes):
        voice = voice_of(text, quote, language)
        before = voices[-1] if voices else None
        is_unnamed = voice is None or not voice.speaker
        if before and is_unnamed and _goes_on(text, quotes[number - 1], quote, language):
            voice = before
        voices.append(voice)
    return voices


def _goes_on(text: str, before: Quote, quote: Quote, language: Language) -> bool:
    """Say whether a quote carries on the one before it: over paragraphs, or around who says it."""
    if before.is_open:
        return True
    between = text[before.end : quote.start]
    if len(between) > _CONTEXT or "\n" in between or not language.spaced:
        return False
    words = [word[0].lower() for word in _WORD.finditer(between)]
    return len(words) <= 8 and any(word in language.speech_verbs for word in words)


def manner_in(words: str, language: Language) -> str | None:
    """Return the words of a text that name a manner of speaking, joined by commas."""
    if language.spaced:
        manners = [m[0] for m in _WORD.finditer(words) if m[0].lower() in language.manners]
    else:
        manners = [manner for manner in sorted(language.manners) if manner in words][:1]
    return ", ".join(dict.fromkeys(manners)) or None


def _read_voice(context: str, language: Language, *, verb_last: bool) -> Voice | None:
    if not language.spaced:
        return _unspaced_voice(context, language)
    words = list(_WORD.finditer(context))
    verbs = [i for i, word in enumerate(words) if word[0].lower() in language.speech_verbs]
    if not verbs:
        return None
    verb = verbs[-1] if verb_last else verbs[0]
    if not verb_last and verb > 6:
        return None
    implied = language.speech_verbs[words[verb][0].lower()]
    named = _phrase(context, words[:verb], language, from_end=True)
    if not named and not verb_last:
        named = _phrase(context, words[verb + 1 :], language, from_end=False)
    manners = [implied, manner_in(context, language) or ""]
    manner = ", ".join(dict.fromkeys(filter(None, manners))) or None
    speaker = _titled(_head(named, language), context)
    described = " ".join(named)
    return Voice(speaker, manner, described if speaker and described != speaker else "")


def _titled(name: str | None, context: str) -> str | None:
    """Return a name with the full stop that its title has in the text: "Mr. Hale"."""
    dotted = name.replace(" ", ". ", 1) if name else ""
    return dotted if dotted != name and dotted and dotted in context else name


def _phrase(
    context: str, words: list[re.Match[str]], language: Language, *, from_end: bool
) -> list[str]:
    """Return the noun phrase that touches the verb, without connectives."""
    stops = language.joiners | language.prepositions | language.subordinators
    phrase: list[str] = []
    for word in reversed(words) if from_end else words:
        lower = word[0].lower()
        is_noun = phrase and not from_end and phrase[-1].lower() in language.determiners
        if not is_noun and (_is_stop(lower, stops, language) or language.is_verb(lower)):
            break
        if from_end and _COMMA.match(context, word.end()) and phrase:
            break
        phrase.append(word[0])
        if not from_end and _COMMA.match(context, word.end()):
            break
    phrase = phrase[::-1] if from_end else phrase
    while phrase and language.sequence.fullmatch(phrase[0]):
        phrase = phrase[1:]
    while phrase and phrase[-1].lower() in language.adverbs | language.manners:
        if language.head == "first" and len(phrase) > 1 and phrase[-1].lower() in language.manners:
            break
        phrase = phrase[:-1]
    return phrase[:6]


def _is_stop(lower: str, stops: frozenset[str], language: Language) -> bool:
    # German articles are relative pronouns too; as articles they belong to the phrase.
    return lower in stops and lower not in language.determiners


def _head(phrase: list[str], language: Language) -> str | None:
    """Return the name or noun a noun phrase is about."""
    owned = (word.removesuffix("'s").removesuffix("’s") for word in phrase)
    nouns = [word for word in owned if word.lower() not in language.determiners]
    if not nouns or nouns[0].lower() in language.pronouns:
        return None
    known = [word for word in nouns if word.lower() in language.speaker_nouns]
    if known:
        return known[0] if language.head == "first" else known[-1]
    if len(nouns) == len(phrase) and all(word[0].isupper() for word in nouns):
        return " ".join(nouns)
    if language.head == "last":
        return nouns[-1]
    plain = [w for w in nouns if w.lower() not in language.adjectives | language.manners]
    return (plain or nouns)[0]


def _unspaced_voice(context: str, language: Language) -> Voice | None:
    clause = _COMMA.split(context.strip(" 　,，、:："))[-1]
    verbs = sorted(language.speech_verbs, key=lambda verb: (-len(verb), verb))
    verb = next((verb for verb in verbs if clause.endswith(verb)), None)
    verb = verb or next((verb for verb in verbs if verb in clause[:12]), None)
    if verb is None:
        particle = _PARTICLE.search(clause) if language.code == "ja" else None
        if not particle:
            return None
        verb = particle[0]
    phrase = clause[: clause.find(verb)] or clause[clause.find(verb) + len(verb) :]
    opening = language.sequence.match(phrase)
    phrase = phrase[opening.end() :] if opening else phrase
    implied = language.speech_verbs.get(verb, "")
    manner = manner_in(phrase, language) or implied or None
    subject = _subject(phrase, language)
    nouns = [noun for noun in language.speaker_nouns if noun in subject]
    noun = max(nouns, key=lambda n: (len(n), n), default=None)
    speaker = noun or (subject if 0 < len(subject) <= 6 else None)
    if subject in language.pronouns | _THEY:
        speaker = None
    return Voice(speaker, manner, subject if speaker else "")


def _voice_named(name: str, language: Language) -> Voice:
    return Voice(None if name in _THEY | language.pronouns else name)


def _subject(phrase: str, language: Language) -> str:
    """Return who speaks, of a phrase that may say how, too: "太郎は小声で", "小梅低声"."""
    phrase = phrase.strip().removeprefix("と")
    if language.code == "ja":
        named = _TOPIC.match(phrase)
        return _PARTICLE.sub("", named["name"] if named else phrase)
    bare = _CLASSIFIER.sub("", _ADVERB.sub("", phrase)).strip()
    for manner in sorted(language.manners, key=len, reverse=True):
        if manner != bare:
            bare = bare.removeprefix(manner).removesuffix(manner)
    return bare.strip()
