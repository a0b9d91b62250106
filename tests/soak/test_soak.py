"""A part of `make soak` that is quick enough for every day: one of each failure, by the real command line."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from connectors.unfinished import claimed, remove_abandoned
from connectors.warehouse.engine import Warehouse, open_warehouse
from connectors.warehouse.failures import why_it_failed
from tests.soak.command import Plan
from tests.soak.full_disk import grow, small_disk
from tests.soak.stage import BILL, stage
from transforms.errors import WarehouseLostError


def test_a_run_that_is_killed_with_its_workers_is_repeated_to_the_same_end(tmp_path: Path) -> None:
    """Killed where the first lines are in HaloPSA and not settled."""
    with stage(tmp_path / "stage") as place:
        place.bill()
        expected = place.result()
        place.reset()
        killed = place.run(*BILL, plan=Plan("after POST /api/CSPConsumptionData", at=1, workers=True))
        assert killed.code < 0, killed.err
        assert place.sandbox.summary()["lines"]
        place.bill()
        place.check(expected)


def test_a_disk_that_is_full_at_the_commit_is_told_in_a_line(tmp_path: Path) -> None:
    """The command line on a file system of its own; and the same command when there is room."""
    with stage(tmp_path / "stage") as place:
        try:
            disk = small_disk(place.home, 3_500)
            disk.__enter__()
        except OSError as error:
            pytest.skip(f"no file system can be mounted here: {error}")
        try:
            told = place.run("reconcile", "--period", "2025-11").told_in_a_line()
            assert "No space left on device" in told
            assert "make room" in told
            grow(place.home, 1 << 20)
            assert place.run("reconcile", "--period", "2025-11").code == 1
        finally:
            disk.__exit__(None, None, None)


def test_output_that_cannot_be_written_is_told_in_a_line(tmp_path: Path) -> None:
    with stage(tmp_path / "stage") as place, Path("/dev/full").open("w") as full:
        environment = {**os.environ, "CSP_BILLING_HOME": str(place.home)}
        ended = subprocess.run(
            [".venv/bin/python", "-m", "pipelines.cli", "identify", str(place.exports)],
            stdout=full, stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
    assert "Traceback" not in ended.stderr
    assert "No space left on device" in ended.stderr


def test_a_connection_that_is_cut_is_told_in_a_line(postgresql_warehouse: Warehouse) -> None:
    other = open_warehouse(postgresql_warehouse.engine.url.render_as_string(hide_password=False))

    def cut() -> None:
        with postgresql_warehouse.begin() as connection:
            (own,) = connection.exec_driver_sql("select pg_backend_pid()").one()
            with other.begin() as killer:
                killer.exec_driver_sql(f"select pg_terminate_backend({own})")
            connection.exec_driver_sql("select 1")

    with pytest.raises(WarehouseLostError, match="see that it runs") as lost:
        cut()
    assert "\n" not in str(lost.value)
    assert lost.value.exit_code == 3


def test_a_defect_is_no_failure_of_the_database(warehouse: Warehouse) -> None:
    with warehouse.begin() as connection, pytest.raises(DBAPIError, match="nowhere") as raised:
        connection.exec_driver_sql("select 1 from nowhere")
    assert why_it_failed(raised.value) is None


def test_what_is_being_made_is_not_taken_for_what_was_left(tmp_path: Path) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.touch()
    folder.mkdir()
    with claimed(file), claimed(folder):
        remove_abandoned([file, folder])
        assert file.exists()
        assert folder.exists()
    remove_abandoned([file, folder, tmp_path / "never was"])
    assert not list(tmp_path.iterdir())
