"""Dialogue behind dashes, as in Spanish, French, Polish, Russian and Scandinavian books."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from audiostory_core.manuscript.elements import Span

_DASHES = "—–―-"
_OPENING = re.compile(rf"(?P<dash>[{_DASHES}])\s?(?=[^\s\d{_DASHES}])")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_SAYS_WORDS = """
dijo dice preguntó pregunta respondió responde contestó contesta gritó grita susurró susurra
murmuró murmura exclamó exclama añadió añade replicó replica ordenó insistió explicó pensó llamó
dit disait demanda demande répondit répond cria crie murmura murmure chuchota chuchote s'écria
s'exclama ajouta ajoute répliqua lança reprit fit souffla ordonna insista expliqua appela disse
diz perguntou pergunta respondeu responde gritou grita sussurrou murmurou exclamou acrescentou
replicou chamou explicou continuou disse dice chiese chiede rispose risponde gridò grida
sussurrò mormorò esclamò aggiunse powiedział powiedziała zapytał zapytała spytał spytała
odpowiedział odpowiedziała krzyknął krzyknęła szepnął szepnęła odparł odparła rzekł rzekła
mruknął mruknęła zawołał zawołała dodał dodała odrzekł odrzekła mówi pyta odpowiada сказал
сказала спросил спросила ответил ответила крикнул крикнула прошептал прошептала воскликнул
воскликнула добавил добавила говорит спрашивает отвечает закричал закричала sagte fragte
antwortete rief flüsterte schrie murmelte erwiderte meinte said asked answered replied cried
shouted whispered called murmured muttered added frågade sade svarade ropade viskade skrek mumlade
undrade spurte svarte ropte hvisket skrek mumlet spurgte sagde svarede råbte hviskede mumlede
"""
SAYS = frozenset(_SAYS_WORDS.split())
_MANNERS = {
    "whispering": "susurró susurra murmuró murmura chuchota chuchote souffla murmure sussurrou"
    " murmurou sussurrò mormorò szepnął szepnęła прошептал прошептала flüsterte whispered"
    " viskade hvisket hviskede",
    "shouting": "gritó grita cria crie gritou gridò grida krzyknął krzyknęła zawołał zawołała"
    " крикнул крикнула закричал закричала rief schrie shouted s'écria ropade skrek ropte råbte",
}
MANNER_OF = {verb: manner for manner, verbs in _MANNERS.items() for verb in verbs.split()}
IDLE_WORDS = """
el la los las un una le les l' d' de une o a os as um uma il lo i gli der die das ein eine the
den det en ett et an mi su sa son mon ma il elle él ella ele ela lui lei on ona он она er sie he she
han hon hun
"""
_IDLE = frozenset(IDLE_WORDS.split())
PRONOUNS_WORDS = (
    "il elle él ella ele ela lui lei on ona он она er sie he she je yo ja han hon hun jag jeg"
)
_PRONOUNS = frozenset(PRONOUNS_WORDS.split())
_INLINE = re.compile(
    r"(?:(?<=[,?!…])|(?<=[?!]\s)|(?<=[,…]\s))\s*(?P<verb>(?:s['’])?[^\W\d_]+)(?P<rest>[^.!?…\n]{0,60}[.!?…]|[^.!?…\n]{0,60}$)"
)


@dataclass(frozen=True)
class DashTurn:
    """A paragraph that somebody speaks."""

    start: int
    end: int
    spoken: tuple[Span, ...]
    speaker: str | None
    manner: str | None
    is_tagged: bool  # the text says who speaks


def read_dashes(text: str, rows: Iterable[Span]) -> dict[int, DashTurn]:
    """Return the spoken paragraphs of a text by where they start.

    A list has the same form, so dashes are believed only where one paragraph says who speaks.

    Args:
        text: of the manuscript.
        rows: spans of its lines.
    """
    turns = [turn for row in rows if (turn := _turn(text, *row)) is not None]
    tagged = {text[turn.start] for turn in turns if turn.is_tagged}
    return {turn.start: turn for turn in turns if text[turn.start] in tagged}


def _turn(text: str, start: int, end: int) -> DashTurn | None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    opening = _OPENING.match(text, start, end)
    if opening is None:
        return None
    spoken, tags = _parted(text, opening, end)
    if not spoken:
        return None
    words = [word for tag in tags for word in _WORD.findall(text[slice(*tag)])]
    at = _place_of_verb(words)
    verb = None if at is None else words[at].lower()
    name = None if at is None else _name(words, at)
    return DashTurn(start, end, tuple(spoken), name, MANNER_OF.get(verb or ""), verb is not None)


def _parted(text: str, opening: re.Match[str], end: int) -> tuple[list[Span], list[Span]]:
    """Part a paragraph into what is spoken and what tells who speaks."""
    dash = "-" if opening["dash"] == "-" else "[—–―]"
    cut = re.compile(rf"\s{dash}\s?|{dash}(?=[\s.,;:]|$)|(?<=[.,;:!?…])\s?{dash}(?=[^\W_])")
    at = opening.end()
    edges = [(m.start(), m.end()) for m in cut.finditer(text, at, end)]
    spoken: list[Span] = []
    tags: list[Span] = []
    segments = list(zip([at, *(e for _, e in edges)], [*(s for s, _ in edges), end], strict=True))
    is_tag = False
    for number, (start, until) in enumerate(segments):
        is_tag = number > 0 and not is_tag and _begins_tag(text[start:until])
        if is_tag:
            tags.append((start, until))
        else:
            spoken += _without_inline_tag(text, start, until, tags)
    return [span for span in (_bare(text, *s) for s in spoken) if span[0] < span[1]], tags


def _begins_tag(segment: str) -> bool:
    word = _WORD.search(segment)
    return word is not None and word[0][0].islower() and not segment[: word.start()].strip()


def _without_inline_tag(text: str, start: int, end: int, tags: list[Span]) -> Sequence[Span]:
    """Take out ", répondit le facteur." and the like."""
    for match in _INLINE.finditer(text, start, end):
        words = _WORD.findall(match["verb"].replace("’", "'") + match["rest"])
        if _place_of_verb(words) == 0:
            tags.append(
                match.span("verb") if not match["rest"] else (match.start("verb"), match.end())
            )
            return [(start, match.start("verb")), (match.end(), end)]
    return [(start, end)]


def _bare(text: str, start: int, end: int) -> Span:
    while start < end and (text[start].isspace() or text[start] in ".,;:"):
        start += 1
    while end > start and (text[end - 1].isspace() or text[end - 1] in ",;:"):
        end -= 1
    return start, end


def _place_of_verb(words: Sequence[str]) -> int | None:
    """Return which word of a tag says that somebody speaks."""
    for at, word in enumerate(words):
        after = "".join(words[at + 1 : at + 2])
        is_sa = word == "sa" and (after[:1].isupper() or after in _PRONOUNS)  # French: "his"
        if is_sa or word.lower() in SAYS:
            return at
    return None


def _name(words: Sequence[str], verb: int) -> str | None:
    """Return who speaks by the words of a tag: names first, else the noun after the verb."""
    names: list[str] = []
    for word in words:
        if word[0].isupper() and word.lower() not in _IDLE:
            names.append(word)
        elif names:
            break
    if names:
        return " ".join(names[:3])
    after = words[verb + 1 : verb + 4]
    if after and after[0].lower() in _PRONOUNS:
        return None
    nouns = [word for word in after if word.lower() not in _IDLE]
    if not nouns:
        return None
    bare = re.sub(r"^[ld]['’]", "", nouns[0])
    return bare or None
