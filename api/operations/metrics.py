"""Figures for Prometheus: of the store by SQL when they are asked for, of requests by counting.

Workers have no figures of their own here: what they do is in SQL, whichever host they run on.
Gauges all but the requests: what the sweep removes is not counted any more.
"""

import time
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.audit import PREFIX
from audiostory_core.story.plan import seconds_of
from storage.stats import Stats

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class RequestFigures:
    """How long requests of this process took until their response began."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "audiostory_http_request_seconds",
            "Time until the response began, by route template.",
            ("method", "route", "status"),
            buckets=BUCKETS_S,
            registry=self.registry,
        )

    def observe(self, scope: Scope, status: int, took_s: float) -> None:
        """Count a request; no label holds what its sender made up."""
        route = scope.get("route")
        path = "(none)" if route is None else str(route.path)
        is_ours = scope["path"].startswith(f"{PREFIX}/") and not path.startswith(f"{PREFIX}/")
        template = f"{PREFIX}{path}" if route is not None and is_ours else path
        method = scope["method"] if scope["method"] in METHODS else "(odd)"
        self._seconds.labels(method, template, str(status)).observe(took_s)


class Timed:
    """Measures requests."""

    def __init__(self, app: ASGIApp, figures: RequestFigures) -> None:
        self.app = app
        self._figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and note when its response begins."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()

        async def send_timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._figures.observe(scope, message["status"], time.perf_counter() - began)
            await send(message)

        await self.app(scope, receive, send_timed)


class StoreFigures(Collector):
    """The store's tallies as Prometheus has them.

    Args:
        tallies: as they were just read.
        workers: that are alive.
        is_sending: whether webhooks are sent what falls due.
    """

    def __init__(self, tallies: Stats, workers: int, *, is_sending: bool) -> None:
        self._tallies = tallies
        self._workers = workers
        self._is_sending = is_sending

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        now = self._tallies
        yield _family(
            "runs",
            "Runs by state.",
            ("state",),
            (((state,), count) for state, count in now.runs.items()),
        )
        yield _family("clips", "Clips that are kept.", ("engine", "state"), now.clips.items())
        yield _family(
            "clip_audio_seconds",
            "Sound of the finished clips that are kept, in seconds.",
            ("engine",),
            (((engine,), seconds_of(samples)) for engine, samples in now.samples.items()),
        )
        yield _family(
            "clip_failed_attempts",
            "Attempts at clips that are kept that made nothing.",
            ("engine",),
            (((engine,), count) for engine, count in now.failed_attempts.items()),
        )
        for name, help_text, value in (
            ("oldest_queued_clip_seconds", "How long the first clip waits.", now.oldest_clip_s),
            ("oldest_queued_run_seconds", "How long the first run waits.", now.oldest_run_s),
            ("webhook_deliveries_due", "Events not delivered yet.", now.deliveries_due),
            (
                "webhook_sender_running",
                "1 while webhooks are sent what is due.",
                float(self._is_sending),
            ),
            ("workers_alive", "Workers that are alive, as seen from here.", self._workers),
        ):
            yield GaugeMetricFamily(f"audiostory_{name}", help_text, value=value)


def render(requests: RequestFigures, store: StoreFigures) -> bytes:
    """Return all figures in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(store)
    return generate_latest(registry) + generate_latest(requests.registry)


def _family(
    name: str,
    help_text: str,
    labels: tuple[str, ...],
    values: Iterable[tuple[tuple[str, ...], float]],
) -> Metric:
    family = GaugeMetricFamily(f"audiostory_{name}", help_text, labels=labels)
    for key, value in sorted(values):
        family.add_metric(key, value)
    return family
