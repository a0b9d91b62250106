"""The protocol of Graph's export, the invoices and the price sheets, on real sockets over TLS."""

from __future__ import annotations

import functools
import gzip
import json
import logging
import os
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fsspec.core import url_to_fs

import pipelines.fetching
from connectors.halopsa.sandbox.faults import Fault
from connectors.halopsa.sandbox.server import Sandbox
from connectors.landed_versions import counted
from connectors.partner_center.http import Http
from pipelines.fetching import Fetched, fetch, notices_of
from pipelines.settings import load_settings
from tests.partner_center.exports import json_line
from tests.partner_center.fake import CLIENT_SECRET, REFRESH_TOKEN, Fake, faults_of
from tests.partner_center.landed import PERIOD, differences, tree, zone
from tests.pipelines.conftest import Command
from tests.stores.places import Place
from tests.stores.places import s3 as s3
from tests.stores.serving import Fault as StoreFault
from transforms.errors import RemoteError

OPERATIONS = "GET graph/v1.0/reports/partners/billing/operations"


def states(document: Any, *datasets: str) -> set[str]:
    return {item["state"] for item in document["items"] if not datasets or item["dataset"] in datasets}


def test_everything_of_a_period_lands_as_it_is(partner: Fake, command: Command) -> None:
    outcome = command("fetch", "--period", PERIOD, "--json")
    assert outcome.code == 0
    document = outcome.document
    assert differences(partner, zone()) == []
    assert states(document) == {"fetched", "absent"}
    absent = [(item["dataset"], item["key"]) for item in document["items"] if item["state"] == "absent"]
    credit_note = next(number for number, one in partner.month.invoices.items() if one.get("amendsOf"))
    assert absent == [("usage", credit_note)], "an invoice without usage is no error"
    rows = {(item["dataset"], item["key"]): item["rows"] for item in document["items"] if item["state"] == "fetched"}
    for dataset, by_invoice in partner.month.lines.items():
        assert {key: len(lines) for key, lines in by_invoice.items()} == {
            key: count for (name, key), count in rows.items() if name == dataset
        }
    assert partner.leaked == [], "no token goes to the blob store"


def test_a_repeat_downloads_and_writes_nothing(partner: Fake, command: Command) -> None:
    command("fetch", "--period", PERIOD)
    before = tree(zone())
    stamps = {path: path.stat().st_mtime_ns for path in zone().rglob("*")}
    partner.requests.clear()
    again = command("fetch", "--period", PERIOD, "--json").document
    assert states(again) == {"unchanged", "absent"}
    assert partner.downloads() == []
    assert tree(zone()) == before
    assert {path: path.stat().st_mtime_ns for path in zone().rglob("*")} == stamps


def test_what_is_published_anew_becomes_the_version_that_counts(partner: Fake, command: Command) -> None:
    command("fetch", "--period", PERIOD)
    number = next(iter(partner.month.lines["usage"]))
    lines = partner.month.lines["usage"][number]
    lines[0] = lines[0].replace(b"Usage", b"usage", 1)
    partner.month.invoices[number] = {**partner.month.invoices[number], "paidAmount": Decimal("12.50")}
    partner.requests.clear()
    again = command("fetch", "--period", PERIOD, "--json").document
    fetched = {(item["dataset"], item["key"], item["version"][:5]) for item in again["items"]
               if item["state"] == "fetched"}  # fmt: skip
    assert fetched == {("usage", number, "v0002"), ("invoices", number, "v0002")}
    assert len(partner.downloads()) == partner.parts
    assert differences(partner, zone()) == []
    assert len(list(zone().glob(f"usage/{number}/v*"))) == 2, "the version of before is kept"
    paths = [one["path"] for one in command("identify", str(zone()), "--json").document]
    assert not [path for path in paths if "v0001" in path and f"usage/{number}/" in path]


