"""The filters of scipy.signal, without the rest of that package.

Importing all of it takes 0.6 s, half of that for statistics, splines and spectra that no sound needs.
So the modules that hold the filters are imported beneath an empty package. Whoever imports
scipy.signal itself, before or after, gets the whole of it, and the same functions.
"""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import scipy

PACKAGE = "scipy.signal"
MODULES = (f"{PACKAGE}._filter_design", f"{PACKAGE}._signaltools")
__all__ = ["butter", "freqz_sos", "iirpeak", "lfilter", "oaconvolve", "sosfilt", "zpk2sos"]


def _import_filters() -> Mapping[str, Any]:
    if PACKAGE not in sys.modules:
        package = ModuleType(PACKAGE)
        package.__path__ = [str(Path(scipy.__file__).parent / "signal")]
        sys.modules[PACKAGE] = package
        try:
            first, second = (vars(importlib.import_module(name)) for name in MODULES)
        except ImportError:  # a scipy that is arranged in another way
            pass
        else:
            return {**first, **second}
        finally:
            del sys.modules[PACKAGE]
    return vars(importlib.import_module(PACKAGE))


if TYPE_CHECKING:
    from scipy.signal import butter, freqz_sos, iirpeak, lfilter, oaconvolve, sosfilt, zpk2sos
else:
    _filters = _import_filters()
    butter, freqz_sos, iirpeak, lfilter, oaconvolve, sosfilt, zpk2sos = map(
        _filters.__getitem__, __all__
    )
