"""What may be known of an engine without running it: its `card.toml`, read and checked.

Drivers, both edges, the documents and every limit read cards; importing this imports no engine.
docs/engines.md says what each field means.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from audiostory_core.errors import BadInput, first_problem
from audiostory_core.stem import SeparateStem
from audiostory_core.story.shape import ShapeName

FILE = "card.toml"
REMEDY = "Correct the card; docs/engines.md says what each field means."
Value = bool | int | float | str  # of a parameter
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
Name = Annotated[str, Field(pattern=rf"^{NAME.pattern}$")]
Text = Annotated[str, Field(min_length=1, max_length=1000)]
Entry = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]  # module:attribute
Number = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,8}$")]  # without region or script


class Part(BaseModel):
    """A table of a card."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Limits(Part):
    """What bounds a clip."""

    longest_clip_s: Seconds  # tail included
    controllable_duration: bool = True
    sample_rate: Annotated[int, Field(ge=8000, le=192_000)] = 44_100  # Hz; results are at 44.1 kHz


class Parameter(Part):
    """What a story may set for its engine."""

    type: Literal["integer", "number", "text", "boolean"]
    default: Value
    help: Text
    minimum: int | Number | None = None
    maximum: int | Number | None = None
    choices: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_default(self) -> Self:
        if self.choices and self.type != "text":
            raise ValueError("choices are for text")
        if (self.minimum, self.maximum) != (None, None) and self.type not in ("integer", "number"):
            raise ValueError("minimum and maximum are for numbers")
        try:
            self._adapter().validate_python(self.default, strict=True)
        except ValidationError as error:
            raise ValueError(f"the default does not fit: {first_problem(error)[2]}") from None
        return self

    def check(self, field: str, value: object) -> Value:
        """Return a value as the engine takes it; a number may come as text.

        Raises:
            BadInput: saying what it should be.
        """
        try:
            checked: Value = self._adapter().validate_python(value)
        except ValidationError as error:
            problem = first_problem(error)[2]
            raise BadInput(field, value, problem, f"Give {self.expected}.") from None
        return checked

    @property
    def expected(self) -> str:
        """What a value should be, such as "an integer from 1 to 1000"."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        kind = {"integer": "an integer", "number": "a number", "text": "text"}.get(
            self.type, "true or false"
        )
        bounds = [
            f"{word} {bound:g}"
            for word, bound in (("from", self.minimum), ("to", self.maximum))
            if bound is not None
        ]
        return " ".join([kind, *bounds])

    def schema_of_value(self) -> dict[str, Any]:
        """Return a JSON Schema of its values."""
        choices = {"enum": list(self.choices)} if self.choices else {}
        return self._adapter().json_schema() | choices | {"default": self.default}

    def _choose(self, value: str) -> str:
        if value not in self.choices:
            raise ValueError("is none of the choices")
        return value

    def _adapter(self) -> TypeAdapter[Any]:
        if self.choices:
            return TypeAdapter(Annotated[str, AfterValidator(self._choose)])
        if self.type in ("integer", "number"):
            bounds = Field(ge=self.minimum, le=self.maximum, allow_inf_nan=None)
            if self.type == "integer":
                return TypeAdapter(Annotated[int, bounds])
            return TypeAdapter(Annotated[Number, bounds])
        if self.type == "boolean":
            return TypeAdapter(bool)
        return TypeAdapter(Annotated[str, Field(max_length=1000)])


class Weights(Part):
    """What an engine has learned, and what its license allows."""

    source: Text  # where they are published
    license: Text
    commercial_use: bool
    size_gb: Seconds | None = None


class Environment(Part):
    """The interpreter of an engine that runs in a host."""

    requirements: tuple[str, ...] = ()  # pinned; none: the standard library is enough
    python: Annotated[str, Field(pattern=r"^3\.(9|\d\d)$")] | None = None  # None: the studio's own
    patience_s: Seconds = 300.0  # without progress, until a host is killed
    start_s: Seconds = 600.0  # until it has loaded its engine

    @model_validator(mode="after")
    def _check_pins(self) -> Self:
        for requirement in self.requirements:
            if "==" not in requirement and " @ " not in requirement:
                raise ValueError(f"{requirement!r} is not pinned; write name==version")
        return self


class CardFile(Part):
    """What a `card.toml` says."""

    name: Name
    title: Text
    description: Text
    entry: Entry  # the engine's class
    stems: Annotated[tuple[SeparateStem, ...], Field(min_length=1)]
    composite: bool = False  # a clip may hold several stems at once
    continuous: tuple[SeparateStem, ...] = ()  # sound in every scene, also where no layer asks
    shapes: tuple[ShapeName, ...] = ()  # of layers, that it honors by itself
    shapes_in_words: tuple[ShapeName, ...] = ()  # that it reads, and keeps to as it was taught
    languages: tuple[Language, ...] = ()  # of stories; empty: any
    needs_condition: bool = False
    one_core: bool = False  # a clip is made on one core, so that one process a core pays
    revision: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    modules: tuple[str, ...] = ()  # that it imports in process, beyond the studio's own
    extra: Name | None = None  # of the studio's package, that installs them
    limits: Limits
    parameters: Mapping[Name, Parameter] = {}
    weights: Weights | None = None
    environment: Environment | None = None  # None: it runs in process
    helpers: Mapping[str, Entry] = {}  # functions that say why a part of it cannot be used

    @property
    def defaults(self) -> dict[str, Value]:
        """Its parameters, as they are where a story sets none."""
        return {
            name: parameter.check(name, parameter.default)
            for name, parameter in self.parameters.items()
        }

    @field_validator("continuous")
    @classmethod
    def _check_continuous(
        cls, stems: tuple[SeparateStem, ...], info: ValidationInfo
    ) -> tuple[SeparateStem, ...]:
        for stem in stems:
            if stem not in info.data.get("stems", stems):
                raise ValueError(f"{stem!r} is not among the stems")
        return stems

    @field_validator("shapes_in_words")
    @classmethod
    def _check_words(
        cls, names: tuple[ShapeName, ...], info: ValidationInfo
    ) -> tuple[ShapeName, ...]:
        for name in names:
            if name in info.data.get("shapes", ()):
                raise ValueError(f"{name!r} is among the shapes, too")
        return names

    @model_validator(mode="after")
    def _check_host(self) -> Self:
        if self.environment is not None and self.revision is None:
            raise ValueError("an engine with an environment needs a revision")
        return self


class Card(CardFile):
    """A card, and where it lies."""

    folder: Path
    origin: str  # who brought it, such as "the package toy 1.0"
    is_shipped: bool = False

    @property
    def written(self) -> CardFile:
        """What its file says, wherever that lies."""
        return CardFile(**{name: getattr(self, name) for name in CardFile.model_fields})

    @property
    def where(self) -> str:
        """Its file and who brought it."""
        return f"{self.folder / FILE} ({self.origin})"

    def check_parameters(self, values: Mapping[str, object]) -> dict[str, Value]:
        """Return parameters as the engine takes them, by name.

        Raises:
            BadInput: naming the first that it does not have, or whose value does not fit.
        """
        for name, value in values.items():
            if name not in self.parameters:
                problem = f"means nothing to the engine {self.name}"
                raise BadInput(name, value, problem, "Leave it out.")
        return {name: self.parameters[name].check(name, values[name]) for name in sorted(values)}


def check_language(language: str | None, engine: str, languages: tuple[str, ...]) -> None:
    """Refuse a language that an engine does not have, whatever its region or script.

    Args:
        language: of a story; None: not known yet; und: no telling.
        engine: its name.
        languages: that it has; empty: any.

    Raises:
        BadInput: listing them.
    """
    primary = (language or "und").lower().partition("-")[0]
    if languages and primary not in ("und", *languages):
        raise BadInput(
            "language",
            language,
            f"is no language of the engine {engine}",
            f"Use one of: {', '.join(languages)}; or another engine.",
        )


def read_card(folder: Path, origin: str, *, is_shipped: bool = False) -> Card:
    """Read the card in a folder.

    Raises:
        BadInput: naming the file, and the field that does not fit.
    """
    path = folder / FILE
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput("card", str(path), f"cannot be read ({error})", REMEDY) from error
    except tomllib.TOMLDecodeError as error:
        raise BadInput("card", str(path), f"is not TOML ({error})", REMEDY) from error
    try:  # as JSON: an array may be a tuple, and nothing else is converted
        written = CardFile.model_validate_json(json.dumps(document, default=str))
    except ValidationError as error:
        where, value, problem = _explain(error)
        raise BadInput(f"{path}: {where}", value, problem, REMEDY) from error
    return Card(**dict(written), folder=folder, origin=origin, is_shipped=is_shipped)


def name_in(folder: Path) -> str | None:
    """Return the name that a card gives its engine, as far as it can be read at all."""
    try:
        name = tomllib.loads((folder / FILE).read_text("utf-8")).get("name")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return None
    return name if isinstance(name, str) and NAME.fullmatch(name) else None


def _explain(error: ValidationError) -> tuple[str, object, str]:
    where, value, problem = first_problem(error)
    kind = error.errors(include_url=False)[0]["type"]
    if kind == "missing":
        return where, None, "is missing"
    if kind == "extra_forbidden":
        return where, value, "is no field of a card"
    return where or "the card", value, problem
