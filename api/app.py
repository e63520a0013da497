"""The HTTP application: storage only; neither graph, engines nor planners are imported here."""

from collections import Counter

from fastapi import FastAPI

from api.access import GUARDS, Door, Keyring
from api.audit import PREFIX, Audited
from api.document import DocumentedApi
from api.edge import Edge
from api.errors import PROBLEMS, explain_errors
from api.limits import BodyLimit, LoopbackOnly
from api.metrics import RequestFigures, Timed
from api.readiness import Folder
from api.routes import (
    audio,
    audit,
    bundles,
    deleting,
    events,
    health,
    keys,
    metrics,
    revising,
    stories,
    webhooks,
)

DESCRIPTION = """Turns one instruction into a long audio story. `POST /v1/stories`, follow its
events, then read its mix. Every error is a problem (RFC 9457) that says what to do."""


def create_app(edge: Edge) -> FastAPI:
    """Make the application over an open store, which stays its caller's to close."""
    app = DocumentedApi(
        title="AudioStory Studio",
        version="1",
        description=DESCRIPTION,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    keyring = Keyring(edge.store.database, is_public=edge.is_public)
    app.state.edge = edge
    app.state.keyring = keyring
    app.state.streams = Counter()
    app.state.folder = Folder()
    app.state.figures = figures = RequestFigures()
    # The last one added is the first to see a request.
    app.add_middleware(BodyLimit)
    app.add_middleware(Audited, database=edge.store.database)
    app.add_middleware(Door, edge=edge, keyring=keyring)
    app.add_middleware(LoopbackOnly, is_key_needed=keyring.is_needed)
    app.add_middleware(Timed, figures=figures)
    explain_errors(app)
    for routes in (
        stories,
        revising,
        deleting,
        audio,
        bundles,
        events,
        webhooks,
        keys,
        audit,
        metrics,
    ):
        app.include_router(
            routes.router, prefix=PREFIX, responses=PROBLEMS, dependencies=list(GUARDS)
        )
    app.include_router(health.router, prefix=PREFIX, responses=PROBLEMS)
    return app
