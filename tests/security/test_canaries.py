"""No secret is written anywhere: canaries in every secret setting, the whole job, and every byte that it leaves.

The canaries are taken from the declared settings, so that a new secret is looked for without a change here. The job
runs with all logs on and Python's development mode, on a PostgreSQL warehouse whose URL has a password, in ways that
succeed and in ways that fail.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import quote

import duckdb
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from connectors.halopsa.sandbox import app
from connectors.halopsa.sandbox.server import Sandbox, serve
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.runs import last_run
from examples.month import generate_month
from pipelines.settings import Settings, load_settings
from tests.halopsa.test_client import scripted
from transforms.hidden import without_secrets

ROOT = Path(__file__).parents[2]
PERIOD = "2025-11"
#: One canary for each secret setting, with the signs that a mask can stumble over.
CANARIES = {
    name: f"canary/{number}+of@{name}:9f3"
    for number, (name, kind) in enumerate(get_type_hints(Settings).items()) if kind is SecretStr
}  # fmt: skip
_MICROSOFT = ("LOGIN_URL", "GRAPH_URL", "PARTNER_CENTER_URL", "PARTNER_PRICING_URL")
PASSWORD = "canary/of@the:warehouse#41"
SIGNATURE = "canary%2Fof%2Bthe%2Fsas%3D"
ADDRESS = f"https://shop:canary-of-an-address@exports.example/month?sv=2024&sig={SIGNATURE}"


def test_every_secret_setting_has_a_canary() -> None:
    assert "halo_client_secret" in CANARIES
    named = [name for name in Settings.model_fields if any(word in name for word in ("secret", "password", "token"))]
    assert set(named) <= set(CANARIES)


@pytest.fixture
def halo(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox that takes the canary."""
    monkeypatch.setattr(app, "CLIENT_SECRET", CANARIES["halo_client_secret"])
    with serve() as sandbox:
        yield sandbox


def _settings(halo: Sandbox, warehouse: str, **changes: str) -> dict[str, str]:
    own = {
        "WAREHOUSE_URL": warehouse, "HALO_URL": halo.base_url, "HALO_CLIENT_ID": halo.client_id, "EXPORTS": "exports",
        # A Partner Center at which nobody listens.
        "PARTNER_TENANT_ID": "t", "PARTNER_CLIENT_ID": "c",
        **dict.fromkeys(_MICROSOFT, "https://127.0.0.1:1"), **changes,
        **{name.upper(): canary for name, canary in CANARIES.items() if name.upper() not in changes},
    }  # fmt: skip
    return {f"CSP_BILLING_{name}": value for name, value in own.items()}


def _with_password(url: str) -> str:
    """The server of the tests trusts everybody; it is handed the password all the same."""
    parsed = sa.make_url(url)
    return parsed.set(username=parsed.username or "postgres", password=PASSWORD).render_as_string(hide_password=False)


def _run(folder: Path, *arguments: Any, **environment: str) -> list[dict[str, Any]]:
    """Commands in one process, everything logged; nothing that they started may outlive it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CSP_BILLING_", "PREFECT_"))}
    environment = {**kept, "PYTHONPATH": str(ROOT), "SECURITY_LOGS": "1", "PYTHONDEVMODE": "1",
                   "PREFECT_HOME": str(folder / "prefect"), **environment}  # fmt: skip
    # Files, not pipes: whatever is left running holds these open, and reading them to the end would never end.
    with tempfile.TemporaryFile("w+") as commands, tempfile.TemporaryFile("w+") as out, \
            tempfile.TemporaryFile("w+") as err:  # fmt: skip
        commands.write(json.dumps(arguments))
        commands.seek(0)
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.security.child"], cwd=folder, env=environment, stdin=commands, stdout=out,
            stderr=err, start_new_session=True,
        )  # fmt: skip
        try:
            child.wait(timeout=500)
        finally:
            outlived = _end_group(child.pid)
            child.wait()
        for stream in (out, err):
            stream.seek(0)
        answers, log = [json.loads(line) for line in out.read().splitlines()], err.read()
    assert len(answers) == len(arguments), log
    assert not outlived, f"what the commands started lives on: {log[-2000:]}"
    (folder / f"outcome-{len(list(folder.glob('outcome-*')))}.txt").write_text(json.dumps(answers) + log)
    return answers


def _end_group(group: int) -> bool:
    """End what is left of a group of processes; whether there was anything."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _wrong(arguments: list[str], **environment: str) -> dict[str, Any]:
    return {"arguments": arguments, "env": {f"CSP_BILLING_{name}": value for name, value in environment.items()}}


