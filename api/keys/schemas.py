"""API keys and the audit as CLI and HTTP alike see them."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audiostory_core.errors import bad_input_from
from storage.models import ApiKey, Audit


class KeyScope(StrEnum):
    """What a key allows."""

    READ = "read"  # to look at and listen to its own stories
    WRITE = "write"  # to make stories and change its own
    ADMIN = "admin"  # all of that with every story, and to manage keys


class KeyCreate(BaseModel):
    """A key to create."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=100,
            pattern=r"^[^\x00-\x1f\x7f]+$",
            description="Whose it is, in your own words.",
        ),
    ]
    scopes: Annotated[
        set[KeyScope],
        Field(
            min_length=1,
            description="admin includes the other two; twice is once.",
            json_schema_extra={"uniqueItems": False},
        ),
    ]


class KeyView(BaseModel):
    """A key as it may be shown."""

    id: str
    name: str
    scopes: list[KeyScope]
    created_at: float  # seconds since 1970
    revoked_at: float | None

    @classmethod
    def of(cls, row: ApiKey) -> Self:
        """Return what may be shown of a row."""
        return cls.model_validate(row, from_attributes=True)


class KeyCreated(KeyView):
    """A fresh key; the only time that it is shown."""

    key: str


class AuditView(BaseModel):
    """One request that may have changed something."""

    id: int
    at: float  # seconds since 1970
    key_id: str | None  # None: the command line, or a service without keys
    action: str
    target: str | None
    status: int  # as HTTP says it

    @classmethod
    def of(cls, row: Audit) -> Self:
        """Return a row."""
        return cls.model_validate(row, from_attributes=True)


def parse_key(name: str, scopes: list[str]) -> KeyCreate:
    """Return a request made of values that nobody has checked yet.

    Raises:
        BadInput: naming the first that cannot be used.
    """
    try:
        return KeyCreate.model_validate({"name": name, "scopes": scopes})
    except ValidationError as error:
        remedy = "Scopes are read, write and admin; a name is one line of up to 100 characters."
        raise bad_input_from(error, remedy, {"scopes": "scope"}) from None
