"""Choosing between WAV and FLAC by the Accept header (RFC 9110, 12.5.1)."""

import re
from enum import StrEnum

from starlette.exceptions import HTTPException


class AudioKind(StrEnum):
    """A container that audio is sent in; its value is the suffix."""

    WAV = "wav"
    FLAC = "flac"

    @property
    def media_type(self) -> str:
        """The name it is sent under."""
        return f"audio/{self.value}"


NAMES = {
    AudioKind.WAV: ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"),
    AudioKind.FLAC: ("audio/flac", "audio/x-flac"),
}
QUALITY = re.compile(r"q=([01](?:\.\d{0,3})?)", re.IGNORECASE | re.ASCII)


def choose_kind(accept: str) -> AudioKind:
    """Return what the client likes best; WAV where both are as good.

    Raises:
        HTTPException: 406 if it takes neither.
    """
    weights = _weigh(accept)
    qualities = {
        kind: next((weights[n] for n in (*names, "audio/*", "*/*") if n in weights), 0.0)
        for kind, names in NAMES.items()
    }
    best = max(qualities, key=lambda kind: qualities[kind])
    if qualities[best] <= 0:
        raise HTTPException(406, "Audio is sent as audio/wav or audio/flac.")
    return best


def _weigh(accept: str) -> dict[str, float]:
    weights = {}
    for part in accept.split(","):
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        matches = [QUALITY.fullmatch(parameter) for parameter in parameters]
        weights[media] = next((float(match[1]) for match in matches if match), 1.0)
    return weights
