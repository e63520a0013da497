"""Imported before any test, and so before NumPy, which reads this when it is imported."""

import os

# Tests run on every core by xdist; more threads in each would only wait for each other.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
