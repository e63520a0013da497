"""The API against requests drawn from its own document; see bench/fuzz.py for what is drawn."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CASES = 400


@pytest.mark.long
def test_no_request_drawn_from_the_document_breaks_the_service_or_the_document():
    # In a process of its own: what draws the requests changes Hypothesis for the whole process.
    fuzzing = subprocess.run(
        [sys.executable, "-m", "bench.fuzz", "--cases", str(CASES), "--seed", "20261121"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    told = dict(re.findall(r"^ *(\S[\w ]*?)  +(.+)$", fuzzing.stdout, re.MULTILINE))
    assert fuzzing.returncode == 0, fuzzing.stdout + fuzzing.stderr
    assert int(told["cases"]) >= CASES
    assert min(int(told["positive"]), int(told["negative"])) >= CASES // 4
    answered, routes = map(int, re.findall(r"(\d+) of (\d+)", told["routes"])[0])
    assert answered == routes >= 39
    assert min(int(told["2xx"]), int(told["4xx"])) >= CASES // 8
    assert (told["5xx"], told["schema violations"], told["faults logged"]) == ("0", "0", "0")
