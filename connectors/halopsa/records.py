"""Changing single records of HaloPSA by hand: what is there is read before and after every write.

A write is sent once. Where no usable answer comes, reading again says whether it was applied; it is never sent again
by itself. Repeating a whole command is safe, because it begins by reading.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from connectors.halopsa.client import HaloClient
from connectors.halopsa.errors import DisagreementError, HaloError, OutcomeUnknownError
from connectors.halopsa.paging import read_page
from transforms.errors import InputError

Record = dict[str, Any]


def list_records(client: HaloClient, path: str) -> list[Record]:
    """Every record of a list, lowest id first; raises HaloError, also when the list cannot be read whole."""
    return sorted(client.newest_first(path, "id"), key=lambda record: int(record["id"]))


def find_record(client: HaloClient, path: str, record_id: int) -> Record | None:
    """One record; None when HaloPSA has none of that id. Raises HaloError."""
    try:
        answer = client.get(f"{path}/{record_id}")
    except HaloError as error:
        if error.status == 404:
            return None
        raise
    # An unknown id may also be answered with nothing, and a record may stand in an array or an envelope.
    if isinstance(answer, Mapping) and "id" in answer:
        rows = [answer]
    else:
        rows = list(read_page(answer, path).rows) if answer else []
    return next((dict(row) for row in rows if row.get("id") == record_id), None)


def get_record(client: HaloClient, path: str, record_id: int, what: str) -> Record:
    """One record; raises InputError when there is none, HaloError when it cannot be read."""
    record = find_record(client, path, record_id)
    if record is None:
        raise InputError(f"HaloPSA at {client.base_url} has no {what} {record_id}")
    return record


def update_record(
    client: HaloClient,
    path: str,
    body: Mapping[str, Any],
    what: str,
    differs: Callable[[Record], Collection[str]],
    *,
    shows: bool = True,
    hide: Sequence[str] = (),
) -> Record:
    """Send one change of an existing record and read it back.

    Args:
        client: HaloPSA.
        path: the record's list, below `/api`.
        body: the properties to change, and the record's `id`.
        what: what the record is, for messages.
        differs: what of the change the record, as read back, does not have.
        shows: whether the whole change can be seen by reading; that of a secret cannot.
        hide: secrets in the body, which no message may quote.

    Raises:
        HaloError: it was refused, or it is not known what became of it.
        DisagreementError: HaloPSA accepted it and does not show it.
    """
    record_id = int(body["id"])
    unknown = _send(client, path, body, hide)
    record = find_record(client, path, record_id)
    left = ["id"] if record is None else differs(record)
    if record is not None and not left and (unknown is None or shows):
        return record
    raise _not_done(client, f"{what} {record_id}", unknown, left)


def create_record(
    client: HaloClient,
    path: str,
    body: Mapping[str, Any],
    what: str,
    is_it: Callable[[Record], bool],
    hide: Sequence[str] = (),
) -> Record:
    """Send one new record, and find it by what it is and by an id that was not there before.

    Args:
        client, path, what, hide: as `update_record`.
        body: the properties, without an `id`.
        is_it: whether a record of the list is this one.

    Raises:
        HaloError: it was refused, or it is not known what became of it.
        DisagreementError: HaloPSA accepted it and does not show it, or shows several new ones.
    """
    before = {record["id"] for record in list_records(client, path)}
    unknown = _send(client, path, body, hide)
    found = [record for record in list_records(client, path) if record["id"] not in before and is_it(record)]
    if len(found) == 1:
        # The list may show less of a record than the record itself.
        return find_record(client, path, int(found[0]["id"])) or found[0]
    if found:
        ids = ", ".join(str(record["id"]) for record in found)
        raise DisagreementError(f"HaloPSA has several new {what}s (ids {ids}); delete those that are too many")
    raise _not_done(client, f"the new {what}", unknown)


def delete_record(client: HaloClient, path: str, record_id: int, what: str) -> Record:
    """Delete one record, see that it is gone, and return it as it was.

    Raises:
        InputError: there is none of that id.
        HaloError: as `update_record`.
    """
    record = get_record(client, path, record_id, what)
    unknown: OutcomeUnknownError | None = None
    try:
        client.delete(f"{path}/{record_id}")
    except OutcomeUnknownError as error:
        unknown = error
    if find_record(client, path, record_id) is None:
        return record
    raise _not_done(client, f"the deletion of {what} {record_id}", unknown)


def _send(
    client: HaloClient, path: str, body: Mapping[str, Any], hide: Sequence[str]
) -> OutcomeUnknownError | None:
    """Send a record once; returns the failure that leaves its outcome open."""
    try:
        client.post(path, [body], hide=hide)
    except OutcomeUnknownError as error:
        return error
    return None


def _not_done(
    client: HaloClient, what: str, unknown: OutcomeUnknownError | None, left: Collection[str] = ()
) -> HaloError:
    names = f" ({', '.join(left)})" if left else ""
    if unknown is not None:
        told = "it was sent once and cannot be seen in HaloPSA so far"
        return OutcomeUnknownError(f"it is not known what became of {what}{names}: {unknown}; {told}",
                                   status=unknown.status)  # fmt: skip
    return DisagreementError(
        f"HaloPSA at {client.base_url} accepted {what} and does not show it{names}; look at it there before you "
        "repeat the command"
    )