def test_any_place_that_fsspec_knows_can_be_landed_in(
    partner: Fake, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CSP_BILLING_LANDING", "memory://landing")
    store, _ = url_to_fs("memory://")
    partner.plan_faults([Fault("GET blobs", "damaged", times=0, nth=6)])
    with pytest.raises(RemoteError, match="arrived damaged"):
        fetch(load_settings(), PERIOD)
    partner.plan_faults([])
    first = fetch(load_settings(), PERIOD)
    assert first.location == f"memory:///landing/partner-center/{PERIOD}"
    root = f"/landing/partner-center/{PERIOD}/"
    content = {path.removeprefix(root): store.cat_file(path) for path in store.find(root)}
    names = {name.rpartition("/")[2]: content[name] for name in counted(content) if name.startswith("usage/")}
    wanted = [partner.blobs_of("usage", number) for number in partner.month.lines["usage"]]
    assert names == {name: blob for blobs in wanted for name, blob in blobs.items()}
    partner.requests.clear()
    assert fetch(load_settings(), PERIOD).count("fetched") == 0
    assert partner.downloads() == []
    assert {path.removeprefix(root): store.cat_file(path) for path in store.find(root)} == content
    identified = command("identify", first.location, "--json").document
    rows = {kind: sum(one["rows"] for one in identified if one["kind"] == kind) for kind in ("daily_usage", "unknown")}
    assert rows == {"daily_usage": sum(map(len, partner.month.lines["usage"].values())), "unknown": 0}


def test_what_was_fetched_is_listed_with_its_period(partner: Fake, command: Command) -> None:
    command("fetch", "--period", PERIOD, "--dataset", "invoices")
    number = min(partner.month.invoices)
    other = zone().parent / "2025-11.json"
    for path in (other, zone() / "manifest.json", zone().parent / "notes" / "invoices" / number / "v0001-0" / "x.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    listed = {one["place"]: one for one in command("landing", "list", "--json").document}
    strange = [place for place in listed if f"{PERIOD}/invoices/" not in place]
    assert [(listed[place]["state"], listed[place]["periods"]) for place in strange] == [("unknown", [])] * 3
    fetched = {(one["file"].split("/")[1], one["file"].split("/")[3], one["state"], *one["periods"])
               for place, one in listed.items() if place not in strange}  # fmt: skip
    assert fetched == {
        entry for key in partner.month.invoices
        for entry in ((key, "manifest.json", "manifest", PERIOD), (key, f"invoice-{key}.json", "unknown", PERIOD))
    }  # fmt: skip


def test_a_zone_that_cannot_be_written_is_told_of_before_microsoft_is_asked(
    partner: Fake, s3: Place, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CSP_BILLING_LANDING", f"{s3.url}/landing")
    s3.faulty.faults.append(StoreFault("PUT", "", deny=True))
    for typed in ("fetch", "reconcile"):
        refused = command(typed, "--period", PERIOD)
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert refused.err.startswith("csp-billing: CSP_BILLING_LANDING: no copy can be kept there: s3://billing/landing/")
    assert (partner.requests, s3.names()) == ([], [])


def test_a_file_that_was_lost_is_fetched_again(partner: Fake, command: Command) -> None:
    command("fetch", "--period", PERIOD)
    lost = next(zone().glob("reconciliation/*/v*/part-*"))
    lost.unlink()
    assert differences(partner, zone()) != []
    again = command("fetch", "--period", PERIOD, "--json").document
    assert [item["dataset"] for item in again["items"] if item["state"] == "fetched"] == ["reconciliation"]
    assert differences(partner, zone()) == []


def test_no_secret_and_no_signature_is_stored_or_told(
    partner: Fake, command: Command, caplog: pytest.LogCaptureFixture, working_folder: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    partner.plan_faults([Fault("GET blobs", "expired", nth=2), Fault("GET blobs", "reset-after", nth=5)])
    outcome = command("fetch", "--period", PERIOD, "--json")
    assert outcome.code == 0
    shown = outcome.out + outcome.err + caplog.text + "".join(str(record.args) for record in caplog.records)
    stored = b"".join(path.read_bytes() for path in zone().rglob("*") if path.suffix == ".json")
    secrets = [CLIENT_SECRET, REFRESH_TOKEN, "sasToken", *partner.signatures, *partner.tokens()]
    assert [secret for secret in secrets if secret in shown or secret.encode() in stored] == []
    assert "blobs" in caplog.text, "requests are logged, without their signature"


@pytest.mark.parametrize("seed", range(int(os.environ.get("FETCH_SEEDS", "5"))))
def test_whatever_fails_the_landed_bytes_are_the_source(seed: int, partner: Fake, command: Command) -> None:
    partner.plan_faults(faults_of(seed))
    for _ in range(4):
        outcome = command("fetch", "--period", PERIOD, "--json")
        if outcome.code == 0:
            break
        assert outcome.code == 3
        assert "Traceback" not in outcome.err
        assert outcome.err.count("\n") == 1
    assert outcome.code == 0
    assert differences(partner, zone()) == []
    assert not [path for path in zone().rglob(".*") if path.is_file()]
    assert partner.leaked == []


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault(OPERATIONS, "failed", times=0), "failed at Microsoft (2000 Attributes are invalid)"),
        (Fault("GET blobs", "redirect", times=0), "redirects to https://elsewhere.invalid, which is not followed"),
        (Fault("GET blobs", "damaged", times=0), "arrived damaged"),
        (Fault("GET blobs", "expired", times=0), "can no longer be opened"),
        (Fault(OPERATIONS, "gone", times=0), "exists no longer at Microsoft"),
        (Fault("POST graph", "503-before", times=0, retry_after=0), "answered 503"),
        (Fault("GET center", "404-before", times=0), "answered 404"),
        (Fault("POST 1111", "reset-before", times=0), "the connection to 127.0.0.1"),
    ],
    ids=lambda value: value.action if isinstance(value, Fault) else "",
)
def test_what_stays_wrong_is_told_in_one_line(
    fault: Fault, told: str, partner: Fake, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With pauses that do not really wait, patience is a number of tries; here it is short."""
    monkeypatch.setattr(pipelines.fetching, "Http", functools.partial(Http, patience=0.5, pause=lambda seconds: None))
    partner.plan_faults([fault])
    outcome = command("fetch", "--period", PERIOD)
    assert outcome.code == 3
    assert told in outcome.err
    assert outcome.err.count("\n") == 1
    assert not list(zone().glob("usage/*/*/manifest.json")) or fault.match.startswith("GET blobs")
    assert "sig=" not in outcome.err


def test_a_disk_that_is_full_is_told_and_the_repeat_goes_on(
    partner: Fake, command: Command, working_folder: Path
) -> None:
    """A limit on the size of files stands for the disk."""
    program = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000)); sys.argv = ['csp-billing', 'fetch', '--period', "
        f"{PERIOD!r}]; from pipelines.cli import main; main()"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    child = subprocess.run([sys.executable, "-B", "-c", program], env=environment, capture_output=True, text=True,
                           timeout=120, check=False)  # fmt: skip
    assert (child.returncode, child.stderr.count("\n")) == (2, 1), child.stderr
    assert "the landing zone cannot be used: File too large" in child.stderr
    assert command("fetch", "--period", PERIOD).code == 0
    assert differences(partner, zone()) == []


def test_an_untrusted_certificate_is_refused(
    partner: Fake, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    outcome = command("fetch", "--period", PERIOD)
    assert outcome.code == 3
    assert "no TLS certificate that is trusted" in outcome.err
    assert partner.requests == []


def test_estimates_are_fetched_until_there_is_an_invoice(
    partner: Fake, halo: Sandbox, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A month that has no invoice yet, seen in the month after it."""
    monkeypatch.setenv("CSP_BILLING_PARTNER_CURRENCIES", "USD")
    invoices, partner.month.invoices = partner.month.invoices, {}
    number = next(iter(partner.month.lines["reconciliation"]))
    own = [json.loads(line, parse_float=str) for line in partner.month.lines["reconciliation"][number]]
    for row in own:
        del row["InvoiceNumber"]
    partner.month.lines["unbilled-reconciliation"] = {
        "USD": [json_line({name: str(value) for name, value in row.items()}) for row in own]
    }
    early = fetch(load_settings(), PERIOD, today=date(2025, 12, 3))
    assert {(item.dataset, item.key, item.state) for item in early.items if not item.dataset.endswith("-prices")} == {
        ("invoices", "", "absent"), ("unbilled-reconciliation", "USD", "fetched"), ("unbilled-usage", "USD", "absent"),
    }  # fmt: skip
    assert {item.rows for item in early.items if item.dataset == "unbilled-reconciliation"} == {len(own)}
    assert (early.has_lines(billed=False), early.has_lines(billed=True)) == (True, False)
    assert "USD is not billed yet: its lines are estimates, which are never loaded" in notices_of(early)
    refused = command("run", "--period", PERIOD)
    assert (refused.code, f"Partner Center has no invoice of period {PERIOD} yet" in refused.err) == (2, True)

    partner.month.invoices = invoices
    later = fetch(load_settings(), PERIOD, today=date(2025, 12, 9))
    assert not [item for item in later.items if item.dataset.startswith("unbilled")]
    outcome = command("reconcile", "--period", PERIOD, "--json").document
    assert outcome["findings"] == {}
    assert f"{len(own)} unbilled lines in USD are left out: the period is billed in that currency" in outcome["notices"]


def test_price_sheets_of_an_open_month_are_fetched_again_and_kept_when_it_ends(partner: Fake) -> None:
    def versions(fetched: Fetched) -> dict[str, tuple[str, str | None]]:
        return {item.key: (item.state, item.version and item.version[:5]) for item in fetched.items}

    def at(day: date) -> dict[str, tuple[str, str | None]]:
        return versions(fetch(load_settings(), PERIOD, ["licence-prices"], today=day))

    assert set(at(date(2025, 11, 3)).values()) == {("fetched", "v0001")}
    assert set(at(date(2025, 11, 4)).values()) == {("unchanged", "v0001")}
    partner.month.sheets["updatedlicensebased", "GB"] += b"\n"
    changed = at(date(2025, 11, 5))
    assert (changed["GB"], changed["US"]) == (("fetched", "v0002"), ("unchanged", "v0001"))
    assert at(date(2025, 12, 1))["GB"] == ("unchanged", "v0003")
    partner.requests.clear()
    assert set(at(date(2025, 12, 2)).values()) == {("unchanged", "v0002"), ("unchanged", "v0003")}
    assert partner.requests == [], "the sheets of a month that has ended are final"


def test_blobs_land_packed_whatever_the_server_calls_them(partner: Fake, command: Command) -> None:
    command("fetch", "--period", PERIOD, "--dataset", "usage")
    landed = list(zone().glob("usage/*/*/part-*"))
    assert landed
    assert all(gzip.decompress(path.read_bytes()).startswith(b"{") for path in landed)
    assert not zone().joinpath("invoices").exists(), "only what was asked for"
    assert command("fetch", "--period", PERIOD, "--dataset", "usages").code == 2
