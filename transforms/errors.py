"""The errors that a user can mend, each one line: what is wrong and what to do.

Whatever else is raised is a defect of ours and may show a traceback; these never do. The exit code is the
contract's: 2 nothing done, 3 a remote system failed and the run can be repeated safely.
"""

from __future__ import annotations

import errno

from transforms.hidden import without_secrets
from transforms.shown import one_line

#: What the system says where a disk is full.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class BillingError(Exception):
    """A failure that is told in one line.

    What others wrote may be in it (the name of a file, a value, an answer of HaloPSA), so it has no character that a
    terminal or a log would take for a command, and no secret of this process.
    """

    exit_code = 2

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(without_secrets(message)))


class InputError(BillingError):
    """A file, a row or an argument that cannot be used; names it and the mend."""


class SettingsError(BillingError):
    """A setting that is missing or wrong; names the setting."""


class WarehouseError(BillingError):
    """The warehouse cannot be used: locked, not upgraded, not reachable."""


class StoppedError(BillingError):
    """Somebody stopped the command; says where that leaves things."""

    exit_code = 130


class RemoteError(BillingError):
    """A remote system failed; nothing is lost and the command can be repeated."""

    exit_code = 3


class WarehouseLostError(WarehouseError, RemoteError):
    """The warehouse failed in the middle of work: the transaction is undone, and the command can be repeated."""

    exit_code = 3
