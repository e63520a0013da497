"""Words that open a line of a script and name a sound, a rest or the planner, in six languages."""

import re

from audiostory_core.manuscript.elements import Sound

_SFX = """
sfx|fx|f/x|sound effect|sound effects|sound|sounds|effect|effects|spot fx|foley
|efecto|efectos|efecto de sonido|efectos de sonido|sonido|sonidos
|bruit|bruits|bruitage|bruitages|son|sons|effet|effets|effet sonore|effets sonores
|geräusch|geräusche|effekt|effekte|soundeffekt|ton
|effetto sonoro|effetti sonori|rumore|rumori|efeito sonoro|efeitos sonoros|som
|efekt dźwiękowy|dźwięk|звук|звуковой эффект|geluid|geluidseffect|ljud|ljudeffekt
|音效|声音|聲音|效果音|効果音|音
"""
_MUSIC = "music|musik|musique|música|musica|mus|gram|grams|sting|音乐|音樂|配乐|配樂|音楽|曲"
_AMBIENCE = """
ambience|ambiance|ambient|atmos|atmosphere|atmosphère|background|bed|ambiente|fondo|fond
|atmosphäre|atmo|hintergrund|环境音|環境音|环境|背景|環境
"""
SOUNDS: dict[str, Sound] = {
    **{word.strip(): "sfx" for word in _SFX.split("|")},
    **{word.strip(): "music" for word in _MUSIC.split("|")},
    **{word.strip(): "ambience" for word in _AMBIENCE.split("|")},
}
_REST = (
    r"(?:(?:a |ein |eine |une |un |una )?(?P<size>very long|long|longer|short|brief|slight|quick"
    r"|larga?|breve|longue?|courte?|lange|kurze|lunga|kort|lång|短暂|短い|长|長い)?的? ?"
    r"(?:pause|beat|silence|rest|break|pausa|silencio|silenzio|silêncio|stille|stilte|temps|paus|pauze|pauza"
    r"|пауза|停顿|停頓|静默|沉默|間|沈黙)"
    r"(?: (?P<after>long|short|larga|breve|corta|longue|courte))?)"
)
PAUSE = re.compile(
    rf"(?:{_REST}(?:\s*[:=,]?\s*(?:of |for )?(?P<seconds>\d{{1,3}}(?:[.,]\d{{1,2}})?)\s*"
    r"(?:s|sec|secs|seconds?|秒)?)?)\.?",
    re.IGNORECASE,
)
SSML_BREAK = re.compile(
    r"<break(?:\s+(?:time\s*=\s*[\"'](?P<time>\d{1,6}(?:\.\d{1,3})?)\s*(?P<unit>ms|s)[\"']"
    r"|strength\s*=\s*[\"'](?P<strength>[\w-]{1,10})[\"']))*\s*/?>",
    re.IGNORECASE,
)
PAUSE_S, SHORT_S, LONG_S = 1.0, 0.5, 2.0
LONGEST_PAUSE_S = 60.0
_SHORT_WORDS = "short brief slight quick breve courte court kurze corta kort 短暂 短い"
_SHORT = frozenset(_SHORT_WORDS.split())
_NO_SPEAKERS_WORDS = """
act scene part chapter title author credit note notes setting location time date total duration
length language style mood tone summary description example step end contact source draft cast
characters narration opening closing intro outro next then first finally acto escena parte nota
título tiempo lugar duración acte scène partie titre lieu durée szene akt teil kapitel titel ort
zeit dauer hinweis super insert montage intercut continued more chyron subtitle warning 场景 地点 时间
标题 说明 备注 シーン 場面 場所 時間 題名 説明
"""
NO_SPEAKERS = frozenset(_NO_SPEAKERS_WORDS.split())


def sound_of(label: str) -> Sound | None:
    """Return the kind of sound that a label asks for; None if it asks for none."""
    words = " ".join(label.strip(" .*_#").casefold().split())
    return SOUNDS.get(words) or SOUNDS.get(re.sub(r"\s*\d{1,3}$", "", words))


def pause_s(words: str) -> float | None:
    """Return how long a rest is that words such as "beat" or "pause: 2" name; None for none."""
    match = PAUSE.fullmatch(words.strip())
    if match is None:
        return None
    if match["seconds"]:
        return min(float(match["seconds"].replace(",", ".")), LONGEST_PAUSE_S)
    size = (match["size"] or match["after"] or "").lower()
    if not size:
        return PAUSE_S
    return SHORT_S if size in _SHORT else LONG_S


def break_s(match: re.Match[str]) -> float:
    """Return how long a matched `SSML_BREAK` is."""
    if match["time"]:
        scale = 1e-3 if match["unit"].lower() == "ms" else 1.0
        return min(float(match["time"]) * scale, LONGEST_PAUSE_S)
    return {"none": 0.0, "x-weak": 0.2, "weak": 0.3, "strong": 1.0, "x-strong": 1.5}.get(
        match["strength"] or "medium", PAUSE_S
    )
