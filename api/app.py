"""The HTTP application: storage only; neither graph, engines nor planners are imported here."""

from fastapi import FastAPI

from api.edge import Edge
from api.errors import PROBLEMS, explain_errors
from api.limits import BodyLimit, LoopbackOnly
from api.routes import audio, events, health, stories

DESCRIPTION = """Turns one instruction into a long audio story. `POST /v1/stories`, follow its
events, then read its mix. Every error is a problem (RFC 9457) that says what to do."""


def create_app(edge: Edge) -> FastAPI:
    """Make the application over an open store, which stays its caller's to close."""
    app = FastAPI(
        title="AudioStory Studio",
        version="1",
        description=DESCRIPTION,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.edge = edge
    app.add_middleware(BodyLimit)
    app.add_middleware(LoopbackOnly)
    explain_errors(app)
    for routes in (stories, audio, events, health):
        app.include_router(routes.router, prefix="/v1", responses=PROBLEMS)
    return app
