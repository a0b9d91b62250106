"""Secrets in texts: those of this process's settings, and those that any address shows by its form.

Every error is worded through `without_secrets`, whoever words it, and so is every record of a log and every traceback
(`pipelines.masking`). Knowing the secrets here is the one thing in this package that lasts between two calls.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "***"
#: Anything shorter protects nothing, and blanking it would shred every message.
_SHORTEST = 4
#: So does a word, such as the password `postgres` of a trial; where it stands in an address it is masked all the same.
_WORD = re.compile(r"[a-z]*")

#: The login of an address, to the last @ before its path; a password may have any sign, also an @ or a slash.
_LOGIN = re.compile(r"(?<=://)([^\s:/?#@]*):([^\s]*)@(?=[^\s@/]*)")
#: What a query names as a secret: a password, a signature (SAS, presigned S3), a token, a key.
_QUERY = re.compile(
    r"([?&;](?:[\w.-]*(?:password|passwd|pwd|secret|token|signature|credential|api[_-]?key|accountkey)|sig|key)=)"
    r"[^&\s'\"]+", re.IGNORECASE,
)  # fmt: skip

_known: set[str] = set()


def keep_secret(texts: Iterable[str]) -> None:
    """Blank these out of every message from now on."""
    _known.update(text for text in texts if len(text) >= _SHORTEST and not _WORD.fullmatch(text))


def without_secrets(text: str) -> str:
    """The text with every secret blanked that is known, or that an address in it shows."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, MASK)
    if "://" in text:
        text = _LOGIN.sub(rf"\1:{MASK}@", text)
    return _QUERY.sub(rf"\1{MASK}", text)


def secrets_in_url(text: str) -> set[str]:
    """The passwords and signatures of an address, as they are written and as they are meant."""
    from urllib.parse import unquote, unquote_plus

    found = {match[2] for match in _LOGIN.finditer(text)}
    found |= {match[0].partition("=")[2] for match in _QUERY.finditer(text)}
    return found | {unquote(one) for one in found} | {unquote_plus(one) for one in found}
