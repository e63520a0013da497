"""The network of one process: its weights are opened at once, its parts loaded when first needed.

A process that only makes clips never loads the language model; one that only plans and
interleaves never loads the DiT.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from audiostory_core.errors import BadInput
from audiostory_core.model.bridging import Bridge
from audiostory_core.model.config import NetworkConfig
from audiostory_core.model.llm import Backend, LanguageModel
from audiostory_core.model.synthesizer import Synthesizer
from audiostory_core.model.vllm.client import VllmBackend
from audiostory_core.model.vllm.state_files import default_folder
from audiostory_core.model.vocabulary import Vocabulary
from audiostory_core.model.weights.loading import open_weights

log = logging.getLogger(__name__)

WORTH_TELLING = 1 << 30  # bytes to convert: some ten seconds
PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass(frozen=True)
class Served:
    """A language model that a server runs; see `VllmBackend` for the arguments."""

    url: str
    states: Path | None = None  # None: the folder of this user, unless there is a pooling server
    pooling_url: str | None = None


class Network:
    """Parts of the AudioStory network, shared by the engine and the planner of a process.

    Args:
        folder: weights, converted or as published.
        cache: where published weights are converted to.
        device: "cpu", "cuda", "cuda:1" …; "auto" is a GPU if there is one.
        precision: of "float32", "bfloat16" and "float16"; None is float32 on a CPU, and float16,
            which the release runs in, on a GPU.
        compiles: compile the DiT when it is loaded.
        served: the language model runs on a server, and is never loaded here.

    Raises:
        BadInput: if the weights cannot be opened, or there is no such device.
    """

    def __init__(
        self,
        folder: Path,
        cache: Path,
        *,
        device: str = "auto",
        precision: str | None = None,
        compiles: bool = False,
        served: Served | None = None,
    ) -> None:
        self.device = _device(device)
        self.precision = precision or ("float32" if self.device.type == "cpu" else "float16")
        self._weights = open_weights(folder, cache, _Conversion(folder, cache))
        self._compiles = compiles
        self._served = served
        self._server: VllmBackend | None = None
        self._loading = threading.Lock()
        self._reading = threading.Lock()
        self._language_model: LanguageModel | None = None
        self._vocabulary: Vocabulary | None = None
        self._bridge: Bridge | None = None
        self._synthesizer: tuple[str, Synthesizer] | None = None

    @property
    def revision(self) -> str:
        """The weights revision: sha256 over the hashes of all their files."""
        return self._weights.revision

    @property
    def config(self) -> NetworkConfig:
        """Dimensions of the network."""
        return self._weights.config

    @property
    def vocabulary(self) -> Vocabulary:
        """Token ids of the language model."""
        with self._loading:
            if self._vocabulary is None:
                self._vocabulary = Vocabulary.load(self._weights.llm_folder)
            return self._vocabulary

    @contextmanager
    def reading(self) -> Iterator[tuple[Backend, Bridge]]:
        """Hold the language model and the bridge for one thread's turn; a server takes all turns."""
        with nullcontext() if self._served else self._reading:
            with self._loading:
                backend = self._load_backend()
                if self._bridge is None:
                    self._bridge = self._weights.bridge(self.device, torch.float32)
                bridge = self._bridge
            yield backend, bridge

    def _load_backend(self) -> Backend:
        if self._served is not None:
            if self._server is None:
                states = self._served.states
                if states is None and self._served.pooling_url is None:
                    states = default_folder()
                self._server = VllmBackend(
                    self._served.url,
                    self.revision,
                    self._weights.llm_folder,
                    states=states,
                    pooling_url=self._served.pooling_url,
                )
            return self._server
        if self._language_model is None:
            dtype = PRECISIONS[self.precision]
            self._language_model = self._weights.language_model(self.device, dtype)
        return self._language_model

    def synthesizer(self, precision: str) -> Synthesizer:
        """Return the part that makes clips, in a precision; that of another one is released.

        Raises:
            BadInput: if the precision is not known.
        """
        if precision not in PRECISIONS:
            known = ", ".join(PRECISIONS)
            raise BadInput("precision", precision, "is not known", f"Use one of: {known}.")
        with self._loading:
            if self._synthesizer is None or self._synthesizer[0] != precision:
                self._synthesizer = None
                made = self._weights.synthesizer(
                    self.device, PRECISIONS[precision], compiles=self._compiles
                )
                self._synthesizer = (precision, made)
            return self._synthesizer[1]

    def close(self) -> None:
        """Release all parts; they are loaded again when needed."""
        with self._reading, self._loading:
            self._language_model = self._bridge = self._synthesizer = None
            if self._server is not None:
                self._server.close()
                self._server = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


class _Conversion:
    """Says that weights are being converted, once, as it takes minutes with large ones.

    Args:
        folder: as published.
        cache: where they go.
    """

    def __init__(self, folder: Path, cache: Path) -> None:
        self._folder, self._cache = folder, cache
        self._is_announced = False

    def __call__(self, done: int, total: int) -> None:
        if not self._is_announced and total >= WORTH_TELLING:
            self._is_announced = True
            log.warning(
                "%s is as published: %.1f GB are converted into %s, once.",
                self._folder,
                total / 1e9,
                self._cache,
            )


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise BadInput("device", name, "is not there", "Use AUDIOSTORY_DEVICE=auto.")
    return device
