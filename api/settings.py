"""Settings of this installation; the only reader of the environment."""

from pathlib import Path
from typing import Annotated

import platformdirs
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from audiostory_core.errors import BadInput


class Settings(BaseSettings):
    """What may differ between installations. Each is an environment variable AUDIOSTORY_<NAME>."""

    model_config = SettingsConfigDict(env_prefix="AUDIOSTORY_", extra="ignore")

    home: Path = Field(  # the data folder: database, audio, checkpoints
        default_factory=lambda: Path(platformdirs.user_data_dir("audiostory", appauthor=False))
    )
    tail_s: Annotated[float, Field(ge=0.0, le=10.0)] = 3.0  # overlap that clips are rendered with
    batch: Annotated[int, Field(ge=1, le=256)] = 1  # clips handed to an engine at once
    workers: Annotated[int, Field(ge=1, le=64)] = 1  # worker processes that `serve` supervises

    @property
    def database_file(self) -> Path:
        """The SQLite file that holds what is true."""
        return self.home / "studio.db"

    @property
    def checkpoint_file(self) -> Path:
        """LangGraph's program counters, in a file of their own."""
        return self.home / "checkpoints.db"


def read_settings() -> Settings:
    """Read the environment.

    Raises:
        BadInput: naming the variable whose value cannot be used.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "AUDIOSTORY_" + str(first["loc"][0]).upper()
        raise BadInput(name, first["input"], first["msg"], "Correct or unset it.") from error
