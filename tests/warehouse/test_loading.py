"""Streams of batches: dictionaries come back as texts, memory stays bounded, and all is kept or nothing."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
import sqlalchemy as sa

from connectors.warehouse import pgcopy
from connectors.warehouse.bulk import insert_arrow, insert_prepared, prepare, read_arrow
from connectors.warehouse.engine import Warehouse
from connectors.warehouse.lock import held, read_locks
from connectors.warehouse.runs import writing_run
from connectors.warehouse.schema import sql_table
from tests.warehouse.rows import rows, with_dictionaries
from transforms.errors import WarehouseError
from transforms.tables.results import LINES
from transforms.tables.sources import QUARANTINE

#: The wide rows of an export, a million of them, in batches: about 1 GB of text.
_LOAD = """
import resource, sys
import pyarrow as pa
from connectors.warehouse.bulk import insert_arrow
from connectors.warehouse.engine import open_warehouse
from transforms.columns import Kind
from transforms.tables.sources import DAILY_USAGE

count = 50_000
def texts(width):
    return pa.array([f"{number:0{width}}" for number in range(5_000)] * (count // 5_000))
columns = {c.name: texts(16) for c in DAILY_USAGE.columns if c.kind is Kind.TEXT}
columns |= {"resource_uri": texts(200), "source_row": pa.array(range(count))}
plain = {"line_id", "resource_uri", "source_row"}
batch = pa.table({name: array if name in plain else array.dictionary_encode() for name, array in columns.items()})

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

with open_warehouse(sys.argv[1]).begin(loading=True) as connection:
    before = peak()
    for _ in range(20):
        insert_arrow(connection, DAILY_USAGE, batch)
print(peak() - before)
"""


def _row(number: int, **values: object) -> dict[str, object]:
    return {"source_row": number, "raw_text": "", **values}


def _stored(connection: sa.Connection) -> pa.Table:
    table = sql_table(QUARANTINE)
    return read_arrow(connection, sa.select(table).order_by(table.c.source_row), QUARANTINE.schema)


def test_batches_of_two_tables_are_one_transaction(warehouse: Warehouse) -> None:
    """Each batch has a dictionary of its own, some are empty, and one is longer than what is encoded at once."""
    long = pgcopy._SLICE_ROWS + 3
    batches = [
        rows(QUARANTINE, _row(0, reason="a"), _row(1, reason="b")),
        rows(QUARANTINE),
        rows(QUARANTINE, _row(2, reason="b"), _row(3, reason="", total=0)),
        rows(QUARANTINE, *(_row(4 + number, reason=f"{number % 7}") for number in range(long))),
    ]
    whole = pa.concat_tables(batches).combine_chunks()

    def load(fail: bool) -> None:
        with warehouse.begin(loading=True) as connection:
            for batch in (with_dictionaries(batch) for batch in batches):
                assert insert_arrow(connection, QUARANTINE, batch) == batch.num_rows
                insert_arrow(connection, LINES, with_dictionaries(rows(LINES, {})))
            if fail:
                raise RuntimeError

    with pytest.raises(RuntimeError):
        load(fail=True)
    with warehouse.read() as connection:
        assert _stored(connection).num_rows == 0
    load(fail=False)
    with warehouse.read() as connection:
        assert _stored(connection).combine_chunks().equals(whole)
        assert connection.execute(sa.select(sa.func.count()).select_from(sql_table(LINES))).scalar() == len(batches)


def test_chunks_with_dictionaries_of_their_own(warehouse: Warehouse) -> None:
    parts = [rows(QUARANTINE, _row(number, reason=f"{number}"), _row(number + 1)) for number in (0, 2, 4)]
    with warehouse.begin() as connection:
        insert_arrow(connection, QUARANTINE, pa.concat_tables([with_dictionaries(part) for part in parts]))
        assert _stored(connection).equals(pa.concat_tables(parts))


def test_a_record_batch_prepared_elsewhere(warehouse: Warehouse) -> None:
    given = rows(QUARANTINE, _row(1, reason="r"))
    prepared = prepare(warehouse.dialect, QUARANTINE, with_dictionaries(given).to_batches()[0])
    assert prepared.count == 1
    with warehouse.begin() as connection:
        assert insert_prepared(connection, prepared) == 1
        assert _stored(connection).equals(given)


def test_null_among_the_values_of_a_dictionary(warehouse: Warehouse) -> None:
    given = rows(QUARANTINE, _row(1, invoice_number="G1"), _row(2), _row(3))
    column = pa.DictionaryArray.from_arrays(pa.array([1, 0, None], pa.int32()), pa.array([None, "G1"]))
    at = QUARANTINE.names.index("invoice_number")
    with warehouse.begin() as connection:
        insert_arrow(connection, QUARANTINE, given.set_column(at, "invoice_number", column))
        assert _stored(connection).equals(given)
    at = QUARANTINE.names.index("reason")
    with warehouse.begin() as connection, pytest.raises(ValueError, match="2 empty values in reason"):
        insert_arrow(connection, QUARANTINE, given.set_column(at, "reason", column))


def test_a_nul_character_in_a_dictionary(postgresql_warehouse: Warehouse) -> None:
    given = with_dictionaries(rows(QUARANTINE, _row(1, reason="a\x00b")))
    with pytest.raises(WarehouseError, match="quarantine") as told, postgresql_warehouse.begin() as connection:
        insert_arrow(connection, QUARANTINE, given)
    assert "\n" not in str(told.value)


def test_what_has_no_binary_form_is_refused() -> None:
    with pytest.raises(TypeError, match="double"):
        list(pgcopy.encode(pa.table({"x": [0.1]})))


def test_loading_settings_end_with_the_transaction(duckdb_warehouse: Warehouse) -> None:
    settings = sa.text("select current_setting('threads'), current_setting('memory_limit')")
    with duckdb_warehouse.begin() as other:
        usual = other.execute(settings).one()
        with pytest.raises(RuntimeError), duckdb_warehouse.begin(loading=True) as connection:  # noqa: PT012
            assert connection.execute(settings).one() == (1, "256.0 MiB")
            raise RuntimeError
        assert other.execute(settings).one() == usual


def test_what_is_inserted_is_not_held_until_the_transaction_ends(duckdb_warehouse: Warehouse) -> None:
    with duckdb_warehouse.begin() as connection:
        insert_arrow(connection, QUARANTINE, rows(QUARANTINE, _row(0)))
        held = pa.total_allocated_bytes()
        for start in range(1, 5):
            given = (_row(start * 2000 + number, reason="r" * 5000) for number in range(2000))
            insert_arrow(connection, QUARANTINE, rows(QUARANTINE, *given))
        assert pa.total_allocated_bytes() - held < 5_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted in KiB on Linux alone")
def test_memory_does_not_grow_with_the_rows(duckdb_warehouse: Warehouse) -> None:
    """Without its limit DuckDB would keep several row groups of this as they came, most of 1 GB."""
    command = [sys.executable, "-c", _LOAD, f"duckdb:///{duckdb_warehouse.path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 750


def test_a_lock_has_its_sign_of_life_at_the_end_of_a_load(warehouse: Warehouse) -> None:
    """DuckDB puts it off, since nobody else can open the file; PostgreSQL does not."""
    long_ago = datetime(2026, 1, 5, 12, tzinfo=UTC)
    clock = [long_ago]
    with held(warehouse, "month 2026-01", "run-1", str, lambda: clock[0]) as lock:
        with writing_run(warehouse) as connection:
            insert_arrow(connection, QUARANTINE, rows(QUARANTINE, _row(0)))
            clock[0] += timedelta(minutes=20)
            with ThreadPoolExecutor(1) as beside:
                assert beside.submit(lock.renew).result(timeout=30)
        with warehouse.read() as connection:
            (row,) = read_locks(connection)
        assert row.renewed_at >= long_ago + timedelta(minutes=20)
        assert lock.renew()
