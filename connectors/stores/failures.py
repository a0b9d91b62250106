"""What went wrong at a store, in one line: told by the answer's status and the kind of error.

Each store has errors of its own, and fsspec hides some behind others: what is asked is the whole chain. None of their
packages is imported for that, since only one of them may be there.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from transforms.addresses import masked, scheme_of
from transforms.errors import NO_ROOM, BillingError, InputError, RemoteError, SettingsError

#: The extra of csp-billing that brings what a scheme needs.
EXTRAS = {"s3": "s3", "abfs": "azure", "adl": "azure", "http": "http", "https": "http"}
_CREDENTIALS = {
    "s3": "the AWS_… variables or the AWS profile",
    "abfs": "the AZURE_STORAGE_… variables or the Azure login",
}

_DENIED = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound",
           "ClientAuthenticationError", "CredentialUnavailableError", "TokenRetrievalError"}  # fmt: skip
_UNREACHABLE = ("ClientConnect", "EndpointConnection", "ConnectTimeout", "ServiceRequest", "ServerDisconnected",
                "ServiceResponse", "ClientPayload", "IncompleteRead", "ConnectionClosed", "ResponseStreaming",
                "HTTPClientError", "FSTimeout")  # fmt: skip
#: Local conditions while something is copied to this machine.
_DISK = NO_ROOM | {errno.EROFS}
#: These are defects of the program, never of the store.
_DEFECTS = (AttributeError, TypeError, KeyError, IndexError, AssertionError, RecursionError)
_LONGEST_REASON = 200


@contextmanager
def told(address: str) -> Iterator[None]:
    """Turn whatever a store raises inside into one line that names the address, masked.

    Raises:
        InputError: there is no such thing, or it changed while it was used.
        SettingsError: access is denied, the address is wrong, or an extra is not installed.
        RemoteError: the store cannot be reached or failed.
    """
    try:
        yield
    except (BillingError, *_DEFECTS):
        raise
    except ImportError as error:
        raise _missing_extra(address, error) from None
    except Exception as error:
        raise failure(address, error) from error


def failure(address: str, error: Exception) -> BillingError:
    """The error that is told for an exception of a store's."""
    chain = list(_chain(error))
    shown, reason = masked(address), _reason(chain)
    status = next((found for one in chain if (found := _status(one)) is not None), None)
    names = {type(one).__name__ for one in chain}
    numbers = {one.errno for one in chain if isinstance(one, OSError)}
    if numbers & _DISK:
        return SettingsError(f"{shown}: its copy cannot be kept on this machine: {reason}; check space and permissions")
    is_denied = any(isinstance(one, PermissionError) for one in chain) or bool(names & _DENIED)
    if status in (401, 403) or (status is None and is_denied):
        check = _CREDENTIALS.get(scheme_of(address), "its login")
        return SettingsError(f"{shown}: the store denies access: {reason}; check {check} and what they may do there")
    if isinstance(error, NotImplementedError):
        return SettingsError(f"{shown}: this kind of store cannot be used for that, such as writing")
    if status == 412:
        return changed(address)
    if status is None and any(isinstance(one, ConnectionError | TimeoutError) or type(one).__name__.startswith(
            _UNREACHABLE) for one in chain):  # fmt: skip
        return RemoteError(f"{shown}: the store cannot be reached, or the connection broke: {reason}; run again")
    if status == 404 or (status is None and any(isinstance(one, FileNotFoundError) for one in chain)):
        return InputError(f"{shown}: there is nothing at this address: check its bucket or container, and its path")
    if (status is not None and 400 <= status < 500 and status not in (408, 429)) or isinstance(error, ValueError):
        return SettingsError(f"{shown}: the store refuses this address or its settings: {reason}")
    return RemoteError(f"{shown}: the store failed: {reason}; run again")


def is_absent(address: str, error: Exception) -> bool:
    """Whether an error says that there is nothing, and not that nobody answered: some say the same of both."""
    return isinstance(failure(address, error), InputError)


def changed(address: str) -> InputError:
    """What to say of an object that is being replaced."""
    return InputError(f"{masked(address)}: the object changed while it was copied: run again when it is complete")


def _missing_extra(address: str, error: ImportError) -> SettingsError:
    extra = EXTRAS.get(scheme_of(address))
    if extra is None:
        return SettingsError(f"{masked(address)}: what this kind of store needs is not installed: {error}")
    return SettingsError(
        f"{masked(address)}: what this kind of store needs is not installed: pip install 'csp-billing[{extra}]'"
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _status(error: BaseException) -> int | None:
    """The HTTP status that the store answered with: aiohttp's, Azure's or botocore's."""
    response = getattr(error, "response", None)
    metadata = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    found = metadata.get("HTTPStatusCode") or getattr(error, "status_code", None) or getattr(error, "status", None)
    return found if isinstance(found, int) and found >= 400 else None


def _reason(chain: list[BaseException]) -> str:
    """What the error says, or the one it came from: one line, without secrets."""
    for error in chain:
        said = (error.strerror if isinstance(error, OSError) and error.strerror else None) or str(error)
        if lines := said.strip().splitlines():
            return masked(lines[0])[:_LONGEST_REASON].rstrip(" .;")
    return type(chain[0]).__name__
