"""Integrations of e-commerce shops and Microsoft's notification subscriptions, in HaloPSA itself.

Bodies come from a JSON file or stdin. A secret in them may be named instead of written: `env:NAME` is read from the
environment. What is shown of a record is what its model declares, with secrets masked and without nested parts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from connectors.halopsa import registry, wire
from connectors.halopsa.client import HaloClient
from connectors.halopsa.models.base import Property, Type, properties_of
from connectors.halopsa.records import (
    Record,
    create_record,
    delete_record,
    get_record,
    list_records,
    update_record,
)
from connectors.halopsa.registry import Resource
from pipelines.loading import log_in
from pipelines.settings import Settings
from transforms.errors import InputError
from transforms.orders import integration_problems, integration_row, parse_time, without_login
from transforms.subscriptions import EXPIRING_DAYS, expiry_of, subscription_state

MASK = "********"
INTEGRATION_COLUMNS = ["kind", "integration_id", "name", "url", "is_enabled", "is_authorized", "last_synced_at",
                       "problems"]  # fmt: skip
SUBSCRIPTION_COLUMNS = ["id", "fullname", "microsoft_name", "site_name", "subscription_id", "subscription_expiry",
                        "state"]  # fmt: skip
_FROM_ENVIRONMENT = "env:"


@dataclass(frozen=True)
class Kind:
    """A kind of record that people change by hand.

    Attributes:
        what: its name in messages.
        resource: where HaloPSA has it.
        identity: the properties that tell one from another, so that none is made twice.
    """

    what: str
    resource: Resource
    identity: tuple[str, ...]


INTEGRATIONS = {
    "shopify": Kind("shopify integration", registry.SHOPIFY, ("shopname",)),
    "amazon": Kind("amazon integration", registry.AMAZON, ("storefrontname", "marketplace")),
    "adobe": Kind("adobe integration", registry.ADOBE, ("connectionname",)),
    "datto": Kind("datto integration", registry.DATTO, ("url",)),
}
SUBSCRIPTIONS = Kind("subscription", registry.MAPPINGS, ("microsoft_id", "site_path", "halo_id", "type"))


def list_integrations(settings: Settings, now: datetime, kind: str | None = None) -> list[Record]:
    """The state of HaloPSA's integrations, of one kind or all, and what is wrong with each."""
    client = log_in(settings)
    rows = [
        integration_row(name, record, client.base_url)
        for name, each in INTEGRATIONS.items()
        if kind in (None, name)
        for record in list_records(client, each.resource.path)
    ]
    return [
        {**{name: row[name] for name in INTEGRATION_COLUMNS if name != "problems"},
         "problems": integration_problems(row, now)}
        for row in rows
    ]  # fmt: skip


def show(settings: Settings, kind: Kind, record_id: int) -> Record:
    """One record as it is shown; raises InputError when there is none."""
    return shown(kind.resource, get_record(log_in(settings), kind.resource.path, record_id, kind.what))


def put(settings: Settings, kind: Kind, body: Record) -> Record:
    """Create a record, or change the one whose id the body has; returns what was done and the record as shown.

    Nothing is sent where the record is as the body wants it already. A new record must not be there yet.

    Raises:
        InputError: no such record, or there is one already; nothing was sent.
        RemoteError: HaloPSA failed; after a change of what can be seen, repeating the command is safe.
    """
    client, resource = log_in(settings), kind.resource
    if not body.get("id"):
        return _created(client, kind, {name: value for name, value in body.items() if name != "id"})
    before = get_record(client, resource.path, int(body["id"]), kind.what)
    hidden = {name for name in body if properties_of(resource.model)[name].write_only}
    if not hidden and not _differing(resource, body, before):
        return {"id": before["id"], "action": "unchanged", "record": shown(resource, before)}
    record = update_record(
        client, resource.path, body, kind.what, lambda found: _differing(resource, body, found),
        shows=not hidden, hide=_secrets(resource, body),
    )  # fmt: skip
    return {"id": record["id"], "action": "updated", "record": shown(resource, record)}


