"""`csp-billing sandbox` as a user runs it."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectors.halopsa.client import HaloClient
from connectors.halopsa.models.commerce import EcommerceOrder
from connectors.halopsa.resources import HaloApi
from pipelines.settings import PREFIX

_COMMAND = [sys.executable, "-m", "pipelines.cli", "sandbox", "--port", "0"]


@contextmanager
def running(*options: str) -> Iterator[HaloApi]:
    """The sandbox in a process of its own, by the settings it tells; interrupted at the end."""
    # Where the tests run in the background of a script it is ignored, which a process inherits.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen([*_COMMAND, "--json", *options], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        told = json.loads("".join(itertools.takewhile(lambda line: line != "}\n", process.stdout)) + "}")
        url, client_id, secret = (told[f"{PREFIX}HALO_{name}"] for name in ("URL", "CLIENT_ID", "CLIENT_SECRET"))
        yield HaloApi(HaloClient(url, client_id, secret, patience=2))
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    finally:
        process.kill()
        process.communicate()


def test_a_restart_has_what_was_stored(tmp_path: Path) -> None:
    options = ["--store", str(tmp_path / "halo.db")]
    with running(*options) as api:
        api.orders.save([EcommerceOrder(shop_name="s")])
    with running(*options) as api:
        assert [order.shop_name for order in api.orders.all()] == ["s"]


@pytest.mark.parametrize("kind", ["folder", "text"])
def test_a_store_that_cannot_be_one_is_told_in_a_line(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "store"
    if kind == "folder":
        path.mkdir()
    else:
        path.write_text("not a store " * 100)
    done = subprocess.run([*_COMMAND, "--store", str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert str(path) in done.stderr
    assert done.stderr.strip().count("\n") == 0
