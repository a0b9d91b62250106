"""What a failing answer of HaloPSA means: its status, its error body, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.halopsa import wire
from connectors.halopsa.errors import HaloError, NotAppliedError, OutcomeUnknownError, RefusedError, TooLargeError

_LONGEST_QUOTE = 300
#: Anything shorter protects nothing, and blanking it would shred a message and its paths.
_SHORTEST_SECRET = 4

_MENDS = {
    400: "mend what it names, then repeat the command",
    401: "the login is no longer accepted; check the API application's client id and secret in HaloPSA",
    403: "the API application lacks a permission; give its agent access to Microsoft CSP billing in HaloPSA",
    404: "this HaloPSA has no such record or route; check CSP_BILLING_HALO_URL and HaloPSA's version",
    302: "it redirects; check CSP_BILLING_HALO_URL",
    415: "HaloPSA does not take JSON there; check CSP_BILLING_HALO_URL",
    429: "its rate limit stays reached; lower CSP_BILLING_HALO_RATE, or repeat the command later",
}
#: How the auth server answers a login whose id or secret is wrong.
CREDENTIALS_REFUSED = frozenset({400, 401, 403})
#: Statuses after which certainly nothing was applied; 408 and every 5xx leave it open.
_NOT_APPLIED = frozenset({401, 403, 404, 405, 415, 422, 429})


def failure(what: str, status: int, content: bytes, hide: Sequence[str]) -> HaloError:
    """The error that an answer stands for.

    Args:
        what: method, path and host, to begin the message with.
        status: HTTP status.
        content: the body as received.
        hide: texts that must not appear in a message.
    """
    answer = _parse(content)
    fields = {
        _hidden(path, hide): [_hidden(message, hide) for message in messages]
        for path, messages in _fields(answer).items()
    }
    told = _hidden(_message(answer, fields), hide)
    mend = _MENDS.get(status, "repeat the command later" if status >= 500 else "")
    message = "; ".join(part for part in (f"{what} answered {status}", told) if part)
    if status == 400:
        return RefusedError(message, status=status, fields=fields, mend=mend)
    if status == 413:
        return TooLargeError(message, status=status, mend=mend)
    if status in _NOT_APPLIED or 300 <= status < 400:
        return NotAppliedError(message, status=status, fields=fields, mend=mend)
    return OutcomeUnknownError(message, status=status, mend=mend)


def login_failure(base_url: str, status: int, content: bytes, hide: Sequence[str]) -> HaloError:
    """The error of a login that was answered with `status`; a wrong tenant is answered 500 (measured)."""
    code = _hidden(_message(_parse(content), {}), hide)
    told = f"{status} {code}" if code else str(status)
    if status in CREDENTIALS_REFUSED:
        mend = "check CSP_BILLING_HALO_CLIENT_ID and CSP_BILLING_HALO_CLIENT_SECRET"
    elif status >= 500:
        mend = "check CSP_BILLING_HALO_TENANT, or repeat the command later"
    else:
        mend = "check CSP_BILLING_HALO_URL"
    return NotAppliedError(f"HaloPSA at {base_url} refused the login ({told})", status=status, mend=mend)


def _parse(content: bytes) -> Any:
    try:
        return wire.decode(content)
    except ValueError:
        return None


def _fields(answer: Any) -> dict[str, list[str]]:
    """ASP.NET's model state: messages by path, at the top or below `errors` or `ModelState`."""
    if not isinstance(answer, Mapping):
        return {}
    for name in ("errors", "ModelState"):
        if isinstance(answer.get(name), Mapping):
            answer = answer[name]
    return {
        str(path): [str(message) for message in messages]
        for path, messages in answer.items()
        if isinstance(messages, list) and messages and all(isinstance(message, str) for message in messages)
    }


def _message(answer: Any, fields: Mapping[str, Sequence[str]]) -> str:
    """What the body says: model state, or one of the error shapes seen in public."""
    if fields:
        return "; ".join(f"{path} {' '.join(messages)}" for path, messages in list(fields.items())[:3])
    if not isinstance(answer, Mapping):
        return ""
    names = ("error", "error_description", "resultCode", "errorMessage", "Message", "title")
    return " ".join(str(answer[name]) for name in names if answer.get(name))


def _hidden(text: str, hide: Sequence[str]) -> str:
    for secret in hide:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"