def delete(settings: Settings, kind: Kind, record_id: int) -> Record:
    """Delete a record and see that it is gone; raises InputError when there is none, RemoteError."""
    record = delete_record(log_in(settings), kind.resource.path, record_id, kind.what)
    return {"id": record_id, "action": "deleted", "record": shown(kind.resource, record)}


def list_subscriptions(settings: Settings, now: datetime, within: int | None = None) -> list[Record]:
    """The subscriptions with their state, those that end first at the top.

    Args:
        settings: name HaloPSA.
        now: the time, UTC.
        within: only those that have ended or end within so many days.
    """
    client, path = log_in(settings), SUBSCRIPTIONS.resource.path
    days = EXPIRING_DAYS if within is None else within
    rows = [
        {**shown(SUBSCRIPTIONS.resource, record), "state": subscription_state(record, now, days)}
        for record in sorted(list_records(client, path), key=_by_expiry)
    ]
    return [row for row in rows if within is None or row["state"] in ("expired", "expiring")]


def renew(settings: Settings, record_ids: list[int], now: datetime, within: int, days: int) -> list[Record]:
    """Move the end of subscriptions to so many days from now; what ends later already is left alone.

    Args:
        settings: name HaloPSA.
        record_ids: these; empty for all that are expiring.
        now: the time, UTC.
        within: in how many days a subscription must end to be expiring.
        days: how long they last from now on.

    Raises:
        InputError: there is no such subscription, or it has ended: Microsoft renews none that has.
        RemoteError: HaloPSA failed; what was renewed before stays so, and the command can be repeated.
    """
    client, path = log_in(settings), SUBSCRIPTIONS.resource.path
    if record_ids:
        records = [get_record(client, path, each, SUBSCRIPTIONS.what) for each in record_ids]
        ended = [str(record["id"]) for record in records
                 if subscription_state(record, now) in ("expired", "not subscribed")]  # fmt: skip
        if ended:
            raise InputError(f"subscription {', '.join(ended)} has ended or is not subscribed, and Microsoft renews "
                             "none that has; delete it and create it anew")  # fmt: skip
    else:
        records = [each for each in list_records(client, path) if subscription_state(each, now, within) == "expiring"]
    return [_renewed(client, record, (now + timedelta(days=days)).replace(microsecond=0)) for record in records]


def expiring_notice(client: HaloClient, now: datetime) -> str:
    """A sentence about subscriptions that have ended or are about to; empty when there are none."""
    states = [(record["id"], subscription_state(record, now))
              for record in list_records(client, SUBSCRIPTIONS.resource.path)]  # fmt: skip
    told = []
    for state, text in (("expired", "ended"), ("expiring", f"ending within {EXPIRING_DAYS} days")):
        ids = [str(record_id) for record_id, found in states if found == state]
        if ids:
            told.append(f"{text} are {', '.join(ids)}")
    return f"of its Microsoft subscriptions, {' and '.join(told)}" if told else ""


def read_body(source: str, kind: Kind) -> Record:
    """A record from a JSON file, or from stdin for `-`, as it is sent.

    Raises:
        InputError: no such file, no JSON object, a property that the record has not, a value of the wrong type, or an
            environment variable that is not set. No value is quoted.
    """
    name = "stdin" if source == "-" else source
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{name} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from None
    try:
        document = wire.decode(text)
    except ValueError as error:
        # Without the parser's own words, which may quote the text.
        line = getattr(error, "lineno", None)
        raise InputError(f"{name} is no JSON" + (f", see line {line}" if line else "")) from None
    if not isinstance(document, dict):
        raise InputError(f"{name} must hold one JSON object with the properties of a {kind.what}")
    return _body(name, document, kind)


