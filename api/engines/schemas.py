"""An engine as it is shown: its card, and what it lacks here."""

from typing import Any, Self

from pydantic import BaseModel

from audiostory_core.engines.card import Card, Parameter, Value
from audiostory_core.engines.environment import EnvironmentState
from audiostory_core.stem import SeparateStem
from audiostory_core.story.shape import ShapeName


class ParameterView(BaseModel):
    """What a story may set for an engine."""

    type: str  # integer, number, text or boolean
    default: Value
    minimum: float | None
    maximum: float | None
    choices: list[str]
    help: str

    @classmethod
    def of(cls, parameter: Parameter) -> Self:
        """Return what is shown of a parameter."""
        return cls.model_validate(parameter.model_dump(mode="json"))


class WeightsView(BaseModel):
    """What an engine has learned, and what its license allows."""

    source: str
    license: str
    commercial_use: bool
    size_gb: float | None


class EngineView(BaseModel):
    """An engine."""

    name: str
    title: str
    description: str
    is_usable: bool  # in this process's data folder; `audiostory doctor` loads it, too
    reason: str | None  # why not
    is_default: bool
    stems: list[SeparateStem]
    composite: bool  # a clip may hold several of them
    continuous: list[SeparateStem]  # sound in every scene, also where no layer asks
    shapes: list[ShapeName]  # of layers, that it honors by itself
    shapes_in_words: list[ShapeName]  # that it reads, and keeps to as far as it was taught
    languages: list[str]  # of stories; empty: any
    longest_clip_s: float  # tail included
    controllable_duration: bool
    sample_rate: int  # Hz, of the engine; clips are at 44.1 kHz
    needs_condition: bool
    parameters: dict[str, ParameterView]
    weights: WeightsView | None
    environment: EnvironmentState
    requirements: list[str]  # of its environment
    origin: str  # who brought it

    @classmethod
    def of(
        cls, card: Card, reason: str | None, environment: EnvironmentState, *, is_default: bool
    ) -> Self:
        """Return what is shown of a card."""
        shown: dict[str, Any] = card.model_dump(mode="json")
        limits = shown.pop("limits")
        return cls.model_validate(
            {name: value for name, value in shown.items() if name in cls.model_fields}
            | limits
            | {
                "is_usable": reason is None,
                "reason": reason,
                "is_default": is_default,
                "environment": environment,
                "requirements": list(card.environment.requirements) if card.environment else [],
            }
        )
