"""Signing in: which token goes where, and a refresh token that Microsoft replaces."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.partner_center.fake import REFRESH_TOKEN, Fake
from tests.partner_center.landed import PERIOD
from tests.pipelines.conftest import Command

KEPT = Path(".csp-billing/partner-refresh-token.json")


def test_a_new_refresh_token_is_kept_and_used_from_then_on(partner: Fake, command: Command) -> None:
    partner.rotates = partner.strict = True
    assert command("fetch", "--period", PERIOD).code == 0
    kept = json.loads(KEPT.read_text())
    assert [kept["token"]] == partner.refresh_tokens
    assert KEPT.stat().st_mode & 0o777 == 0o600
    assert command("fetch", "--period", PERIOD).code == 0, "the one configured has ended, the one kept is used"
    assert json.loads(KEPT.read_text())["token"] != kept["token"]
    doctor = command("doctor", "--json").document
    assert f"refresh token of {datetime.now(UTC):%Y-%m-%d}" in doctor["partner_center"]
    assert all(token not in json.dumps(doctor) for token in (REFRESH_TOKEN, *partner.refresh_tokens))


def test_a_token_that_is_configured_anew_takes_the_place_of_the_kept_one(
    partner: Fake, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner.rotates = True
    command("fetch", "--period", PERIOD)
    partner.refresh_tokens[:] = ["of-a-new-consent"]
    outcome = command("fetch", "--period", PERIOD)
    assert outcome.code == 3
    assert "the refresh token is no longer valid: give consent anew" in outcome.err
    monkeypatch.setenv("CSP_BILLING_PARTNER_REFRESH_TOKEN", "of-a-new-consent")
    assert command("fetch", "--period", PERIOD).code == 0


def test_the_configured_token_is_tried_when_the_kept_one_has_ended(partner: Fake, command: Command) -> None:
    partner.rotates = True
    command("fetch", "--period", PERIOD)
    partner.refresh_tokens[:] = [REFRESH_TOKEN]
    assert command("fetch", "--period", PERIOD).code == 0


def test_a_new_token_that_cannot_be_kept_is_told(partner: Fake, command: Command) -> None:
    partner.rotates = True
    KEPT.mkdir(parents=True)
    (KEPT / "in the way").touch()
    outcome = command("fetch", "--period", PERIOD)
    assert outcome.code == 0
    assert "Microsoft's new refresh token cannot be kept" in outcome.err
    assert not any(token in outcome.err for token in partner.refresh_tokens)


def test_without_a_user_the_invoices_are_refused_with_what_to_do(
    partner: Fake, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CSP_BILLING_PARTNER_REFRESH_TOKEN")
    outcome = command("fetch", "--period", PERIOD)
    assert (outcome.code, outcome.err.count("\n")) == (3, 1)
    assert "set CSP_BILLING_PARTNER_REFRESH_TOKEN" in outcome.err
    prices = command("fetch", "--period", PERIOD, "--dataset", "licence-prices", "--json").document["items"]
    assert [(item["state"], item["note"]) for item in prices] == [
        ("absent", "set CSP_BILLING_PARTNER_REFRESH_TOKEN to fetch price sheets")
    ]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("GRAPH_URL", "http://graph.microsoft.com", "begins with https://"),
        ("LOGIN_URL", "https://user:word@login.example", "holds no password"),
        ("PARTNER_MARKETS", "US,Germany", "codes of 2 letters"),
        ("LANDING", "nowhere://bucket", "nowhere"),
    ],
)
def test_a_wrong_setting_is_told(
    name: str, value: str, told: str, partner: Fake, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"CSP_BILLING_{name}", value)
    outcome = command("fetch", "--period", PERIOD)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert f"CSP_BILLING_{name}" in outcome.err
    assert told in outcome.err
    assert partner.requests == []
