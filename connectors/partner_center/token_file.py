"""Keeping the newest refresh token, so that an unattended set-up does not end with the one that was configured.

The file belongs to its user alone (mode 0600) and says by a digest which configured token it followed: once somebody
configures another one, after a new consent, the file no longer counts.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path

from transforms.errors import InputError

#: Microsoft ends a refresh token this long after it was issued.
LIFE_DAYS = 90


class TokenFile:
    """The newest refresh token.

    Args:
        path: of the file.
        configured: the token of the settings, empty where there is none.
    """

    def __init__(self, path: Path, configured: str) -> None:
        self.path = path
        self._configured = configured

    def tokens(self) -> tuple[str, ...]:
        """The refresh tokens to try, the newest first."""
        kept = self._read().get("token", "")
        return tuple(dict.fromkeys(token for token in (kept, self._configured) if token))

    def issued_at(self) -> datetime | None:
        """When the newest token was issued; None where Microsoft has sent none since one was configured."""
        try:
            return datetime.fromisoformat(self._read()["issued_at"])
        except (KeyError, ValueError):
            return None

    def keep(self, token: str) -> None:
        """Write a new token in place of the last one.

        Raises:
            InputError: it cannot be written; nothing is lost yet, but unattended runs would end with the old token.
        """
        document = {
            "follows": self._digest(),
            "issued_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "token": token,
        }
        new = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    json.dump(document, file)
                    file.flush()
                    os.fsync(file.fileno())
                new.replace(self.path)
            finally:
                new.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(
                f"{self.path}: Microsoft's new refresh token cannot be kept ({error.strerror}); the one configured "
                f"ends {LIFE_DAYS} days after it was issued: check space and permissions"
            ) from None

    def _read(self) -> dict[str, str]:
        """The file's content, if it follows the configured token."""
        try:
            document = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(document, dict) or document.get("follows") != self._digest():
            return {}
        return {str(name): str(value) for name, value in document.items()}

    def _digest(self) -> str:
        return hashlib.sha256(self._configured.encode()).hexdigest()