@contextmanager
def _echoing() -> Iterator[str]:
    """A HaloPSA whose gateway repeats the request in its error page."""

    def echo(handler: BaseHTTPRequestHandler, body: str) -> tuple[int, Any]:
        if handler.path.startswith("/auth/token"):
            return 200, {"access_token": "canary-token-of-the-echo", "expires_in": 60}
        # Of a read every 5xx would be waited out for ten minutes.
        return 403, {"Message": f"{handler.headers.get('Authorization')} {body}", "error_description": body}

    with scripted(echo) as url:
        yield url


def test_no_secret_is_written_anywhere(
    halo: Sandbox, postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = _with_password(postgresql_url)
    generate_month(tmp_path / "exports", period=PERIOD)
    dotenv = tmp_path / ".env"
    dotenv.write_text("".join(f"{name}='{value}'\n" for name, value in _settings(halo, warehouse).items()))
    month = ["--period", PERIOD]
    done = _run(tmp_path, ["doctor", "--json"], ["run", *month, "--report"], ["reconcile", *month, "--json"])
    assert [one["code"] for one in done] == [3, 1, 1], done
    with open_warehouse(warehouse).read() as connection:
        run = last_run(connection)
        line = connection.exec_driver_sql("select line_id from lines limit 1").scalar_one()
    assert run is not None
    run_id = run["run_id"]
    with _echoing() as echoing:
        _run(
            tmp_path,
            ["findings", "--json"], ["explain", line], ["approve", run_id, "--by", "Ada"], ["load", run_id],
            ["mark-billed", run_id, "--json"], ["report", run_id, "--out", "reports"], ["status"], ["doctor"],
            ["warehouse", "query", "select * from out_runs"], ["warehouse", "snapshot"], ["warehouse", "check"],
            ["warehouse", "status"], ["orders", "sync"], ["orders", "report"], ["integrations", "list"],
            ["subscriptions", "list"], ["identify", "exports"],
            # Ways to fail.
            _wrong(["run", *month], HALO_CLIENT_SECRET="canary-that-is-wrong"),
            _wrong(["subscriptions", "list", "--json"], HALO_URL=echoing),
            _wrong(["doctor"], HALO_URL="http://127.0.0.1:1"),
            _wrong(["doctor"], HALO_URL=f"https://user:{quote(PASSWORD)}@halo.example"),
            _wrong(["status"], WAREHOUSE_URL=f"postgresql+psycopg://me:{quote(PASSWORD, safe='')}@127.0.0.1:1/x"),
            _wrong(["status"], WAREHOUSE_URL=f"postgresql+psycopg://me:{PASSWORD}@host:port/x"),
            _wrong(["doctor"], WAREHOUSE_URL=f"mysql://me:{quote(PASSWORD, safe='')}@host/x?password={PASSWORD}"),
            _wrong(["status"], WAREHOUSE_URL=f"postgresql+psycopg://h/x?password={quote(PASSWORD)}&host=/nowhere"),
            _wrong(["run", *month, "--dry-run"], EXPORTS=ADDRESS),
            ["reconcile", *month, "--exports", ADDRESS], ["identify", ADDRESS], ["run", *month, "--exprts", ADDRESS],
            _wrong(["doctor", "--json"], EXPORTS=ADDRESS, PARTS=ADDRESS),
            _wrong(["reconcile", *month], HOME=str(dotenv)), ["fetch", *month, "--json"],
            _wrong(["status"], HALO_RATE=f"{CANARIES['halo_client_secret']}"),
            # A defect of ours: a page of traceback.
            _wrong(["reconcile", *month], POLICY=str(tmp_path / "exports")),
        )  # fmt: skip
    dotenv.unlink()
    _search(tmp_path, halo, warehouse)


@pytest.mark.skipif(os.environ.get("CSP_BILLING_HOSTILE") != "all", reason="takes half a minute: `make hostile`")
def test_no_secret_is_written_by_prefect(halo: Sandbox, duckdb_url: str, tmp_path: Path) -> None:
    """Its logs, artifacts, parameters of task runs and states are in its database, below PREFECT_HOME."""
    generate_month(tmp_path / "exports", period=PERIOD)
    (tmp_path / "home").mkdir()
    own = _settings(halo, f"{duckdb_url}", HOME=str(tmp_path / "home"), DASK_ADDRESS=ADDRESS)
    with _echoing() as echoing:
        done = _run(
            tmp_path,
            ["run", "--period", PERIOD, "--prefect", "--report"],
            _wrong(["load", "nope", "--prefect"], WAREHOUSE_URL=f"mysql://me:{PASSWORD}@host/x"),
            _wrong(["reconcile", "--period", PERIOD, "--prefect"], EXPORTS=ADDRESS),
            _wrong(["orders", "sync", "--prefect"], HALO_URL=echoing),
            **own, PREFECT_LOGGING_LEVEL="DEBUG",
            PREFECT_LOGGING_EXTRA_LOGGERS="urllib3,sqlalchemy,connectors,pipelines",
        )  # fmt: skip
    assert done[0]["code"] == 1, done[0]["err"][-3000:]
    assert (tmp_path / "prefect" / "prefect.db").stat().st_size
    _search(tmp_path, halo, duckdb_url)


def _search(folder: Path, halo: Sandbox, warehouse: str) -> None:
    """Look for every canary in every file, unpacked, and in every text of every table."""
    tokens = list(halo._api._tokens)
    assert tokens
    secrets = [*CANARIES.values(), *tokens, PASSWORD, SIGNATURE, "canary"]
    forms = (str, quote, lambda one: quote(one, safe=""), lambda one: json.dumps(one)[1:-1])
    wanted = {form(one).encode() for one in secrets for form in forms}
    found = [
        f"{name}: …{data[max(at - 200, 0) : at + 100]!r}"
        for name, data in _everything(folder, warehouse)
        for one in wanted
        if (at := data.find(one)) >= 0
    ]
    assert not found, "\n".join(found[:5])


def _everything(folder: Path, warehouse: str) -> Iterator[tuple[str, bytes]]:
    for file in sorted(folder.rglob("*")):
        if not file.is_file():
            continue
        data = file.read_bytes()
        yield file.name, data
        if zipfile.is_zipfile(io.BytesIO(data)):
            with zipfile.ZipFile(file) as archive:
                yield from ((f"{file.name}!{name}", archive.read(name)) for name in archive.namelist())
        if file.suffix == ".parquet":
            yield f"{file.name} as text", repr(duckdb.read_parquet(str(file)).fetchall()).encode()
        if file.suffix == ".duckdb":
            with duckdb.connect(str(file), read_only=True) as opened:
                yield from _tables(f"{file.name} as text", opened)
    engine = sa.create_engine(warehouse, poolclass=sa.NullPool)
    with engine.connect() as connection:
        for table in sa.inspect(connection).get_table_names():
            yield f"table {table}", repr(connection.exec_driver_sql(f'select * from "{table}"').all()).encode()


def _tables(name: str, engine: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, bytes]]:
    tables = engine.execute("select table_name from duckdb_tables()").fetchall()
    for (table,) in tables:
        yield f"{name}, {table}", repr(engine.execute(f'select * from "{table}"').fetchall()).encode()


@pytest.mark.parametrize(("text", "shown"), [
    ("postgresql://me:pa/ss@wo:rd#1@host/db", "postgresql://me:********@host/db"),
    ("see https://a:b@c/d?sig=x%2F&sv=1 and s3://k:s@b", "see https://a:********@c/d?sig=********&sv=******** and "
     "s3://k:********@b"),
    ("https://host/a:b/c@d", "https://host/a:b/c@d"), ("Ada <ada@example.com>: 10:30", "Ada <ada@example.com>: 10:30"),
])  # fmt: skip
def test_addresses_are_masked_by_their_form(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


def test_settings_are_shown_without_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    shown = repr(load_settings(**CANARIES, warehouse_url=f"postgresql://me:{PASSWORD}@h/x", exports=ADDRESS).masked())
    assert "canary" not in shown
