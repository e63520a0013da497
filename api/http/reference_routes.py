"""What there is: the reference of the API, for everybody, and where it is."""

from functools import cache

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from api.http.reference import render

router = APIRouter(include_in_schema=False)
REFERENCE = "/docs"
DOCUMENT = "/openapi.json"
# Whatever a description holds, the page runs and loads nothing.
HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


class Landing(BaseModel):
    """Where to go from here."""

    title: str
    version: str
    reference: str = REFERENCE
    document: str = DOCUMENT
    stories: str = "/v1/stories"


@router.get("/")
async def get_landing(request: Request) -> Landing:
    """Name this service, and where its reference is."""
    app: FastAPI = request.app
    return Landing(title=app.title, version=app.version)


@router.get(REFERENCE)
async def get_reference(request: Request) -> HTMLResponse:
    """Return the reference for people."""
    return HTMLResponse(_page(request.app), headers=HEADERS)


@cache
def _page(app: FastAPI) -> str:
    return render(app.openapi())
