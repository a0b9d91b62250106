"""What can go wrong with HaloPSA, sorted by the one question that matters for a write: was it applied?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from transforms.errors import RemoteError

_ROW_PATH = re.compile(r"\[(\d+)\]")


class HaloError(RemoteError):
    """A failure of HaloPSA, told in one line.

    Attributes:
        status: HTTP status, or None where no answer came.
        fields: messages by the path that ASP.NET gives them, such as `[3].tags`.
        what: what is wrong, the beginning of the message.
        mend: what to do about it, its end; empty where that is all there is to say.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        fields: Mapping[str, Sequence[str]] | None = None,
        mend: str = "",
    ) -> None:
        super().__init__(f"{message}; {mend}" if mend else message)
        self.status = status
        self.what = message
        self.mend = mend
        self.fields = {path: tuple(messages) for path, messages in (fields or {}).items()}

    @property
    def rows(self) -> dict[int, str]:
        """The rows of the body that the field messages name, each with its messages in one text."""
        named: dict[int, list[str]] = {}
        for path, messages in self.fields.items():
            match = _ROW_PATH.search(path)
            if match:
                named.setdefault(int(match[1]), []).append(f"{path[match.end():].lstrip('.')}: {' '.join(messages)}")
        return {row: "; ".join(texts) for row, texts in named.items()}


class NotAppliedError(HaloError):
    """The request certainly changed nothing: it was refused, or it never left."""


class RefusedError(NotAppliedError):
    """Some row of the body is wrong: HaloPSA refused it (400), or it was not sent (no status)."""


class TooLargeError(NotAppliedError):
    """HaloPSA refused the size of the body (413)."""


class OutcomeUnknownError(HaloError):
    """No usable answer came to a write; it may have been applied, may be later, or not at all."""


class DisagreementError(HaloError):
    """HaloPSA does not hold what the ledger says it should; somebody has to look before anything is sent."""
