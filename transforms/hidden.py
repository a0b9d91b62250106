"""Secrets in texts: those of this process's settings, and those that any address shows by its form.

Every error is worded through `without_secrets`, whoever words it, and so is every record of a log and every traceback
(`pipelines.masking`). Knowing the secrets here is the one thing in this package that lasts between two calls.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from transforms.addresses import MASK, masked

#: Anything shorter protects nothing, and blanking it would shred every message.
_SHORTEST = 4
#: So does a word, such as the password `postgres` of a trial; where it stands in an address it is masked all the same.
_WORD = re.compile(r"[a-z]*")

#: What may be a secret in an address: what stands before the last @, and what a query names as one.
_LOGIN = re.compile(r"://[^\s:/?#@]*:([^\s]*)@")
_QUERY = re.compile(r"[?&;][^=&#\s]*(?:password|pwd|secret|token|signature|sig|key)[^=&#\s]*=([^&#\s]+)", re.IGNORECASE)

_known: set[str] = set()


def keep_secret(texts: Iterable[str]) -> None:
    """Blank these out of every message from now on, also as JSON writes them."""
    for text in texts:
        if len(text) >= _SHORTEST and not _WORD.fullmatch(text):
            _known.update((text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]))


def without_secrets(text: str) -> str:
    """The text with every secret blanked that is known, or that an address in it shows."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return masked(text) if "=" in text or "://" in text else text


def secrets_in_url(text: str) -> set[str]:
    """The passwords and signatures of an address, as they are written and as they are meant."""
    from urllib.parse import unquote, unquote_plus

    found = {match[1] for pattern in (_LOGIN, _QUERY) for match in pattern.finditer(text)}
    return found | {unquote(one) for one in found} | {unquote_plus(one) for one in found}
