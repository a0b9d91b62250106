"""What can go wrong with Partner Center and Microsoft Graph, each told in one line without a secret."""

from __future__ import annotations

from transforms.errors import RemoteError


class PartnerCenterError(RemoteError):
    """A failure of Microsoft's side.

    Attributes:
        status: HTTP status, or None where no answer came.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class GoneError(PartnerCenterError):
    """An operation, a manifest, a blob or its signature is no longer valid: the export has to be asked for again."""


class TransferError(PartnerCenterError):
    """What arrived is not what was sent: too short, or damaged."""
