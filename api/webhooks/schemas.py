"""Webhooks as they are requested and shown, for CLI and HTTP alike."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.webhooks.addresses import LONGEST_URL
from audiostory_core.errors import bad_input_from
from storage.event_kinds import EventKind
from storage.models import Delivery, DeliveryState, Webhook


class WebhookCreate(BaseModel):
    """A webhook to create."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[
        str,
        Field(min_length=1, max_length=LONGEST_URL, description="https, and on the Internet."),
    ]
    story_id: Annotated[
        str | None,
        Field(max_length=40, description="Only this story's events (default: all your stories)."),
    ] = None
    kinds: Annotated[
        list[EventKind],
        Field(max_length=50, description="Such as clip.finished (default: every kind)."),
    ] = []


class WebhookView(BaseModel):
    """A webhook as it may be shown."""

    id: str
    url: str
    story_id: str | None  # None: all stories of its owner
    kinds: list[str]  # empty: all
    created_at: float  # seconds since 1970
    disabled_at: float | None  # after too many failures, or when its address was gone

    @classmethod
    def of(cls, row: Webhook) -> Self:
        """Return what may be shown of a row."""
        return cls.model_validate(row, from_attributes=True)


class WebhookCreated(WebhookView):
    """A fresh webhook; the only time that its secret is shown."""

    secret: str


class DeliveryView(BaseModel):
    """An event on its way to a webhook."""

    id: int
    kind: str
    story_id: str | None  # None: a test
    event_number: int
    state: str  # due, delivered or given up
    attempt: int  # how many were made
    next_at: float | None  # seconds since 1970; None: there will be no other attempt
    status: int | None  # of the last answer
    error: str | None
    delivered_at: float | None

    @classmethod
    def of(cls, row: Delivery, kind: str) -> Self:
        """Return what may be shown of a row."""
        return cls(
            id=row.id,
            kind=kind,
            story_id=row.story_id or None,
            event_number=row.event_number,
            state=row.state,
            attempt=row.attempt,
            next_at=row.next_at if row.state == DeliveryState.DUE else None,
            status=row.status,
            error=row.error,
            delivered_at=row.delivered_at,
        )


def parse_webhook(url: str, story_id: str | None, kinds: list[str]) -> WebhookCreate:
    """Return a request made of values that nobody has checked yet.

    Raises:
        BadInput: naming the first that cannot be used.
    """
    try:
        return WebhookCreate(url=url, story_id=story_id, kinds=kinds)
    except ValidationError as error:
        remedy = "See `audiostory webhooks add --help`; a URL is such as https://host/path."
        names = {"story_id": "story", "kinds": "kind"}
        raise bad_input_from(error, remedy, names) from None
