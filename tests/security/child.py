"""Runs commands one after the other in one process, and prints what each did, how long it took, and its peak memory.

    python -m tests.security.child < commands.json > outcomes.json

A command is a list of arguments, or an object of these and of changes to the environment. With SECURITY_LOGS in the
environment everything is logged, to stderr.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any


def run(arguments: list[str]) -> dict[str, Any]:
    """One command as `csp-billing` runs it."""
    from pipelines.cli import main

    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    sys.argv = ["csp-billing", *arguments]
    _forget_peak()
    started = time.monotonic()
    code: Any = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
        except BaseException:
            code = 1
            traceback.print_exc()
    texts = [stream.buffer.getvalue().decode("utf-8", "backslashreplace") for stream in (out, err)]
    return {"code": code, "out": texts[0], "err": texts[1], "seconds": time.monotonic() - started, "peak": _peak()}


def _forget_peak() -> None:
    """Start the kernel's account of peak memory afresh."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Peak resident memory since, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) << 10


def _main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    if os.environ.get("SECURITY_LOGS"):
        logging.basicConfig(level=logging.DEBUG, stream=_Stderr())
        for noisy in ("sqlalchemy.engine", "sqlalchemy.pool"):
            logging.getLogger(noisy).setLevel(logging.DEBUG)
    for command in json.load(sys.stdin):
        given = command if isinstance(command, dict) else {"arguments": command, "env": {}}
        before = dict(os.environ)
        os.environ.update(given["env"])
        print(json.dumps(run(given["arguments"])), file=answers, flush=True)
        os.environ.clear()
        os.environ.update(before)


class _Stderr:
    """Whatever stderr is at the moment."""

    def write(self, text: str) -> None:
        sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


if __name__ == "__main__":
    _main()
