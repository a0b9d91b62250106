"""Answers of HaloPSA that say something else than they should: never a traceback, and no command that does not end."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from connectors.halopsa.connection import Answer
from connectors.halopsa.ledger import Ledger, Transactions
from connectors.halopsa.load import HaloLoadSettings, load, mark_billed
from connectors.halopsa.sandbox.server import Sandbox
from tests.halopsa import month
from tests.halopsa.chaos.campaign import HurriedClient
from transforms.errors import BillingError

_ledger_number = itertools.count(1)
_SETTINGS = HaloLoadSettings(batch_size=5, settle_grace_seconds=0)
#: Far more than the month needs.
_MOST_REQUESTS = 500
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 0.1, "", "x", "1", "\x00", "NaN", [], {}, [[]], [None], [1],
    {"id": None}, {"id": 1}, {"error": {"a": []}},
)  # fmt: skip
_BODIES = (
    b"", b" ", b"null", b"[]", b"{}", b"true", b"1", b'"x"', b"<html>", b"\xff\xfe", b"\xef\xbb\xbf[]", b"NaN",
    b"[1e999]", b"9" * 5000, b"[" * 5000, b"[" * 200_000, b'{"a":' * 5000, b'{"record_count": 1, "data": null}',
)  # fmt: skip
_STATUSES = (200, 201, 204, 206, 301, 302, 307, 400, 401, 403, 404, 409, 413, 415, 422, 500)
_REDIRECTS = (301, 302, 307)
_LOCATIONS = (
    "", "/", "//", "http://", "http://[", "http://host:99999999/", "http://127.0.0.1:x/", "//evil/", "\x00", "ä"
)  # fmt: skip


@dataclass(frozen=True)
class Lie:
    """What is done to answers: from which on, how many, and what.

    Attributes:
        nth: the first one, from 1.
        times: how many.
        body: what they say instead; None to put `value` at `place` of what they say.
        value: any JSON value.
        place: which of the values of the answer is replaced.
        status: their status; 0 to leave it.
        location: of a redirect.
    """

    nth: int
    times: int
    body: bytes | None
    value: Any
    place: int
    status: int
    location: str


lies = st.builds(
    Lie, st.integers(1, 25), st.sampled_from([1, 2, 100]), st.none() | st.sampled_from(_BODIES),
    st.sampled_from(_VALUES), st.integers(0, 60), st.sampled_from((0, 0, 0, *_STATUSES)), st.sampled_from(_LOCATIONS),
)  # fmt: skip


class LiedToClient(HurriedClient):
    """A client some of whose answers are changed."""

    lie: Lie

    def _send(self, method: str, url: str, **arguments: Any) -> Answer:
        answer = super()._send(method, url, **arguments)
        assert self.requests_sent < _MOST_REQUESTS, "the command does not end"
        lies = self.lie.nth <= self.requests_sent < self.lie.nth + self.lie.times
        return _changed(answer, self.lie) if lies else answer


def check_answers(lie: Lie, sandbox: Sandbox, transactions: Transactions) -> str:
    """Load and mark the small month while an answer lies; returns what the command said.

    Raises:
        AssertionError: it does not end.
        Exception: anything but one of `transforms.errors` is a defect.
    """
    sandbox.reset()
    client = LiedToClient(sandbox.base_url, sandbox.client_id, sandbox.client_secret, rate="100000/1", patience=300)
    client.lie = lie
    ledger = Ledger(transactions, f"http://lied-to-{next(_ledger_number)}")
    try:
        load(client, ledger, month.plan(), _SETTINGS)
        mark_billed(client, ledger, month.plan(), _SETTINGS)
    except BillingError as error:
        told = str(error)
    else:
        return "done"
    assert "\n" not in told, told
    return told


def _changed(answer: Answer, lie: Lie) -> Answer:
    content = lie.body
    if content is None:
        try:
            said = json.loads(answer.content)
        except ValueError:
            said = None
        content = json.dumps(_replaced(said, lie.value, itertools.count(), lie.place)).encode()
    if not lie.status:
        return replace(answer, content=content)
    headers = {**answer.headers, "location": lie.location}
    return replace(
        answer, content=content, status=lie.status, headers=CaseInsensitiveDict(headers),
        is_redirect=lie.status in _REDIRECTS,
    )  # fmt: skip


def _replaced(value: Any, other: Any, number: itertools.count[int], place: int) -> Any:
    """The value with the one of this place in it replaced."""
    if next(number) == place:
        return other
    if isinstance(value, dict):
        return {key: _replaced(item, other, number, place) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, other, number, place) for item in value]
    return value
