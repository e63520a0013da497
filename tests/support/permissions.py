"""Permissions that bite as root too."""

import ctypes

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2  # linux/capability.h


def respect_permissions() -> None:
    """Take from root what lets it ignore permissions; others never had it. A `preexec_fn`."""
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
