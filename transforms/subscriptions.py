"""HaloPSA's subscriptions to change notifications of Microsoft Graph and SharePoint, and when they end.

Microsoft sends notifications until a subscription's expiry and then stops without a word, so it is renewed before.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from transforms.errors import RemoteError
from transforms.orders import parse_time

#: How many days before its end a subscription counts as expiring.
EXPIRING_DAYS = 3


def expiry_of(record: Mapping[str, Any]) -> datetime | None:
    """When a subscription ends, UTC; None where HaloPSA names no time. Raises RemoteError for no date."""
    try:
        return parse_time(record.get("subscription_expiry"))
    except ValueError:
        told = f"HaloPSA's subscription {record.get('id')} has a subscription_expiry that is no date"
        raise RemoteError(told) from None


def subscription_state(record: Mapping[str, Any], now: datetime, days: int = EXPIRING_DAYS) -> str:
    """`not subscribed`, `expired`, `expiring` (within so many days), `no expiry` or `active`."""
    if record.get("subscribed") is False:
        return "not subscribed"
    expiry = expiry_of(record)
    if expiry is None:
        return "no expiry"
    if expiry <= now:
        return "expired"
    return "expiring" if expiry - now <= timedelta(days=days) else "active"
