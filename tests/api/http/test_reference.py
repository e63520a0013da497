"""The pages that say what there is: whole by themselves, and open to everybody."""

import re
from html.parser import HTMLParser

from tests.support.servers import assert_problem


class Page(HTMLParser):
    """What a page would load, and what it links to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.names: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in ("script", "link", "img", "iframe", "object"):
            self.loaded.append(tag)
        if tag == "a":
            self.links.append(given["href"])
        if "id" in given:
            self.names.add(given["id"])


async def test_reference_loads_nothing_and_its_links_lead_somewhere(client):
    response = await client.get("/docs")
    page = Page(response.text)

    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    assert page.loaded == []
    assert "url(" not in response.text
    assert {link for link in page.links if not link.startswith("#")} == {"openapi.json"}
    assert {link[1:] for link in page.links if link.startswith("#")} <= page.names


async def test_reference_tells_every_operation_of_the_document(client):
    document = (await client.get("/openapi.json")).json()
    text = (await client.get("/docs")).text

    told = set(re.findall(r"<code>([A-Z]+) (/v1[^<]*)</code>", text))
    assert told == {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    assert all(f'id="{name}"' in text for name in document["components"]["schemas"])


async def test_pages_are_open_where_everything_else_needs_a_key(client, admin):
    for path in ("/", "/docs", "/openapi.json"):
        assert (await client.get(path)).status_code == 200, path
        assert (await client.get(path, headers=admin)).status_code == 200, path
    assert_problem(await client.get("/v1/stories"), 401)
    assert (await client.get("/")).json()["reference"] == "/docs"
