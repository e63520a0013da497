"""What the measures of a clip mean: each check finds one thing that can be wrong with it.

A check reads a measure that it was not given as nothing found.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from audiostory_core.quality.measures import Measures

FAINT_DBFS = -65.0  # loudest 400 ms; the faintest ambience an engine means to be heard is above
MAX_DC = 0.02  # costs 0.2 dB of headroom, and clicks where a clip is cut


class Severity(StrEnum):
    """How much is wrong."""

    BROKEN = "broken"  # nothing else can be said of the clip
    FAULTY = "faulty"


@dataclass(frozen=True)
class Expectation:
    """What a clip was asked to be."""

    is_silence: bool = False


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a clip."""

    code: str  # stable: what a page filters by
    severity: Severity
    sentence: str


Check = Callable[[Measures, Expectation], Finding | None]


def check_numbers(measures: Measures, expectation: Expectation) -> Finding | None:
    """Find values that are not finite."""
    if measures.finite is not False:
        return None
    return Finding("not_finite", Severity.BROKEN, "it holds values that are not numbers")


def check_length(measures: Measures, expectation: Expectation) -> Finding | None:
    """Find a clip that is longer or shorter than was asked for."""
    if measures.exact_length is not False:
        return None
    return Finding("wrong_length", Severity.BROKEN, "it has the wrong length")


def check_silence(measures: Measures, expectation: Expectation) -> Finding | None:
    """Find silence that nobody asked for."""
    level_db = measures.loudest_db
    if expectation.is_silence or level_db is None or level_db >= FAINT_DBFS:
        return None
    return Finding("silent", Severity.FAULTY, "it is silent where sound is expected")


def check_clipping(measures: Measures, expectation: Expectation) -> Finding | None:
    """Find samples that were cut at full scale, or are beyond it."""
    if (measures.peak or 0.0) <= 1.0 and not measures.clipped_samples:
        return None
    return Finding("clipped", Severity.FAULTY, "it is clipped")


def check_offset(measures: Measures, expectation: Expectation) -> Finding | None:
    """Find a constant offset."""
    if (measures.dc or 0.0) <= MAX_DC:
        return None
    return Finding("offset", Severity.FAULTY, "it has a constant offset")


CHECKS: tuple[Check, ...] = (
    check_numbers,
    check_length,
    check_silence,
    check_clipping,
    check_offset,
)


def examine(measures: Measures, expectation: Expectation) -> tuple[Finding, ...]:
    """Run all checks; a clip that is broken has that one finding alone."""
    findings = [check(measures, expectation) for check in CHECKS]
    wrong = tuple(finding for finding in findings if finding is not None)
    broken = [finding for finding in wrong if finding.severity is Severity.BROKEN]
    return tuple(broken[:1]) or wrong
