"""What is taken of scipy.signal is the same as all of it has."""

import subprocess
import sys

import pytest

ALONE = """
import sys
from audiostory_core.audio import filters
assert not {"scipy.signal", "scipy.stats"} & sys.modules.keys()
"""
SAME = """
assert all(getattr(filters, name) is getattr(signal, name) for name in filters.__all__)
assert signal.windows.hann(3).tolist() == [0, 1, 0]
"""
WHOLE = "from scipy import signal\n"
ELSEWHERE = """
import importlib.util, sys
class Hidden:
    def find_spec(self, name, path, target=None):
        if name == "scipy.signal._filter_design" and not hasattr(sys.modules["scipy.signal"], "__file__"):
            raise ImportError(name)
sys.meta_path.insert(0, Hidden())
from audiostory_core.audio import filters
"""


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(ALONE + WHOLE + SAME, id="before the whole"),
        pytest.param(WHOLE + "from audiostory_core.audio import filters" + SAME, id="after it"),
        pytest.param(ELSEWHERE + WHOLE + SAME, id="arranged in another way"),
    ],
)
def test_filters_are_those_of_scipy_signal(program: str) -> None:
    """Filters are imported without the package's other parts, and are its own all the same."""
    subprocess.run([sys.executable, "-c", program], check=True)
