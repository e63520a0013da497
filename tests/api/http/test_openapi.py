"""The document of the API, and requests drawn from it."""

import asyncio
import json
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.app import create_app
from api.http.deps import AppState
from api.settings import Settings
from api.store import open_store

TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def _drawn_from(schema, components):
    """Values that a JSON schema describes, near enough, and now and then something else."""
    return st.integers(0, 9).flatmap(
        lambda n: ANYTHING if n == 0 else _described(schema, components)
    )


def _described(schema, components):
    if "$ref" in schema:
        return _described(components[schema["$ref"].rsplit("/", 1)[1]], components)
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return st.one_of(*(_described(choice, components) for choice in schema[union]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    return _OF_TYPE[schema["type"]](schema, components)


def _object(schema, components):
    if "properties" not in schema:  # a table of whatever keys
        (values,) = schema.get(
            "patternProperties", {"": schema.get("additionalProperties")}
        ).values()
        return st.dictionaries(TEXT, _drawn_from(values, components), max_size=3)
    fields = {name: _drawn_from(field, components) for name, field in schema["properties"].items()}
    required = {name: fields.pop(name) for name in schema.get("required", [])}
    return st.fixed_dictionaries(required, optional=fields)


_OF_TYPE = {
    "object": _object,
    "array": lambda schema, components: st.lists(
        _drawn_from(schema["items"], components), min_size=schema.get("minItems", 0), max_size=3
    ),
    "string": lambda schema, components: TEXT,
    "integer": lambda schema, components: st.integers(-2, 2**64),
    "number": lambda schema, components: st.floats(0.4, 20) | st.floats(),
    "boolean": lambda schema, components: st.booleans(),
    "null": lambda schema, components: st.none(),
}


@pytest.fixture
def send(tmp_path):
    """Sends a request to the application; anything it did not foresee is raised."""
    loop = asyncio.new_event_loop()
    configured = Settings(
        home=tmp_path / "home", rate_per_minute=100_000, starts_per_minute=100_000
    )
    store = loop.run_until_complete(open_store(configured))
    transport = httpx.ASGITransport(create_app(AppState(store, configured, lambda: 1)))
    client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")

    def send(method, url, **options):
        return loop.run_until_complete(client.request(method, url, **options))

    yield send
    loop.run_until_complete(client.aclose())
    loop.run_until_complete(store.database.close())
    loop.close()


@pytest.fixture
def document(send):
    return send("GET", "/openapi.json").json()


def _assert_served(response):
    assert response.status_code < 500
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        problem = response.json()
        assert problem["status"] == response.status_code
        assert problem["detail"]
        if response.status_code == 422:
            assert problem["field"]
            assert problem["remedy"]


def test_no_body_drawn_from_the_document_breaks_the_service(send, document):
    post = document["paths"]["/v1/stories"]["post"]
    schema = post["requestBody"]["content"]["application/json"]["schema"]
    seen = set()

    @settings(max_examples=500)
    @given(_drawn_from(schema, document["components"]["schemas"]), st.none() | TEXT)
    def check(body, key):
        headers = {"content-type": "application/json"}
        if key is not None:
            headers["idempotency-key"] = quote(key, errors="replace")
        response = send("POST", "/v1/stories", content=json.dumps(body), headers=headers)
        _assert_served(response)
        seen.add(response.status_code)

    check()
    assert {202, 422} <= seen


def test_no_query_or_path_drawn_from_the_document_breaks_the_service(send, document):
    paths = [path for path, methods in document["paths"].items() if "get" in methods]
    story = send("POST", "/v1/stories", json={"instruction": "Rain"}).json()["id"]
    seen = set()

    @settings(max_examples=250)
    @given(st.sampled_from(paths), st.data())
    def check(path, data):
        url = path
        for parameter in document["paths"][path]["get"].get("parameters", []):
            name, schema = parameter["name"], parameter["schema"]
            drawn = _described(schema, document["components"]["schemas"])
            value = str(data.draw(TEXT | drawn, label=name))
            if parameter["in"] == "path":
                is_known = (
                    name == "story_id" and not path.endswith("/events") and data.draw(st.booleans())
                )
                url = url.replace(f"{{{name}}}", story if is_known else _escaped(value) or "x")
            elif parameter["in"] == "query":
                url += f"{'&' if '?' in url else '?'}{name}={_escaped(value)}"
        response = send("GET", url)
        _assert_served(response)
        seen.add(response.status_code)

    check()
    assert {200, 404, 422} <= seen


def test_document_tells_the_types_of_audio_and_of_problems(document):
    audio = {"audio/wav", "audio/flac"}
    for path, methods in document["paths"].items():
        for operation in methods.values():
            responses = operation["responses"]
            assert set(responses["4XX"]["content"]) == {"application/problem+json"}
            assert operation["summary"]
            assert operation["description"]
            if "mix" in path or "clips" in path:
                assert set(responses["200"]["content"]) == audio
                assert set(responses["206"]["content"]) == audio
            if path.endswith("/events"):
                assert set(responses["200"]["content"]) == {"text/event-stream"}


def _escaped(value):
    return quote(value, safe="", errors="replace")
