"""Opening the warehouse: what is refused, what is waited for, and what no message may say."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from connectors.warehouse.engine import Warehouse, open_warehouse
from transforms.errors import SettingsError, WarehouseError

_HOLD = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
"""


@contextmanager
def _held_by_another_process(file: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", _HOLD, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        try:
            yield holder
        finally:
            holder.terminate()


def _release(holder: subprocess.Popen[str]) -> None:
    assert holder.stdin is not None
    time.sleep(0.5)
    holder.stdin.write("\n")
    holder.stdin.flush()


@pytest.mark.parametrize(
    "url", ["", "not a url", "sqlite:///x.db", "mysql://user:hunter2@host/db", "duckdb://", "duckdb:///:memory:"]
)
def test_what_is_not_a_warehouse_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(SettingsError, match="CSP_BILLING_WAREHOUSE_URL") as told:
        open_warehouse(url)
    assert "\n" not in str(told.value)
    assert "hunter2" not in str(told.value)


def test_the_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(SettingsError, match=r"pip install 'csp-billing\[postgres\]'"):
        open_warehouse("postgresql+psycopg://host/db")


@pytest.mark.parametrize("secret", ["user:hunter2@127.0.0.1:9/db", "127.0.0.1:9/db?user=u&password=hunter2"])
def test_an_unreachable_server_is_one_line_without_the_password(secret: str) -> None:
    warehouse = open_warehouse(f"postgresql+psycopg://{secret}")
    with pytest.raises(WarehouseError, match="check CSP_BILLING_WAREHOUSE_URL") as told, warehouse.begin():
        pass
    for text in (str(told.value), warehouse.url_masked):
        assert "\n" not in text
        assert "hunter2" not in text


def test_a_missing_file_is_told_when_reading_and_made_when_writing(duckdb_url: str) -> None:
    warehouse = open_warehouse(duckdb_url)
    with pytest.raises(WarehouseError, match="csp-billing warehouse upgrade"), warehouse.read():
        pass
    with warehouse.begin() as connection:
        connection.exec_driver_sql("create table made (x integer)")
    with warehouse.read() as connection:
        assert sa.inspect(connection).get_table_names() == ["made"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(WarehouseError, match="cannot be made"),
        open_warehouse(f"duckdb:///{tmp_path}/file/home/warehouse.duckdb").begin(),
    ):
        pass


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    file.write_text("not a database" * 1000)
    with pytest.raises(WarehouseError, match="cannot be opened") as told, open_warehouse(f"duckdb:///{file}").begin():
        pass
    assert "\n" not in str(told.value)


def test_the_holder_of_the_file_is_named(duckdb_url: str) -> None:
    warehouse = open_warehouse(duckdb_url, lock_timeout_seconds=0)
    with warehouse.begin():
        pass
    assert warehouse.path is not None
    with _held_by_another_process(warehouse.path) as holder:
        for use in (warehouse.begin, warehouse.read):
            with pytest.raises(WarehouseError, match=f"in use by process {holder.pid} "), use():
                pass


def test_a_file_that_comes_free_is_waited_for(duckdb_url: str) -> None:
    warehouse = open_warehouse(duckdb_url, lock_timeout_seconds=10)
    with warehouse.begin():
        pass
    assert warehouse.path is not None
    with _held_by_another_process(warehouse.path) as holder:
        threading.Thread(target=_release, args=[holder]).start()
        with warehouse.begin() as connection:
            assert connection.exec_driver_sql("select 1").scalar() == 1


def test_the_file_is_free_between_two_uses(duckdb_url: str) -> None:
    warehouse = open_warehouse(duckdb_url, lock_timeout_seconds=0)
    with warehouse.begin() as connection:
        connection.exec_driver_sql("create table t (x integer)")
    assert warehouse.path is not None
    with _held_by_another_process(warehouse.path):
        pass
    with warehouse.read() as connection:
        assert connection.exec_driver_sql("select count(*) from t").scalar() == 0


def test_reading_refuses_writes_also_while_this_process_writes(warehouse: Warehouse) -> None:
    delete = sa.text("delete from locks")
    with warehouse.read() as reader, pytest.raises(DBAPIError, match=r"(?i)read-only"):
        reader.execute(delete)
    with warehouse.begin() as writer:
        writer.execute(delete)
        with warehouse.read() as reader:
            assert reader.exec_driver_sql("select count(*) from locks").scalar() == 0
            with pytest.raises(DBAPIError, match=r"(?i)read-only"):
                reader.execute(delete)


def test_a_writer_waits_for_a_reader_of_its_own_process(duckdb_warehouse: Warehouse) -> None:
    reading, done = threading.Event(), threading.Event()

    def read() -> None:
        with duckdb_warehouse.read():
            reading.set()
            done.wait(5)

    thread = threading.Thread(target=read)
    thread.start()
    reading.wait(5)
    threading.Timer(0.3, done.set).start()
    with duckdb_warehouse.begin() as connection:
        connection.exec_driver_sql("delete from locks")
    thread.join()


def test_timestamps_are_utc(warehouse: Warehouse) -> None:
    with warehouse.read() as connection:
        noon = connection.exec_driver_sql("select cast('2026-03-29 14:00:00+02' as timestamp with time zone)").scalar()
    assert noon is not None
    assert noon.isoformat() == "2026-03-29T12:00:00+00:00"
