"""Back through every revision and forward again with rows in every table; what would be lost is refused."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.warehouse.backup import sums_of, tables_of
from connectors.warehouse.downgrade import downgrade
from connectors.warehouse.engine import Warehouse
from connectors.warehouse.lock import held
from connectors.warehouse.migrations import ensure_current, known_revisions, status, upgrade
from tests.warehouse.filled import fill
from transforms.errors import InputError, WarehouseError

_LOSSY = ("customer_clients", "commerce_syncs", "ecommerce_orders", "commerce_integrations", "waivers")


def _sums(warehouse: Warehouse) -> dict[str, Any]:
    with warehouse.read() as connection:
        return {table.name: sums_of(connection, table) for table in tables_of(connection)}


def test_back_and_forward_with_rows_in_every_table(warehouse: Warehouse) -> None:
    with warehouse.begin() as connection:
        fill(connection)
    before = _sums(warehouse)
    assert all(table["rows"] for table in before.values())
    revisions = known_revisions()
    for revision in revisions[-2::-1]:
        gone = downgrade(warehouse, revision, accept_loss=True)
        assert gone.current == revision
        assert gone.pending == list(revisions[revisions.index(revision) + 1 :])
        with pytest.raises(WarehouseError, match="of an older version"):
            ensure_current(warehouse)
    assert upgrade(warehouse).is_current
    after = _sums(warehouse)
    changed = {name for name in before if before[name] != after[name]}
    # Approvals keep what a run had room for; the others get their newer columns empty.
    assert changed == {*_LOSSY, "approvals", "findings", "runs", "source_files"}
    for name in ("findings", "runs", "source_files"):
        assert before[name]["rows"] == after[name]["rows"]
        newer = {"finding_id", "loaded_digest", "pruned_at"}
        kept = [{column: sums for column, sums in one[name]["sums"].items() if column not in newer}
                for one in (before, after)]  # fmt: skip
        assert kept[0] == kept[1]
    with warehouse.read() as connection:
        approved = connection.exec_driver_sql("select decision, decided_by from approvals").all()
        assert [tuple(row) for row in approved] == [("approved", "Ada")]
        assert connection.exec_driver_sql("select count(*) from out_runs").scalar() == 2


def test_what_would_be_lost_is_refused_and_named(warehouse: Warehouse) -> None:
    with warehouse.begin() as connection:
        fill(connection)
    before = _sums(warehouse)
    head = known_revisions()[-1]
    for target, lost in (
        ("0003", r"waivers \(2\); rejections and earlier approvals \(1\)"), ("0002", "e-commerce orders"),
        ("0001", "tenants"), ("base", "runs with all their results"),
    ):  # fmt: skip
        with pytest.raises(WarehouseError, match=f"{lost}.*--accept-loss"):
            downgrade(warehouse, target)
    assert status(warehouse).is_current
    assert _sums(warehouse) == before
    with pytest.raises(WarehouseError, match=r"loses records of pruned copies \(1\)"):
        downgrade(warehouse, "0005")
    with warehouse.begin() as connection:
        connection.exec_driver_sql("update source_files set pruned_at = null")
    assert downgrade(warehouse, "0004").current == "0004", "nothing is lost by that"
    assert downgrade(warehouse, "base", accept_loss=True).current is None
    assert upgrade(warehouse).current == head


def test_a_wrong_revision_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(InputError, match="there is no revision 9999; there are 0001, "):
        downgrade(warehouse, "9999")
    downgrade(warehouse, "0002")
    with pytest.raises(InputError, match="at 0002, before 0003"):
        downgrade(warehouse, "0003")
    assert downgrade(warehouse, "0002").current == "0002"


def test_nobody_may_be_at_work(warehouse: Warehouse) -> None:
    with held(warehouse, "month 2025-11", "", str), pytest.raises(WarehouseError, match=r"at work .*month 2025-11"):
        downgrade(warehouse, "0001")
    assert status(warehouse).is_current
