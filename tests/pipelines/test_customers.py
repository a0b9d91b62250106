"""The mapping of tenants to HaloPSA clients: imported, listed, and asked for by every run."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.halopsa.sandbox.server import Sandbox
from examples.month import generate_month
from tests.pipelines.conftest import Command
from tests.pipelines.test_month import query, warehouse_url

__all__ = ["warehouse_url"]

HEADER = "customer_id,client_id,client_name\n"


def write(text: str) -> str:
    Path("customers.csv").write_text(text, encoding="utf-8")
    return "customers.csv"


def test_customers_without_a_client_are_found_once_a_mapping_is_kept(warehouse_url: str, command: Command) -> None:
    generate_month(Path("exports"), period="2025-11", plant=False)
    assert command("reconcile", "--period", "2025-11", "--json").document["findings"] == {}
    listed = command("customers", "list", "--json").document
    tenants = [row["customer_id"] for row in listed]
    assert len(tenants) > 5
    assert {row["client_id"] for row in listed} == {None}

    known, unknown = tenants[:-2], tenants[-2:]
    clients = [17, 17, *range(100, 100 + len(known))]
    rows = "".join(f"{tenant.upper()},{client},\n" for tenant, client in zip(known, clients, strict=False))
    imported = command("customers", "import", write(HEADER + rows), "--json")
    assert (imported.code, imported.document) == (0, {"imported": len(known)})
    outcome = command("reconcile", "--period", "2025-11", "--json").document
    assert (outcome["findings"], outcome["blocking"]) == ({"CUSTOMER_UNMAPPED": 2}, 0)
    found = query("select customer_id from out_findings where code = 'CUSTOMER_UNMAPPED' order by 1")
    assert [row["customer_id"] for row in found] == sorted(unknown)
    unmapped = command("customers", "list", "--unmapped", "--json").document
    assert sorted(row["customer_id"] for row in unmapped) == sorted(unknown)

    command("customers", "import", write(HEADER + "".join(f"{tenant},99,\n" for tenant in unknown)))
    assert command("reconcile", "--period", "2025-11", "--json").document["findings"] == {}
    command("customers", "import", write(HEADER + f"{unknown[0]},5,\n"), "--replace")
    outcome = command("reconcile", "--period", "2025-11", "--json").document
    assert outcome["findings"] == {"CUSTOMER_UNMAPPED": len(tenants) - 1}


def test_an_invoice_of_one_client_is_posted_as_its(halo: Sandbox, command: Command) -> None:
    """All British tenants are one client's, the others several clients'."""
    generate_month(Path("exports"), period="2025-11", plant=False)
    command("reconcile", "--period", "2025-11")
    tenants = query("select distinct customer_id, invoice_number, currency from out_lines where source='invoice_recon'")
    british = {row["invoice_number"] for row in tenants if row["currency"] == "GBP"}
    rows = {f"{row['customer_id']},{5 if row['currency'] == 'GBP' else 100 + place},"
            for place, row in enumerate(tenants) if row["currency"] in ("GBP", "USD")}  # fmt: skip
    by_tenant = {row.partition(",")[0]: row for row in sorted(rows)}
    command("customers", "import", write(HEADER + "\n".join(by_tenant.values()) + "\n"))
    assert command("run", "--period", "2025-11", "--json").document["status"] == "billed"
    clients = {invoice["id"]: invoice.get("client_id") for invoice in halo.invoices()}
    assert {number for number, client in clients.items() if client} == british
    assert {clients[str(number)] for number in british} == {5}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("customer_id,name\na,b\n", ["client_id", "first line"], id="no such column"),
        pytest.param(HEADER, ["no row"], id="no row"),
        pytest.param(HEADER + "t1,5,\n,6,\n", ["row 3", "empty"], id="no tenant"),
        pytest.param(HEADER + "t1,five,\n", ["row 2", "'five'"], id="no number"),
        pytest.param(HEADER + "t1,0,\n", ["row 2", "'0'"], id="no client"),
        pytest.param(HEADER + "t1,99999999999,\n", ["row 2"], id="beyond HaloPSA's numbers"),
        pytest.param(HEADER + "t1,5,\nT1,6,\n", ["row 3", "client 5 in row 2"], id="a tenant with two clients"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_refused_whole(text: str, told: list[str], command: Command) -> None:
    command("customers", "import", write(HEADER + "before,1,Before\n"))
    refused = command("customers", "import", write(text))
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert all(part in refused.err for part in ["customers.csv", *told])
    assert [row["customer_id"] for row in command("customers", "list", "--json").document] == ["before"]


def test_a_mapping_from_a_spreadsheet(command: Command) -> None:
    Path("customers.csv").write_bytes("\ufeffTenant Id;Client ID\r\n T1 ;7\r\n;\r\nt1;7\r\n".encode())
    assert command("customers", "import", "customers.csv").out == "1 tenant imported\n"
    assert command("customers", "list", "--json").document[0]["client_id"] == 7
    assert command("customers", "import", "missing.csv").code == 2
