"""A fake Partner Center that the settings name, beside what the commands' tests have."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest

import pipelines.fetching
from connectors.partner_center.http import Http
from tests.partner_center.exports import Month
from tests.partner_center.fake import Fake, clean_month, serve
from tests.pipelines.conftest import command, halo, working_folder

__all__ = ["command", "halo", "working_folder"]


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Month:
    """An example month without discrepancies; to be copied before it is changed."""
    return clean_month(tmp_path_factory.mktemp("month") / "exports")


@pytest.fixture
def partner(
    clean: Month, tmp_path_factory: pytest.TempPathFactory, working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Fake]:
    """A running fake, and the settings that reach it; whoever waits for it between tries does not really wait."""
    folder = tmp_path_factory.mktemp("fake")
    with serve(deepcopy(clean), folder) as fake:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder / "ca.pem"))
        for name, value in fake.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(pipelines.fetching, "Http", functools.partial(Http, pause=lambda seconds: None))
        yield fake
