"""Who decides, who records it, and what they write."""

from __future__ import annotations

import getpass
import os
import socket
import sys
import unicodedata

from pipelines.settings import PREFIX, Settings
from transforms.errors import InputError, SettingsError

#: They make a text look like another one.
_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_LONGEST_NAME = 200
_LONGEST_TEXT = 2000


def person(name: str) -> str:
    """A name as it is recorded.

    Raises:
        InputError: there is nothing in it, or nothing that can be read.
    """
    return _readable(name, "the name", _LONGEST_NAME)


def remark(text: str, what: str) -> str:
    """A note or reason as it is recorded; raises InputError like `person`, naming `what`."""
    return _readable(text, what, _LONGEST_TEXT)


def approver(settings: Settings, by: str | None) -> str:
    """Who approves where a command both approves and does the work: `by`, else the setting, else who is logged in.

    Raises:
        InputError: the name cannot be used.
        SettingsError: the operating system knows no name either.
    """
    name = by if by is not None else settings.approver or _user()
    if name is None:
        raise SettingsError(f"{PREFIX}APPROVER is not set, and this user has no name: say who approves with --by NAME")
    return person(name)


def approver_in_advance(settings: Settings, approve: bool, by: str | None) -> str | None:
    """Who approves whatever comes, by the options --approve and --by; None where nobody does.

    Raises:
        InputError, SettingsError: as `approver`, or --by is given alone.
    """
    if approve:
        return approver(settings, by)
    if by is not None:
        raise InputError("--by says who approves: give --approve with it, or leave it out")
    return None


def recorder() -> str:
    """What records a decision: the Prefect flow run that is at work, else the operating system's user and host."""
    if "prefect" in sys.modules:
        from prefect.context import FlowRunContext

        context = FlowRunContext.get()
        if context is not None and context.flow_run is not None:
            return f"Prefect flow run {context.flow_run.id}"
    return f"{_user() or f'uid {os.getuid()}'}@{socket.gethostname()}"


def _user() -> str | None:
    """The name of who is logged in; a container may have none for its user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None


def _readable(text: str, what: str, longest: int) -> str:
    words = " ".join(text.split())
    if not words:
        raise InputError(f"{what} is empty: write it between quotes")
    if any(unicodedata.category(letter) in ("Cc", "Cs") or letter in _TURNING for letter in words):
        raise InputError(f"{what} has characters that cannot be shown as they are: write it anew")
    if len(words) > longest:
        raise InputError(f"{what} has {len(words)} characters: shorten it to {longest}")
    return words
