"""Settings of this installation; the only reader of the environment."""

import os
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import platformdirs
from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from audiostory_core.errors import BadInput, first_problem

URL = r"^https?://[^/\s]+/?$"
SECRET = re.compile(r"://.*@")  # user and password of a URL


class LogFormat(StrEnum):
    """How a line of the log is written."""

    CONSOLE = "console"  # for people
    JSON = "json"


class Precision(StrEnum):
    """The numbers that a network computes with."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class LogLevel(StrEnum):
    """What is worth a line."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _split(value: object) -> object:
    """Read a list that is written with commas."""
    return value.split(",") if isinstance(value, str) else value


def _list(value: object) -> object:
    """Read a list that may be empty."""
    return _split(value) if value else None


ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class Settings(BaseSettings):
    """What may differ between installations.

    Each is an environment variable AUDIOSTORY_<NAME>; an empty one counts as unset.
    """

    model_config = SettingsConfigDict(
        env_prefix="AUDIOSTORY_",
        env_ignore_empty=True,  # as a folder, "" is the current one
        extra="ignore",
    )

    # The data folder
    home: Path = Field(  # database, audio, checkpoints
        default_factory=lambda: Path(platformdirs.user_data_dir("audiostory", appauthor=False))
    )
    database_url: Annotated[str | None, Field(pattern=r"^postgres(ql)?://.")] = None  # else SQLite
    gc_min_age_h: Annotated[float, Field(ge=1.0, le=10_000.0)] = 24.0  # what is younger stays
    least_free_mb: Annotated[int, Field(ge=0, le=10_000_000)] = 200  # on the disk, to be ready

    # Engines beyond those that are shipped or installed as packages
    engines: Annotated[tuple[Path, ...] | None, NoDecode, BeforeValidator(_list)] = None  # folders

    # The network that an engine and a planner share
    weights: Path | None = None  # its folder: converted, or as published
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    precision: Precision | None = None  # None: float32 on a CPU, float16 on a GPU, as published
    compiles: bool = False  # torch.compile: the first clip takes minutes, the others less

    # Its language model on a server of its own
    llm_url: Annotated[str | None, Field(pattern=URL)] = None  # of `llm serve`; None: in process
    llm_states: Path | None = None  # where that server writes states; None: the user's usual folder
    llm_pooling_url: Annotated[str | None, Field(pattern=URL)] = None  # no folder can be shared
    vllm_python: Path | None = None  # of vLLM's environment; None: .vllm-env/bin/python

    # The planner `chat`
    chat_url: str | None = None  # of an OpenAI-compatible server
    chat_model: str | None = None  # None: the only one that the server has
    chat_key: SecretStr | None = None

    # Making stories
    tail_s: Annotated[float, Field(ge=0.0, le=10.0)] = 3.0  # overlap that clips are rendered with
    max_scenes: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000  # of one plan

    # Workers
    workers: Annotated[int, Field(ge=1, le=64)] = 1  # worker processes that `serve` supervises
    processes: Annotated[int | None, Field(ge=1, le=256)] = None  # that make clips; None: as fits
    batch: Annotated[int, Field(ge=1, le=256)] = 1  # clips handed to an engine at once

    # The HTTP service
    connections: Annotated[int, Field(ge=8, le=100_000)] = 512  # to `serve`, open at once
    rate_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 600  # requests of a key
    starts_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 60  # those that start work
    streams_per_key: Annotated[int, Field(ge=1, le=10_000)] = 32  # of events, open at once

    # Webhooks
    webhook_allow_private: bool = False  # plain http, and targets in this server's own network
    webhook_waits_s: Annotated[  # before each further attempt; one more attempt than waits
        tuple[float, ...], NoDecode, BeforeValidator(_split), Field(max_length=20)
    ] = (5.0, 30.0, 300.0, 1800.0, 7200.0, 21600.0, 21600.0)

    # The log
    log: LogFormat = LogFormat.CONSOLE
    log_level: LogLevel | None = None  # None: what the command takes

    @property
    def database_file(self) -> Path:
        """The SQLite file that holds what is true, unless a server does."""
        return self.home / "studio.db"

    @property
    def checkpoint_file(self) -> Path:
        """LangGraph's program counters beside the SQLite file, in a file of their own."""
        return self.home / "checkpoints.db"

    @property
    def models(self) -> Path:
        """Weights that were pulled or converted."""
        return self.home / "models"

    @property
    def environments(self) -> Path:
        """Interpreters of engines that have their own."""
        return self.home / "engines"

    @property
    def database(self) -> Path | str:
        """What is true: the SQLite file, or the URL of a Postgres database."""
        return self.database_url or self.database_file

    @property
    def checkpoints(self) -> Path | str:
        """LangGraph's program counters: their own file, or tables of the Postgres database."""
        return self.database_url or self.checkpoint_file


def choose_weights(folder: Path | None) -> None:
    """Have this process, and those it starts, use the weights in a folder."""
    if folder is not None:
        os.environ["AUDIOSTORY_WEIGHTS"] = str(folder.absolute())


def use_one_thread() -> None:
    """Have numpy compute in one thread; without effect once it is imported."""
    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)


def extend_environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with more, for a process that it starts."""
    return {**os.environ, **more}


def foreign_environment(more: dict[str, str]) -> dict[str, str]:
    """Return this process's environment with more, for code that is not the studio's.

    The studio's own variables, with their secrets, are not in it.
    """
    own = Settings.model_config["env_prefix"]
    return {name: value for name, value in os.environ.items() if not name.startswith(own)} | more


def read_settings() -> Settings:
    """Read the environment.

    Raises:
        BadInput: naming the variable whose value cannot be used.
    """
    try:
        return Settings()
    except ValidationError as error:
        where, value, problem = first_problem(error)
        name = "AUDIOSTORY_" + where.partition(".")[0].upper()
        shown = SECRET.sub("://…@", str(value))
        raise BadInput(name, shown, problem, "Correct or unset it.") from error
