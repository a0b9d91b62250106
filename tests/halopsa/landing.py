"""What the small month must leave in HaloPSA, and repeating a load until it is there."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from connectors.halopsa.client import HaloClient
from connectors.halopsa.ledger import Ledger
from connectors.halopsa.load import HaloLoadSettings, LoadCounts, LoadPlan, load, mark_billed
from connectors.halopsa.sandbox.server import Sandbox
from transforms.errors import RemoteError

#: What the month leaves in HaloPSA: subscription (or usage day), invoice, total.
EXPECTED_LINES = Counter(
    [
        *((f"subscription-{number}", "G1", Decimal(number) + Decimal("0.25")) for number in range(1, 6)),
        ("subscription-6", "G1", Decimal("6.25")),
        ("subscription-6", "G1", Decimal("6.25")),
        ("subscription-8", "G2", Decimal("-3.5")),
        ("2025-11-01", "G1", Decimal("0.0861")),
        ("2025-11-02", "G1", Decimal("0.0861")),
    ]
)


def landed(sandbox: Sandbox) -> Counter[tuple[str, str, Decimal]]:
    """The sandbox's lines, each below the invoice that its parentid says."""
    numbers = {row["haloid"]: row["id"] for row in sandbox.invoices()}
    return Counter(
        (str(row.get("usagedate", row["subscriptionid"])).partition("T")[0], numbers[row["parentid"]], row["total"])
        for row in sandbox.lines()
    )


def assert_exactly_once(sandbox: Sandbox, billed: bool = True) -> None:
    assert landed(sandbox) == EXPECTED_LINES
    assert Counter(row["id"] for row in sandbox.invoices()) == {"G1": 1, "G2": 1}
    assert {row.get("isbilled", False) for row in sandbox.lines()} == {billed}
    assert {row["isfullybilled"] for row in sandbox.invoices()} == {billed}


def until_done(
    client: HaloClient, ledger: Ledger, plan: LoadPlan, settings: HaloLoadSettings, most: int = 10
) -> LoadCounts:
    """Load and mark as a user would repeat it, until nothing fails any more."""
    for _ in range(most):
        try:
            counts = load(client, ledger, plan, settings)
            mark_billed(client, ledger, plan, settings)
        except RemoteError:
            continue
        return counts
    raise AssertionError("the load never ends")