def shown(resource: Resource, record: Mapping[str, Any]) -> Record:
    """What may be seen of a record: what its model declares, secrets masked, nested parts left out."""
    result = {}
    for name, prop in properties_of(resource.model).items():
        value = record.get(name)
        if value is None or prop.type is Type.JSON:
            continue
        if prop.secret:
            value = MASK if value else ""
        result[name] = without_login(value) if name == "url" else value
    return result


def _body(name: str, document: Record, kind: Kind) -> Record:
    properties = properties_of(kind.resource.model)
    unknown = sorted(set(document) - set(properties))
    if unknown:
        raise InputError(f"{name}: a {kind.what} has no {', '.join(unknown)}; it has {', '.join(properties)}")
    given = {each: _given(name, value, properties[each]) for each, value in document.items() if value is not None}
    try:
        return kind.resource.model.model_validate(given).to_body()
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(f"{name}: {place} is of the wrong type: {first['msg']}") from None


def _given(name: str, value: Any, prop: Property) -> Any:
    """The value, or for a secret that is only named, what the environment has."""
    if not prop.secret or not isinstance(value, str) or not value.startswith(_FROM_ENVIRONMENT):
        return value
    variable = value.removeprefix(_FROM_ENVIRONMENT)
    found = os.environ.get(variable)
    if not found:
        raise InputError(f"{name}: {prop.name} is to come from the environment variable {variable}, which is not set")
    return found


def _created(client: HaloClient, kind: Kind, body: Record) -> Record:
    resource = kind.resource
    identity = {name: body[name] for name in kind.identity if body.get(name) is not None}
    if not identity:
        raise InputError(f"a new {kind.what} needs its {' or '.join(kind.identity)}; to change one, give its id")

    def is_it(record: Record) -> bool:
        return not _differing(resource, identity, record)

    there = [str(record["id"]) for record in list_records(client, resource.path) if is_it(record)]
    if there:
        raise InputError(f"HaloPSA has this {kind.what} already, id {', '.join(there)}; give the id to change it")
    record = create_record(client, resource.path, body, kind.what, is_it, _secrets(resource, body))
    return {"id": record["id"], "action": "created", "record": shown(resource, record)}


def _renewed(client: HaloClient, record: Record, until: datetime) -> Record:
    before = expiry_of(record)
    if before is not None and before >= until:
        return {"id": record["id"], "action": "unchanged", "subscription_expiry": before}
    body = {"id": record["id"], "subscription_expiry": until.isoformat().replace("+00:00", "Z")}

    def differs(found: Record) -> list[str]:
        # Microsoft may grant less than was asked for; later than before is renewed.
        after = expiry_of(found)
        return [] if after is not None and (before is None or after > before) else ["subscription_expiry"]

    found = update_record(client, SUBSCRIPTIONS.resource.path, body, SUBSCRIPTIONS.what, differs)
    return {"id": record["id"], "action": "renewed", "subscription_expiry": expiry_of(found)}


def _differing(resource: Resource, body: Mapping[str, Any], record: Mapping[str, Any]) -> list[str]:
    """Names of the properties that the record has otherwise than the body, as far as they can be seen."""
    properties = properties_of(resource.model)
    return [
        name
        for name, value in body.items()
        if not (properties[name].write_only or properties[name].type is Type.JSON or name == "_warning")
        and _comparable(properties[name], value) != _comparable(properties[name], record.get(name))
    ]


def _comparable(prop: Property, value: Any) -> Any:
    """A value without the differences of writing it: HaloPSA has empty texts and dates for nothing."""
    if prop.type is Type.DATE and isinstance(value, str):
        try:
            return parse_time(value)
        except ValueError:
            return value
    return value if value not in ("", False) else None


def _secrets(resource: Resource, body: Mapping[str, Any]) -> list[str]:
    """The secrets of a body; what HaloPSA answers may quote them."""
    return resource.model.model_validate(dict(body)).secrets()


def _by_expiry(record: Record) -> tuple[bool, datetime, int]:
    expiry = expiry_of(record)
    return expiry is None, expiry or datetime.max.replace(tzinfo=UTC), record["id"]
