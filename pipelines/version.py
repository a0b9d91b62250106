"""The version of the code, recorded with every run."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=1)
def code_version() -> str:
    """The installed distribution's version."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("csp-billing")
    except PackageNotFoundError:
        return "not installed"
