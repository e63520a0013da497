"""vLLM, in the environment it has of its own, serving a language model from this machine."""

import ctypes
import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import httpx

from api.models.service import open_published
from api.settings import Settings, extend_environment, read_settings
from api.terminal import console
from audiostory_core.errors import BadInput, StudioError
from audiostory_core.model.vllm.state_files import StateFolder, default_folder
from audiostory_core.model.weights.manifest import NAME, Manifest

ROOT = Path(__file__).parents[2]
CONNECTOR = ROOT / "audiostory_core" / "model" / "vllm"  # a folder of vLLM's PYTHONPATH
PYTHON = Path(".vllm-env/bin/python")
DTYPES = ("float32", "bfloat16", "float16")
LONGEST = 8192  # tokens of prompt and continuation; windows and tellings are below 4,000
CPU_LONGEST = 4096
CPU_SEQUENCES = 32  # written at once on a CPU
CPU_KEPT = 8  # the longest sequences whose keys and values are kept on a CPU
LEAST_KV_BYTES = 64 << 20
START_S = 1800.0  # a large model is read from a slow disk, and compiled
LOOK_S = 0.25
ANSWER_S = 5.0  # for the server to say that it is up
SWEEP_S = 60.0
DRAIN_S = 20.0  # for vLLM to end once it is told to
LAST_LINES = 12  # of the log, where vLLM does not start
FAILED = 1
PR_SET_PDEATHSIG = 1  # of linux/prctl.h
STRUCTURED = {"backend": "xgrammar", "disable_any_whitespace": True}  # else JSON may never end
ENVIRONMENT = {
    "PYTHONPATH": str(CONNECTOR),
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_CPU_CI_ENV": "1",  # a CPU needs no warm-up
}


@dataclass(frozen=True)
class ServeOptions:
    """What to serve, and where."""

    weights: Path
    host: str = "127.0.0.1"
    port: int = 8330
    tensor_parallel: int = 1
    dtype: str | None = None
    states: Path | None = None
    is_pooling: bool = False
    further: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Where this machine reaches the server."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


@dataclass(frozen=True)
class Model:
    """A language model to be served."""

    folder: Path  # plain Qwen2
    name: str  # as the studio asks for it
    config: dict[str, Any]  # of config.json

    @property
    def bytes_per_token(self) -> int:
        """What a token takes in the cache, in float32: keys, values and the states."""
        heads = self.config["num_attention_heads"]
        width = self.config["hidden_size"] // heads * self.config["num_key_value_heads"]
        return 4 * int(2 * self.config["num_hidden_layers"] * width + self.config["hidden_size"])


def serve(options: ServeOptions) -> int:
    """Serve until SIGINT or SIGTERM; a second one waits for nothing.

    Returns:
        The exit code: 0 after a signal, 1 if vLLM ended by itself.

    Raises:
        BadInput: if weights, environment, address or states folder cannot be used.
        StudioError: if vLLM does not start; with the end of its log.
    """
    settings = read_settings()
    if options.dtype not in (None, *DTYPES):
        raise BadInput("dtype", options.dtype, "is not known", f"Use one of: {', '.join(DTYPES)}.")
    model = _open(options.weights, settings)
    python = _find_python(settings)
    _check_address(options)
    folder = StateFolder(options.states or settings.llm_states or default_folder())
    folder.make()
    folder.sweep()
    gpus = _count_gpus(python)
    if gpus and options.tensor_parallel > gpus:
        raise BadInput(
            "tensor-parallel",
            options.tensor_parallel,
            f"is more than the {gpus} GPUs here",
            "Use less.",
        )
    log = settings.home / "llm" / f"{options.port}.log"
    command = [str(python), *arguments(options, model, folder.folder, has_gpu=gpus > 0)]
    with _Vllm(command, log) as vllm:
        console.err.print(f"starting vLLM; its log is {log}", markup=False, soft_wrap=True)
        with console.err.status("loading the model"):
            is_up = vllm.wait_until_up(options.url)
        if is_up:
            _show_address(options, model, folder.folder)
        return vllm.wait(folder)


def arguments(options: ServeOptions, model: Model, states: Path, *, has_gpu: bool) -> list[str]:
    """Return what follows `python` to serve a model on a machine."""
    longest = min(LONGEST if has_gpu else CPU_LONGEST, model.config["max_position_embeddings"])
    args: list[object] = ["-m", "vllm.entrypoints.openai.api_server"]
    args += ["--model", model.folder, "--served-model-name", model.name]
    args += ["--host", options.host, "--port", options.port]
    args += ["--dtype", options.dtype or ("float16" if has_gpu else "float32")]
    args += ["--tensor-parallel-size", options.tensor_parallel, "--max-model-len", longest]
    args += ["--generation-config", "vllm"]  # else that of the folder alters what is chosen
    if not has_gpu:
        kept = max(LEAST_KV_BYTES, CPU_KEPT * longest * model.bytes_per_token)
        args += ["--enforce-eager", "--max-num-seqs", CPU_SEQUENCES]
        args += ["--kv-cache-memory-bytes", kept]
    if options.is_pooling:
        pooler = {"task": "token_embed", "pooling_type": "ALL", "use_activation": False}
        args += ["--runner", "pooling", "--convert", "embed"]
        args += ["--pooler-config", json.dumps(pooler)]
    else:
        args += ["--enable-prefix-caching", "--enable-prompt-tokens-details"]
        args += ["--max-logprobs", 1024, "--logprobs-mode", "processed_logprobs"]
        args += ["--structured-outputs-config", json.dumps(STRUCTURED)]
        args += ["--speculative-config", json.dumps(_speculation(model))]
        args += ["--kv-transfer-config", json.dumps(_transfer(states))]
    return [*map(str, args), *options.further]


