"""The reference of the API as one page, from its document alone: no script, nothing from elsewhere."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
code,pre{font:14px/1.4 ui-monospace,monospace}h3 code{font-size:16px}
table{border-collapse:collapse;margin:.5rem 0}td,th{border:1px solid #ccc;padding:.2rem .6rem;
text-align:left;vertical-align:top}h2{border-bottom:2px solid #888;margin-top:2.5rem}
@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}a{color:#8cf}}"""
Json = dict[str, Any]


def render(document: Json) -> str:
    """Return an OpenAPI document as HTML."""
    info = document["info"]
    title = f"{info['title']}, version {info['version']}"
    body = "\n".join([*_operations(document), *_schemas(document)])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f"<p>{_prose(info['description'])}</p>"
        '<p>For programs: <a href="openapi.json">openapi.json</a>. Where there are keys, send one '
        "as <code>Authorization: Bearer as_…</code>.</p>"
        f"{body}</body></html>"
    )


def _operations(document: Json) -> Iterator[str]:
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            shown = _operation(method.upper(), path, operation)
            by_tag.setdefault(operation.get("tags", ["other"])[0], []).append(shown)
    for tag, shown_operations in by_tag.items():
        yield f"<h2>{escape(tag.capitalize())}</h2>"
        yield from shown_operations


def _operation(method: str, path: str, operation: Json) -> str:
    parts = [
        f"<h3><code>{method} {escape(path)}</code> {escape(operation.get('summary', ''))}</h3>",
        f"<p>{_prose(operation.get('description', ''))}</p>",
    ]
    rows = [
        (
            f"<code>{escape(parameter['name'])}</code>",
            escape(parameter["in"]),
            _type(parameter["schema"]),
            _prose(parameter.get("description", "")),
        )
        for parameter in operation.get("parameters", [])
    ]
    if rows:
        parts.append(_table(("Parameter", "In", "Type", ""), rows))
    for content in operation.get("requestBody", {}).get("content", {}).values():
        parts.append(f"<p>Body: {_type(content.get('schema', {}))}</p>")
    responses = [
        (escape(status), _answers(response), _prose(response.get("description", "")))
        for status, response in sorted(operation["responses"].items())
    ]
    parts.append(_table(("Status", "Body", ""), responses))
    return "\n".join(parts)


def _answers(response: Json) -> str:
    return "<br>".join(
        f"<code>{escape(media_type)}</code> {_type(content.get('schema', {}))}"
        for media_type, content in response.get("content", {}).items()
    )


def _schemas(document: Json) -> Iterator[str]:
    yield "<h2>Bodies</h2>"
    for name, schema in sorted(document.get("components", {}).get("schemas", {}).items()):
        yield f'<h3 id="{escape(name)}"><code>{escape(name)}</code></h3>'
        yield f"<p>{_prose(schema.get('description', ''))}</p>"
        required = schema.get("required", [])
        rows = [
            (
                f"<code>{escape(field)}</code>{' (required)' if field in required else ''}",
                _type(inner),
                _prose(inner.get("description", "")),
            )
            for field, inner in schema.get("properties", {}).items()
        ]
        yield _table(("Field", "Type", ""), rows) if rows else f"<p>{_type(schema)}</p>"


def _type(schema: Json) -> str:
    """Return what a value may be: a link to its model, or the type and its bounds."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return " or ".join(_type(inner) for inner in schema[key])
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return " or ".join(f"<code>{escape(str(value))}</code>" for value in values)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    bounds = [
        f"{sign} {schema[key]:g}"
        for key, sign in (("minimum", "≥"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in schema
    ]
    if "maxLength" in schema:
        bounds.append(f"at most {schema['maxLength']:,} characters")
    return ", ".join([escape(str(schema.get("type", "anything"))), *bounds])


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [f"<th>{cell}</th>" for cell in head], *([f"<td>{c}</td>" for c in row] for row in rows)
    return f"<table>{''.join(f'<tr>{chr(10).join(line)}</tr>' for line in lines)}</table>"


def _prose(text: str) -> str:
    """Return text as HTML: paragraphs, and code between backticks."""
    pieces = escape(text).split("`")
    shown = [f"<code>{piece}</code>" if n % 2 else piece for n, piece in enumerate(pieces)]
    return "".join(shown).replace("\n\n", "</p><p>")
