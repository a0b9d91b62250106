"""Loads the small month as a process of its own, to be killed: WAREHOUSE_URL BASE_URL."""

from __future__ import annotations

import sys

from connectors.halopsa.client import HaloClient
from connectors.halopsa.ledger import Ledger
from connectors.halopsa.load import HaloLoadSettings, load
from connectors.halopsa.sandbox.options import CLIENT_ID, CLIENT_SECRET
from connectors.warehouse.engine import open_warehouse
from tests.halopsa import month

if __name__ == "__main__":
    warehouse_url, base_url = sys.argv[1:]
    client = HaloClient(base_url, CLIENT_ID, CLIENT_SECRET)
    settings = HaloLoadSettings(batch_size=3, settle_grace_seconds=0.6)
    load(client, Ledger(open_warehouse(warehouse_url), base_url), month.plan(), settings)