def _speculation(model: Model) -> dict[str, Any]:
    """Keep the last layer's states: to vLLM, a way to guess tokens that guesses none."""
    layers = {"eagle_aux_hidden_state_layer_ids": [model.config["num_hidden_layers"]]}
    return {
        "method": "extract_hidden_states",
        "num_speculative_tokens": 1,
        "draft_model_config": {"hf_config": layers},
    }


def _transfer(states: Path) -> dict[str, Any]:
    return {
        "kv_connector": "AudioStoryStates",
        "kv_connector_module_path": "audiostory_states",
        "kv_role": "kv_producer",
        "kv_connector_extra_config": {"shared_storage_path": str(states)},
    }


class _Vllm:
    """vLLM's processes; they end with the block.

    They are a session of their own, so that Ctrl-C comes to this process alone.
    """

    def __init__(self, command: list[str], log: Path) -> None:
        self._command = command
        self._log = log
        self._is_stopping = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "_Vllm":
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                env=extend_environment(ENVIRONMENT),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o077,  # states are for this user alone
                preexec_fn=_end_with_parent,
            )
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(DRAIN_S)
        self._kill()

    def wait_until_up(self, url: str) -> bool:
        """Wait until the server answers; False if it was told to stop before.

        Raises:
            StudioError: if it ended by itself, or does not answer in half an hour.
        """
        deadline = time.monotonic() + START_S
        with httpx.Client(base_url=url, timeout=ANSWER_S, trust_env=False) as client:
            while self._process.poll() is None and time.monotonic() < deadline:
                with suppress(httpx.TransportError):
                    if client.get("/health").is_success:
                        return True
                time.sleep(LOOK_S)
        if self._is_stopping:
            return False
        lines = self._log.read_text("utf-8", errors="replace").splitlines()[-LAST_LINES:]
        raise StudioError("\n".join([f"vLLM did not start. {self._log} ends:", *lines]))

    def wait(self, folder: StateFolder) -> int:
        """Wait until it ends; meanwhile delete states that nobody fetched."""
        while self._process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(SWEEP_S)
            folder.sweep()
        if self._is_stopping:
            return 0
        console.err.print(f"vLLM ended by itself; see {self._log}", markup=False, soft_wrap=True)
        return FAILED

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._is_stopping:
            self._kill()
        self._is_stopping = True
        self._process.send_signal(signal.SIGTERM)

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _end_with_parent() -> None:
    """Have the kernel tell vLLM to end when this process is killed; it would hold the GPU."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _open(weights: Path, settings: Settings) -> Model:
    if not (weights / NAME).is_file() and weights.is_dir():
        weights = open_published(weights, settings.models)
    revision = Manifest.read(weights).revision
    folder = weights.absolute() / "llm"
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        remedy = "Convert the checkpoint again with `audiostory models convert`."
        raise BadInput("weights", str(weights), "has no llm/config.json", remedy) from error
    return Model(folder, f"audiostory-{revision[:12]}", config)


def _find_python(settings: Settings) -> Path:
    named = settings.vllm_python
    places = [named] if named is not None else [Path.cwd() / PYTHON, ROOT / PYTHON]
    for place in places:
        if place.is_file():
            return place.absolute()  # not resolved: a link in an environment is its python
    raise BadInput(
        "AUDIOSTORY_VLLM_PYTHON",
        str(places[-1]),
        "is not there",
        "Install vLLM with `make vllm-env`, or name the python of an environment that has it.",
    )


def _check_address(options: ServeOptions) -> None:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        socket.getaddrinfo(options.host, options.port, family)
    except OSError as error:
        remedy = "Give one, such as 127.0.0.1."
        raise BadInput("host", options.host, "is no address of this machine", remedy) from error
    with socket.socket(family) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((options.host, options.port))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise BadInput("port", options.port, reason, "Give a free one with --port.") from error
    with suppress(ValueError):
        if options.host != "localhost" and not ipaddress.ip_address(options.host).is_loopback:
            console.err.print("whoever reaches this address can use the model: it asks for no key")


def _count_gpus(python: Path) -> int:
    code = "import torch; print(torch.cuda.device_count())"
    counted = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    if counted.returncode:
        last = (counted.stderr.strip().splitlines() or ["it ends at once"])[-1]
        remedy = "Install vLLM again: make vllm-env"
        raise BadInput("AUDIOSTORY_VLLM_PYTHON", str(python), f"cannot be used ({last})", remedy)
    return int(counted.stdout.split()[-1])


def _show_address(options: ServeOptions, model: Model, states: Path) -> None:
    if options.is_pooling:
        line = f"AUDIOSTORY_LLM_POOLING_URL={options.url}"
    else:
        line = f"AUDIOSTORY_LLM_URL={options.url} AUDIOSTORY_LLM_STATES={states}"
    console.out.print(
        f"{options.url} serves {model.name}; Ctrl-C stops\n{line}", markup=False, soft_wrap=True
    )
    console.out.file.flush()
