"""What must hold of anything that is read, however damaged it is."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from tests.exports.written import Delivery, read_delivery
from tests.soak.damage import AMOUNTS, Damaged
from transforms.errors import BillingError

#: For a file of some kilobytes, on a busy machine.
_LONGEST_SECONDS = 20


def check_reading(made: Damaged) -> str:
    """Read a damaged file and hold what was read against its model; returns `read` or `refused`.

    Raises:
        AssertionError: an amount is wrong, a row is neither read nor in quarantine, or it takes too long.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export"
        path.write_bytes(made.data)
        try:
            delivery = read_delivery(path)
        except BillingError as error:
            told = str(error)
        else:
            told = delivery.skipped[0].problem or "" if delivery.skipped else ""
    assert time.monotonic() - began < _LONGEST_SECONDS
    if not told:
        _check_rows(made, delivery)
        return "read"
    assert "\n" not in told, told
    assert len(made.sound) < len(made.expected) + len(made.broken), f"a file without a fault is refused: {told}"
    return "refused"


def _check_rows(made: Damaged, delivery: Delivery) -> None:
    read = {row["source_row"]: row for row in delivery.tables[made.kind].to_pylist()}
    refused = delivery.rejected.to_pylist()
    quarantined = [row["source_row"] for row in refused]
    assert all(row["reason"] and row["source_file"].startswith("export") for row in refused)
    assert sorted([*read, *quarantined]) == sorted([*made.expected, *made.broken]), (sorted(read), quarantined)
    assert len(read) == delivery.tables[made.kind].num_rows, "a row twice"
    assert made.broken <= set(quarantined), "a row that is none was read"
    lost = made.sound - read.keys()
    assert not lost, [row for row in refused if row["source_row"] in lost]
    for number, row in read.items():
        for name in AMOUNTS[made.kind].values():
            allowed = made.expected[number][name]
            assert row[name] in allowed, f"row {number}: {name} is read as {row[name]}, and may only be {allowed}"
