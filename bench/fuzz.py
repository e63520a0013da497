"""The HTTP API, sent what its own document describes and what it forbids.

    python -m bench.fuzz --cases 5000
    python -m bench.fuzz --cases 5000 --database postgres

Schemathesis draws the requests: by rote at the bounds of every schema, and at random. They go over
a socket to the real application; a worker of small parts (tests/support/fakes.py) works behind it on
stories in every state, and ids in requests are mostly ids that are there. Ends with 1 if an answer
was a 5xx or not what the document says, or if anything was logged as a fault.
"""

import argparse
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis import APIOperation, Case, GenerationMode, Response, checks
from schemathesis.core.failures import FailureGroup
from schemathesis.core.parameters import ParameterLocation

from bench.chaos import server_url
from tests.support.author import tone_in_catalog
from tests.support.busy_store import ADDRESS, StockedService, stocked_service

CHECKS = [
    getattr(checks, name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
        "unsupported_method",
    )
]
STOCK_EVERY = 250  # cases; stories are cancelled and deleted by the way
TIMEOUT_S = (10.0, 60.0)  # to connect, to read
STREAM_TIMEOUT_S = (10.0, 0.5)  # a stream of events does not end by itself
ROTE_BODIES_FROM = 1000  # cases; it takes a while to find the bounds of the larger ones
AT_ONCE = 20  # cases of a route before it is the next one's turn
SHOWN = 30
PROGRESS_EVERY = 1000  # cases
REFUSALS = [*range(400, 429), "5xx"]  # 413 too, which is none by default; 5xx counts elsewhere
LONGEST_SHOWN = 4000  # characters of what is wrong


@dataclass
class Figures:
    """What came of it."""

    cases: Counter[str] = field(default_factory=Counter)  # by what was meant: valid or not
    statuses: Counter[int] = field(default_factory=Counter)
    answered: dict[str, Counter[int]] = field(default_factory=dict)  # by route
    wrong: dict[tuple[str, str], str] = field(default_factory=dict)  # a violation of each sort

    @property
    def total(self) -> int:
        """How many requests were answered."""
        return sum(self.statuses.values())

    @property
    def server_errors(self) -> int:
        """How many of the answers were 5xx."""
        return sum(n for status, n in self.statuses.items() if status >= 500)

    def show_progress(self) -> None:
        """Print where it stands on standard error."""
        print(
            f"{self.total} cases, {self.server_errors} 5xx, {len(self.wrong)} schema violations",
            file=sys.stderr,
            flush=True,
        )

    def report(self, routes: int, faults: list[str]) -> None:
        """Print the sums, then what was wrong."""
        classes = Counter(f"{status // 100}xx" for status in self.statuses.elements())
        met = sum(any(status < 400 for status in told) for told in self.answered.values())
        print(f"cases              {self.total}")
        for name, number in sorted(self.cases.items()):
            print(f"  {name:<17}{number}")
        print(f"routes             {len(self.answered)} of {routes}, {met} of them with success")
        for name in ("2xx", "4xx", "5xx"):
            print(f"{name:<19}{classes[name]}")
        print(f"each status        {dict(sorted(self.statuses.items()))}")
        print(f"schema violations  {len(self.wrong)}")
        print(f"faults logged      {len(faults)}")
        for (route, sort), told in list(self.wrong.items())[:SHOWN]:
            print(f"\n--- {route}: {sort}\n{told[:LONGEST_SHOWN]}")
        for told in faults[:SHOWN]:
            print(f"\n--- {told}")


