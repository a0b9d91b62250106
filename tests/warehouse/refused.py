"""What a login of PostgreSQL may not do."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
import pytest
import sqlalchemy as sa

from connectors.warehouse.engine import Warehouse


def check_refused(warehouse: Warehouse, statements: Sequence[str]) -> None:
    """Check that the server refuses each of these statements for want of a right."""
    for statement in statements:
        with warehouse.engine.connect() as connection:
            with pytest.raises(sa.exc.DBAPIError) as told:
                connection.exec_driver_sql(statement)
            refused = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectNotInPrerequisiteState)
            assert isinstance(told.value.orig, refused), (statement, told.value.orig)
