"""A month without a folder: fetched from a Partner Center over TLS, reconciled, billed in a HaloPSA over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from connectors.halopsa.sandbox.server import Sandbox
from pipelines.billing import bill_month
from pipelines.settings import load_settings
from tests.partner_center.fake import Fake
from tests.partner_center.landed import PERIOD, differences, tree, zone
from tests.pipelines.conftest import Command

P = ParamSpec("P")
R = TypeVar("R")

ROOT = Path(__file__).parents[2]
#: A command whose process is killed before or after it has let its nth file take its place.
_KILLED = """
import os, signal, sys
from connectors.partner_center import landing
nth, when, place = int(sys.argv[1]), sys.argv[2], landing._replace
def replace(new, target):
    global nth
    nth -= 1
    if nth == 0 and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    place(new, target)
    if nth == 0:
        os.kill(os.getpid(), signal.SIGKILL)
landing._replace = replace
sys.argv = ["csp-billing", "fetch", "--period", sys.argv[3], "--json"]
from pipelines.cli import main
main()
"""


def test_a_month_is_fetched_and_billed_and_a_repeat_changes_nothing(
    partner: Fake, halo: Sandbox, command: Command
) -> None:
    outcome = command("run", "--period", PERIOD, "--json")
    document = outcome.document
    assert (outcome.code, document["status"], document["findings"]) == (0, "billed", {})
    assert document["notices"][0] == "Partner Center: 17 exports fetched, 0 unchanged"
    lines = sum(len(one) for by_invoice in partner.month.lines.values() for one in by_invoice.values())
    assert document["lines"] == lines
    posted, landed = halo.lines(), tree(zone())
    assert len(posted) == sum(len(one) for one in partner.month.lines["reconciliation"].values())
    listed = command("landing", "list", "--json").document
    manifests = [one for one in listed if one["place"].endswith("/manifest.json")]
    assert (len(manifests), {one["state"] for one in listed if one not in manifests}) == (17, {"kept"})
    assert {(one["state"], *one["periods"]) for one in manifests} == {("manifest", PERIOD)}

    partner.requests.clear()
    steps = []

    def step(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        steps.append(function.__name__)
        return function(*args, **kwargs)

    again = bill_month(load_settings(), PERIOD, step=step)
    assert (again.status, again.loaded) == ("billed", {"prices": 0, "invoices": 0, "lines": 0})
    assert again.notices[0] == "Partner Center: 0 exports fetched, 17 unchanged"
    assert steps[:3] == ["fetch", "extract", "reconcile"], "fetching is a step by itself, a task in a flow"
    assert partner.downloads() == []
    assert tree(zone()) == landed
    assert halo.lines() == posted


def test_without_settings_a_folder_is_needed_as_before(
    partner: Fake, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = command("reconcile", "--period", PERIOD, "--exports", "nowhere")
    assert (outcome.code, partner.requests) == (2, []), "a folder that is named is read"
    monkeypatch.delenv("CSP_BILLING_PARTNER_CLIENT_SECRET")
    outcome = command("reconcile", "--period", PERIOD)
    assert outcome.code == 2
    assert "configured in part: CSP_BILLING_PARTNER_CLIENT_SECRET is missing" in outcome.err
    for name in list(os.environ):
        if name.startswith("CSP_BILLING_PARTNER_"):
            monkeypatch.delenv(name)
    outcome = command("reconcile", "--period", PERIOD)
    assert outcome.code == 2
    assert "there is no such folder of exports" in outcome.err
    assert "CSP_BILLING_PARTNER_TENANT_ID" in command("fetch", "--period", PERIOD).err
    assert partner.requests == []


def test_a_month_that_microsoft_has_not_billed_yet_is_told(partner: Fake, command: Command) -> None:
    partner.month.invoices.clear()
    outcome = command("run", "--period", PERIOD, "--dry-run")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert f"Partner Center has nothing of period {PERIOD} yet" in outcome.err


def test_doctor_signs_in_and_says_what_is_missing(
    partner: Fake, halo: Sandbox, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = command("doctor", "--json")
    assert outcome.code == 0
    assert outcome.document["partner_center"] == (
        "signed in to Graph; 4 invoices in Partner Center; price sheets of DE, GB, US"
    )
    assert outcome.document["exports"].startswith("fetched from Partner Center into ")
    monkeypatch.setenv("CSP_BILLING_PARTNER_CLIENT_SECRET", "wrong-secret")
    outcome = command("doctor", "--json")
    assert outcome.code == 3
    assert "invalid_client: AADSTS7000215: Invalid client secret provided." in outcome.document["partner_center"]
    assert "wrong-secret" not in outcome.out
    monkeypatch.setenv("CSP_BILLING_PARTNER_TENANT_ID", "nobody.example")
    assert "knows no tenant nobody.example" in command("doctor", "--json").document["partner_center"]


def test_a_fetch_that_is_killed_again_and_again_ends_with_the_same(
    partner: Fake, command: Command, working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process is killed a few files further on; what was whole is never downloaded again."""
    command("fetch", "--period", PERIOD)
    undisturbed, downloads = tree(zone()), len(partner.downloads())
    monkeypatch.setenv("CSP_BILLING_HOME", "killed")
    partner.requests.clear()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    deaths = 0
    while True:
        nth, when = ((1, "before"), (12, "after"), (15, "before"), (17, "after"))[deaths % 4]
        child = subprocess.run(
            [sys.executable, "-c", _KILLED, str(nth), when, PERIOD],
            env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        if child.returncode == 0:
            break
        assert child.returncode == -9, child.stderr
        deaths += 1
        assert deaths < 10
    assert deaths >= 4
    assert tree(zone("killed")) == undisturbed
    assert differences(partner, zone("killed")) == []
    # At most the files that were on their way when a process was killed came twice.
    assert len(partner.downloads()) <= downloads + 5 * deaths
