"""No secret in what is printed or logged: every log record, and every traceback of a defect, is worded without them."""

from __future__ import annotations

import logging
import sys
import traceback
from types import TracebackType
from typing import Any

from transforms.hidden import keep_secret, without_secrets

_make_record = logging.getLogRecordFactory()
_is_installed = False


def mask_from_now_on(texts: set[str]) -> None:
    """Blank these texts out of messages, logs and tracebacks of this process."""
    global _is_installed
    keep_secret(texts)
    if not _is_installed:
        _is_installed = True
        logging.setLogRecordFactory(_masked_record)
        sys.excepthook = _print_masked


def _masked_record(*arguments: Any, **keywords: Any) -> logging.LogRecord:
    """A record whose message is worded here; whoever formats it, Prefect's server included, has no other."""
    record = _make_record(*arguments, **keywords)
    try:
        message = record.getMessage()
    except (TypeError, ValueError):
        return record
    masked = without_secrets(message)
    if masked != message:
        record.msg, record.args = masked, ()
    if record.exc_info and record.exc_info[0] is not None:
        # Formatters take this text where it is there, and do not format the exception again.
        record.exc_text = without_secrets("".join(traceback.format_exception(*record.exc_info)).rstrip("\n"))
    return record


def _print_masked(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    sys.stderr.write(without_secrets("".join(traceback.format_exception(kind, error, where))))
