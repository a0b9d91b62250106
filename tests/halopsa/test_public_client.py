"""A client that others wrote, `halopsa` of the public registry, reads from and writes to the sandbox.

It is licensed under the AGPL: the test installs it into an environment of its own and talks to it through a process;
nothing of the project imports it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.halopsa.models.commerce import EcommerceOrder
from connectors.halopsa.models.csp import CSPConsumptionData
from connectors.halopsa.registry import RESOURCES, Action
from connectors.halopsa.resources import HaloApi
from connectors.halopsa.sandbox.faults import Fault
from connectors.halopsa.sandbox.server import Sandbox
from tests.halopsa.conftest import connect

_PACKAGE = "halopsa==2.0.2"

#: It knows no other host than halopsa.com, so its session is led to the sandbox; its routes for our resources are the
#: generic ones. It reads a JSON document of tasks and prints one of answers.
_SCRIPT = """
import json, sys
import requests

tasks = json.load(sys.stdin)
send = requests.Session.request
def led(self, method, url, **more):
    return send(self, method, url.replace("https://sandbox.halopsa.com", tasks["base_url"]), **more)
requests.Session.request = led

from HaloPSA import Halo

def attempt(action):
    try:
        return action()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}

halo = Halo("sandbox", tasks["client_id"], tasks["client_secret"])._mh
def run(kind, path, fields):
    url = f"{halo.url}/{path}"
    if kind == "save":
        return halo._update(url, "disabled", **fields)
    if kind == "queue":
        halo._update(url, "queue", **fields)
        return halo._update(url, "update", **fields)
    return halo._get(url, **fields) if kind == "get" else halo._search(url, **fields)

answers = [attempt(lambda: run(*task)) for task in tasks["tasks"]]
answers.append(attempt(lambda: Halo("sandbox", tasks["client_id"], "wrong")))
json.dump(answers, sys.stdout)
"""


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the public client."""
    folder = tmp_path_factory.mktemp("public-client") / "environment"
    venv.create(folder, with_pip=False)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "--no-input"]
    command = [*pip, "install", "--quiet", "--retries", "0", "--timeout", "10", _PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        pytest.skip(f"{_PACKAGE} cannot be installed; is the package registry reachable? ({reason})")
    return python


def ask(python: Path, sandbox: Sandbox, tasks: list[tuple[str, str, dict[str, Any]]]) -> list[Any]:
    """The public client's answers to these tasks, and to a login with a wrong secret."""
    asked = {"base_url": sandbox.base_url, "client_id": sandbox.client_id, "client_secret": sandbox.client_secret,
             "tasks": tasks}  # fmt: skip
    done = subprocess.run(
        [str(python), "-I", "-c", _SCRIPT], input=json.dumps(asked), capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)
    return answers


def test_another_client_writes_and_reads_every_resource(python: Path, sandbox: Sandbox) -> None:
    listed = [each for each in RESOURCES if Action.LIST in each.actions]
    needed: dict[str, dict[str, Any]] = {
        "CSPConsumptionData": {"parentid": 1, "type": 0, "total": 1.1},
        "CSPInvoice": {"id": "G1", "tenantid": 1},
    }
    tasks: list[tuple[str, str, dict[str, Any]]] = []
    for each in listed:
        tasks += [("save", each.path, needed.get(each.name, {})), ("get", each.path, {"id": 1}),
                  ("search", each.path, {"pageinate": True, "page_size": 50, "page_no": 1})]  # fmt: skip
    tasks.append(("save", "CSPSubscriptionPricing/manage", {"productid": "P", "unitprice": 0.1}))
    *answers, price, login = ask(python, sandbox, tasks)
    for each, saved, got, page in zip(listed, answers[::3], answers[1::3], answers[2::3], strict=True):
        assert saved == [got], each.name
        assert got[each.id_property] == 1, each.name
        assert page == {"record_count": 1, "data": [got]}, each.name
    assert price[0]["id"] == 1
    assert login["error"].startswith("ValueError: Unauthorized. The client is not known.")
    # What it wrote by way of binary floats is exact again for us.
    assert HaloApi(connect(sandbox)).consumption.get(1).total == Decimal("1.1")


def test_another_client_pages_and_is_refused_as_by_halopsa(python: Path, sandbox: Sandbox) -> None:
    api = HaloApi(connect(sandbox))
    api.orders.save([EcommerceOrder(shop_name=f"shop {number}") for number in range(120)])
    api.consumption.save([CSPConsumptionData(parentid=1, type=0, total=Decimal("0.30"))])
    sandbox.faults.append(Fault("GET shopifydetails", "429"))
    pages = [("search", "EcommerceOrder", {"pageinate": True, "page_size": 1000, "page_no": number})
             for number in (1, 2, 3)]  # fmt: skip
    *listed, line, nested, wrong, missing, limited, _ = ask(python, sandbox, [
        *pages,
        ("get", "CSPConsumptionData", {"id": 1}),
        ("queue", "EcommerceOrder", {"shop_name": "x"}),
        ("save", "EcommerceOrder", {"moduleid": "many"}),
        ("get", "EcommerceOrder", {"id": 999}),
        ("search", "ShopifyDetails", {}),
    ])  # fmt: skip
    # A page is capped at 100, whatever is asked for.
    assert [len(page["data"]) for page in listed] == [100, 20, 0]
    assert {page["record_count"] for page in listed} == {120}
    assert line["total"] == 0.3
    # Its bulk mode sends an array in an array.
    assert nested["error"] == "ValueError: 400 Bad Request - {'[0]': ['Error converting value to an object.']}"
    assert wrong["error"] == (
        "ValueError: 400 Bad Request - {'[0].moduleid': ['Could not convert str to integer: many.']}"
    )
    # Its own message for a 404 fails, because it reads an attribute that it has not.
    assert "error" in missing
    assert limited["error"].endswith("Your JSON did not decode.")
    assert len(sandbox.orders()) == 120
