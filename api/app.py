"""The HTTP application: storage only; neither graph, engines nor planners are imported here."""

from collections import Counter

from fastapi import FastAPI

from api.backups import routes as backup_routes
from api.engines import routes as engine_routes
from api.exports import export_routes
from api.exports import routes as audio_routes
from api.http import reference_routes
from api.http.access import GUARDS, Door, Keyring
from api.http.audit import PREFIX, Audited
from api.http.deps import AppState
from api.http.errors import PROBLEMS, explain_errors
from api.http.limits import BodyLimit, LoopbackOnly
from api.http.openapi import OpenApi
from api.keys import routes as key_routes
from api.operations import routes as operation_routes
from api.operations.metrics import RequestFigures, Timed
from api.operations.readiness import Folder
from api.revisions import routes as revision_routes
from api.stories import event_routes
from api.stories import routes as story_routes
from api.webhooks import routes as webhook_routes

DESCRIPTION = """Turns one instruction into a long audio story. `POST /v1/stories`, follow its
events, then read its mix. Every error is a problem (RFC 9457) that says what to do."""


def create_app(state: AppState) -> FastAPI:
    """Make the application over an open store, which stays its caller's to close."""
    app = OpenApi(
        title="AudioStory Studio",
        version="1",
        description=DESCRIPTION,
        docs_url=None,  # the usual pages load scripts of other hosts
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    keyring = Keyring(state.store.database, is_public=state.is_public)
    app.state.state = state
    app.state.keyring = keyring
    app.state.streams = Counter()
    app.state.folder = Folder()
    app.state.figures = figures = RequestFigures()
    # The last one added is the first to see a request.
    app.add_middleware(BodyLimit)
    app.add_middleware(Audited, database=state.store.database)
    app.add_middleware(Door, state=state, keyring=keyring)
    app.add_middleware(LoopbackOnly, is_key_needed=keyring.is_needed)
    app.add_middleware(Timed, figures=figures)
    explain_errors(app)
    for routes in (
        story_routes,
        revision_routes,
        audio_routes,
        export_routes,
        backup_routes,
        event_routes,
        engine_routes,
        webhook_routes,
        key_routes,
        operation_routes,
    ):
        app.include_router(
            routes.router, prefix=PREFIX, responses=PROBLEMS, dependencies=list(GUARDS)
        )
    app.include_router(reference_routes.router)
    app.include_router(operation_routes.health, prefix=PREFIX, responses=PROBLEMS)
    return app
