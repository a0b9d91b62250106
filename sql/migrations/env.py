"""Alembic's entry: runs the revisions on the connection, and in the transaction, that it is handed.

`connectors.warehouse.migrations` hands one over. For `alembic revision --autogenerate` on the command line there is
none; then the warehouse of CSP_BILLING_WAREHOUSE_URL is compared.
"""

from __future__ import annotations

import os

import sqlalchemy as sa
from alembic import context

from connectors.warehouse.engine import SETTING, open_warehouse
from connectors.warehouse.migrations import comparison_options
from connectors.warehouse.schema import metadata


def _run(connection: sa.Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        **comparison_options(connection.dialect.name),
    )
    with context.begin_transaction():
        context.run_migrations()


connection = context.config.attributes.get("connection")
if connection is not None:
    _run(connection)
else:
    with open_warehouse(os.environ[SETTING]).begin() as opened:
        _run(opened)