class Fuzzer:
    """Sends cases to a service.

    Args:
        service: stocked.
        seed: of all that is drawn.
    """

    def __init__(self, service: StockedService, seed: int) -> None:
        self._service = service
        self._seed = seed
        self._random = random.Random(seed)
        self._session = requests.Session()
        document = self._session.get(
            f"{service.url}/openapi.json", headers=service.admin, timeout=TIMEOUT_S
        ).json()
        config = schemathesis.Config.from_dict(
            {
                "seed": seed,
                "max-stream-events": 1,
                "generation": {"with-security-parameters": False},
                "checks": {"negative_data_rejection": {"expected-statuses": REFUSALS}},
            }
        )
        schema = schemathesis.openapi.from_dict(document, config=config)
        self.operations = [found.ok() for found in schema.get_all_operations()]
        self.figures = Figures()
        self._most = 0  # of all that will have been sent

    def run(self, cases: int) -> None:
        """Send so many: those by rote up to half of them, then those at random."""
        self._most = cases // 2
        rote = [
            self._by_rote(operation)
            for operation in self.operations
            if cases >= ROTE_BODIES_FROM or not operation.body
        ]
        at_once = min(AT_ONCE, 1 + self._most // (2 * len(rote)))
        while rote and self.is_wanting:
            rote = [left for left in rote if self._send_some(left, at_once)]
        self._most = cases
        number = 0
        while self.is_wanting:
            for operation in self.operations:
                if number == 0 or any(operation.iter_parameters()) or operation.body:
                    self._send_at_random(operation, number, at_once)
            number += 1

    @property
    def is_wanting(self) -> bool:
        """Whether there is more to send."""
        return self.figures.total < self._most

    def _by_rote(self, operation: APIOperation) -> Iterator[Case]:
        generation = operation.schema.config.generation_for(operation=operation, phase="coverage")
        return operation.schema.iter_coverage_cases(
            operation, generation_modes=list(GenerationMode), generation_config=generation
        )

    def _send_some(self, cases: Iterator[Case], at_once: int) -> bool:
        for _ in range(at_once):
            case = next(cases, None) if self.is_wanting else None
            if case is None:
                return False
            self.send(case)
        return True

    def _send_at_random(self, operation: APIOperation, number: int, at_once: int) -> None:
        # A stream that nobody writes to is listened to in vain for a while.
        most = 2 if operation.path.endswith("/events") else at_once
        for mode in GenerationMode:

            @hypothesis.seed(self._seed + number)
            @hypothesis.settings(
                max_examples=most,
                phases=[Phase.generate],
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            )
            @hypothesis.given(operation.as_strategy(generation_mode=mode))
            def send(case: Case) -> None:
                self.send(case)

            try:
                if self.is_wanting:
                    send()
            except hypothesis.errors.Unsatisfiable:  # there is nothing to get wrong
                continue

    def send(self, case: Case) -> None:
        """Send a case and check the answer."""
        if self.figures.total % STOCK_EVERY == STOCK_EVERY - 1:
            self._service.add_stories()
        self._aim(case)
        is_stream = case.operation.path.endswith("/events")
        told: dict[str, Any] = {
            "base_url": self._service.url,
            "session": self._session,
            "headers": self._who(),
        }
        try:
            response = case.call(**told, timeout=STREAM_TIMEOUT_S if is_stream else TIMEOUT_S)
        except requests.ReadTimeout:  # it did not even begin, on a loaded machine
            response = case.call(**told, timeout=TIMEOUT_S)
        self._note(case, response)
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as group:
            for failure in group.exceptions:
                sort = (case.operation.label, type(failure).__name__)
                self.figures.wrong.setdefault(sort, str(group))

    def _note(self, case: Case, response: Response) -> None:
        meant = "unknown" if case.meta is None else str(case.meta.generation.mode)
        status = response.status_code
        self.figures.cases[meant] += 1
        self.figures.statuses[status] += 1
        self.figures.answered.setdefault(case.operation.label, Counter())[status] += 1
        if self.figures.total % PROGRESS_EVERY == 0:
            self.figures.show_progress()
        if status == 201 or (status == 202 and case.path == "/v1/stories"):
            self._remember(response)

    def _remember(self, response: Response) -> None:
        stock = self._service.stock
        made = response.json()
        place = {"url": stock.webhooks, "scopes": stock.keys, "status": stock.stories}
        next(ids for name, ids in place.items() if name in made).append(made["id"])

    def _aim(self, case: Case) -> None:
        """Have most cases hit something that is there."""
        drawn, stock = self._random, self._service.stock
        there: dict[str, list[Any]] = {
            "story_id": stock.stories[-40:],
            "webhook_id": stock.webhooks,
            "key_id": stock.keys,
            "index": [1, 1, 2, 3],
            "take": [1, 1, 2, 3],
            "named": ["1", "1", "2", "first"],
        }
        assert case.meta is not None
        told = {part: info.mode for part, info in case.meta.components.items()}
        for name in case.path_parameters:
            is_meant = told.get(ParameterLocation.PATH, GenerationMode.POSITIVE).is_negative
            if name in there and not is_meant and drawn.random() < 0.8:
                case.path_parameters[name] = drawn.choice(there[name])
        if not isinstance(case.body, dict) or case.meta.generation.mode.is_negative:
            return
        if drawn.random() < 0.7:
            case.body.pop("base", None)
        if case.path == "/v1/webhooks" and drawn.random() < 0.5:
            case.body |= {"url": ADDRESS, "story_id": None}

    def _who(self) -> dict[str, str]:
        chance, service = self._random.random(), self._service
        if chance < 0.88:
            return service.admin
        if chance < 0.92:
            return service.author
        if chance < 0.96:
            return service.stranger
        return {} if chance < 0.98 else {"X-API-Key": "as_mistyped"}


def fuzz(cases: int, seed: int, folder: Path, database_url: str | None) -> bool:
    """Send cases, print figures; return whether nothing was wrong."""
    began = time.monotonic()
    with stocked_service(folder / "home", database_url) as service:
        fuzzer = Fuzzer(service, seed)
        fuzzer.run(cases)
    figures, faults = fuzzer.figures, service.faults.told
    figures.report(len(fuzzer.operations), faults)
    print(f"streams left       {service.faults.left}, logged by FastAPI as faults")
    print(f"seconds            {time.monotonic() - began:.0f}")
    return not (figures.wrong or figures.server_errors or faults)


def main() -> int:
    """Fuzz a service on a fresh database."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    given = parser.parse_args()
    # What a case is aimed at is drawn apart from it, on purpose.
    warnings.simplefilter("ignore", hypothesis.errors.HypothesisDeprecationWarning)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(tone_in_catalog())
        is_postgres = given.database == "postgres"
        url = stack.enter_context(server_url()) if is_postgres else None
        return 0 if fuzz(given.cases, given.seed, folder, url) else 1


if __name__ == "__main__":
    sys.exit(main())
