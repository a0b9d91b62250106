"""Where files lie: a path on this machine, or the URL of a store; and how a URL is shown without its secrets."""

from __future__ import annotations

import re

#: What names of copies in the making begin with; nothing that begins with a dot counts as delivered or landed.
TEMPORARY = ".landing-"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)(?:::|://)")
_LOCAL = ("file://", "local://")
#: Schemes that name the same store.
_ALIASES = {"s3a": "s3", "az": "abfs", "abfss": "abfs"}

MASK = "********"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")
#: To the last @: a password may have any sign in it, also a slash and an @.
#: What a message gives as an example is none.
_PASSWORD = re.compile(r"(://[^:/@\s]*:)(?!password@host/)[^\s]*@")
#: Whoever is named alone before a web address is a token; before an Azure one it is the container.
_TOKEN = re.compile(r"(https?://)[^/@\s:]+@", re.IGNORECASE)
_QUERY = re.compile(r"([?&;][^=&#\s]+=)[^&#\s]+")
#: What stores put into messages and connection strings.
_NAMED = re.compile(r"\b(AccountKey|SharedAccessKey|SharedAccessSignature|Signature|sig)=[^\s;&'\"]+", re.IGNORECASE)


def is_url(location: str) -> bool:
    """Whether a location is the URL of a store, rather than a path or a `file://` URL, which is only another path."""
    return _SCHEME.match(location) is not None and not location.startswith(_LOCAL)


def local_path(location: str) -> str:
    """A path as it is, that of a `file://` URL without its scheme."""
    for prefix in _LOCAL:
        location = location.removeprefix(prefix)
    return location


def scheme_of(url: str) -> str:
    """The scheme of a URL, one name for each store; of a chained URL that of its first part."""
    found = _SCHEME.match(url)
    scheme = found[1].lower() if found else ""
    return _ALIASES.get(scheme, scheme)


def masked(text: str) -> str:
    """A URL, or a sentence with URLs, without passwords, tokens, signatures and values of queries."""
    text = _NAMED.sub(rf"\1={MASK}", text)
    return _URL.sub(lambda url: _masked_url(url[0]), text)


def place_below(address: str, parent: str) -> str | None:
    """Where an address lies below another one, both masked URLs: empty for the same one, None where it does not."""
    own, above = (f"{scheme_of(url)}{url.partition('://')[2].rstrip('/')}" for url in (address, parent))
    return own.removeprefix(above).lstrip("/") if own == above or own.startswith(f"{above}/") else None


def _masked_url(url: str) -> str:
    url = _PASSWORD.sub(rf"\1{MASK}@", url)
    return _QUERY.sub(rf"\1{MASK}", _TOKEN.sub(rf"\1{MASK}@", url))
