"""The file that says which HaloPSA client each customer's tenant belongs to: a small CSV that people write."""

from __future__ import annotations

import csv
from pathlib import Path

from transforms.errors import InputError
from transforms.headers import match_headers
from transforms.tables import CUSTOMER_CLIENTS

_LARGEST_ID = 2**31 - 1
#: Python refuses to read a number of thousands of digits.
_MOST_DIGITS = 20


def read_customer_file(path: Path) -> list[dict[str, str | int | None]]:
    """Read the mapping: columns customer_id and client_id, and client_name if it is there; others are ignored.

    Returns:
        One row a tenant, with the columns of the customer clients table but the day of import. Tenants are in lower
        case; several may have one client.

    Raises:
        InputError: no such file, no such columns, a row without a tenant or with a client that is no number, or one
            tenant with two clients; names file and row.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8: save it as CSV UTF-8") from None
    delimiter = ";" if text.partition("\n")[0].count(";") > text.partition("\n")[0].count(",") else ","
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter)
    try:
        return _read_rows(reader, path)
    except csv.Error as error:
        raise InputError(f"{path} row {reader.line_num + 1} cannot be read: {error}; mend that row") from None


def _read_rows(reader: csv.DictReader[str], path: Path) -> list[dict[str, str | int | None]]:
    found = match_headers(reader.fieldnames or [], CUSTOMER_CLIENTS)
    if found.missing:
        raise InputError(
            f"{path} lacks the column {found.missing_names}: its first line names the columns customer_id, client_id "
            "and, if wanted, client_name"
        )
    names = {column: delivered[0] for column, delivered in found.found.items()}
    rows: dict[str, tuple[int, dict[str, str | int | None]]] = {}
    for record in reader:
        row = {column: (record[name] or "").strip() for column, name in names.items()}
        if not any(row.values()):
            continue
        tenant = row["customer_id"].lower()
        if not tenant:
            raise InputError(f"{path} row {reader.line_num}: customer_id is empty: write the customer's tenant id")
        client = row["client_id"]
        if not _is_client(client):
            told = client if len(client) <= _MOST_DIGITS else f"{client[:_MOST_DIGITS]}…"
            raise InputError(f"{path} row {reader.line_num}: client_id {told!r} is no number of a HaloPSA client")
        before = rows.get(tenant)
        if before and before[1]["client_id"] != int(client):
            raise InputError(
                f"{path} row {reader.line_num}: tenant {tenant} has client {client}, but client "
                f"{before[1]['client_id']} in row {before[0]}: take one of them out"
            )
        name = row.get("client_name") or None
        rows[tenant] = (reader.line_num, {"customer_id": tenant, "client_id": int(client), "client_name": name})
    if not rows:
        raise InputError(f"{path} has no row: write a customer_id and a client_id in each")
    return [row for _, row in rows.values()]


def _is_client(text: str) -> bool:
    is_number = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    return is_number and 0 < int(text) <= _LARGEST_ID
