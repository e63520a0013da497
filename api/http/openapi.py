"""The document of the API, with the problems that each operation can answer."""

from typing import Any

from fastapi import FastAPI

from api.http.errors import problem_response

METHODS = {"get", "put", "post", "delete", "patch"}
UNKNOWN = {"WWW-Authenticate": "How to say who you are"}
LATER = {"Retry-After": "Seconds to wait"}


class OpenApi(FastAPI):
    """An application whose document names each status a client has to reckon with."""

    def openapi(self) -> dict[str, Any]:
        """Return the document."""
        if self.openapi_schema is None:
            for methods in super().openapi()["paths"].values():
                for method, operation in methods.items():
                    if method in METHODS:
                        operation["responses"] |= _refusals(operation)
        assert self.openapi_schema is not None
        return self.openapi_schema


def _refusals(operation: dict[str, Any]) -> dict[str, Any]:
    """Return the problems that an operation has by its nature, beside its route's own."""
    parameters = operation.get("parameters", [])
    refusals = {"429": problem_response("Too many requests, or too many streams", LATER)}
    if "security" in operation:
        refusals["401"] = problem_response("No valid key was sent", UNKNOWN)
        refusals["403"] = problem_response("The key does not allow it")
    if any(parameter["in"] == "path" for parameter in parameters):
        refusals["404"] = problem_response("It does not exist, or belongs to another key")
    if "requestBody" in operation:
        refusals["413"] = problem_response("The body is too large")
    if parameters or "requestBody" in operation:
        refusals["422"] = problem_response("A value cannot be used; the problem names its field")
    return refusals
