"""What is to be exported, as text: another worker makes the same file of it, byte for byte.

Everything that is read is named by its content, so that a mix which was revised or mended is
another request, and equal mixes, of whichever stories, are one.
"""

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from audiostory_core.audio.export import Progress, write_audio
from audiostory_core.audio.mixdown import MasterGain, Mixdown
from audiostory_core.audio.pcm import SampleFormat, wav_length
from audiostory_core.audio.stems import open_source, recipe_of
from audiostory_core.errors import BadInput
from audiostory_core.stem import Stem

FORMATS = ("flac", "wav")


@dataclass(frozen=True)
class ExportRequest:
    """A file to be made of a mix, or of one of its stems.

    Args:
        format: one of `FORMATS`.
        form: of the samples.
        source: what `recipe_of` returned, with content names for paths.
        mastering: of the mix; None: its source as it is.
    """

    format: str
    form: SampleFormat
    source: Mapping[str, Any]
    mastering: MasterGain | None

    @classmethod
    def of(cls, mixdown: Mixdown, format: str, stem: Stem | None) -> Self:
        """Return the request of a file of an open mix, or of an open stem of it.

        Raises:
            BadInput: if a stem, which may exceed full scale, is not to be had in that format.
        """
        if stem is not None and format != "wav":
            problem = f"is not to be had as {format}, which ends at full scale"
            raise BadInput("stem", stem.value, problem, "Ask for wav, of 32-bit floats.")
        recipe = recipe_of(mixdown.source)
        source = recipe | {
            "chains": {
                name: [(path and Path(path).name, *place) for path, *place in chain]
                for name, chain in recipe["chains"].items()
            }
        }
        form = SampleFormat.PCM_24 if stem is None else SampleFormat.FLOAT_32
        return cls(format, form, source, mixdown.mastering)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the request that `as_text` wrote."""
        parsed = json.loads(text)
        mastering = parsed["mastering"]
        return cls(
            format=parsed["format"],
            form=SampleFormat[parsed["samples"]],
            source={"chains": dict(parsed["chains"]), "balance": parsed["balance"]},
            mastering=mastering and MasterGain(**mastering),
        )

    def as_text(self) -> str:
        """Return JSON with one spelling."""
        mastering = self.mastering and {
            "gain_db": self.mastering.gain_db,
            "limiting": self.mastering.limiting,
        }
        wanted = {
            "format": self.format,
            "samples": self.form.name,
            "chains": list(self.source["chains"].items()),  # stems are added in this order
            "balance": self.source["balance"],
            "mastering": mastering,
        }
        return json.dumps(wanted, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def key(self) -> str:
        """What the request is known by: the sha256 of its text."""
        return hashlib.sha256(self.as_text().encode()).hexdigest()

    def open(self, path_of: Callable[[str], Path], is_intact: Callable[[Path], bool]) -> Mixdown:
        """Open what the file is made of.

        Args:
            path_of: returns the path of a content name.
            is_intact: see `Chain`.
        """
        chains = {
            name: [(path_of(file) if file else None, *place) for file, *place in chain]
            for name, chain in self.source["chains"].items()
        }
        return Mixdown(open_source(chains, self.source["balance"], is_intact), self.mastering)

    def longest(self, samples: int) -> int:
        """Return how many bytes the file of so many samples has at most, or nearly so."""
        return wav_length(samples, self.form)

    def write(self, mixdown: Mixdown, file: io.FileIO, on_progress: Progress) -> None:
        """Write the file, which the command line would write likewise."""
        write_audio(mixdown, file, f".{self.format}", on_progress, form=self.form)
