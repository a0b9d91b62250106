"""Running a local HaloPSA as a command; needs neither pandas nor a warehouse, so it is there soon."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from connectors.halopsa.sandbox.server import Sandbox, serve
from pipelines.output import print_json
from pipelines.settings import PREFIX
from transforms.errors import InputError, StoppedError


def run_sandbox(port: int, store_path: Path | None, *, as_json: bool) -> None:
    """Run a local HaloPSA until interrupted, after telling the settings that reach it.

    Args:
        port: where it listens; 0 for any free port.
        store_path: a file that keeps its records for the next time; None to forget them.
        as_json: tell the settings as one JSON document.

    Raises:
        InputError: the port is taken, or the file cannot keep the records.
        StoppedError: it was interrupted, which is how it ends.
    """
    kept = f"keeps its records in {store_path}" if store_path else "forgets everything"
    try:
        with serve(port, store_path=store_path) as halo:
            settings = halo_settings(halo)
            if as_json:
                print_json(settings)
            else:
                print(f"A local HaloPSA is running; Ctrl-C stops it, and it {kept}. To use it:\n")
                print("\n".join(f"export {name}={value}" for name, value in settings.items()))
            sys.stdout.flush()
            threading.Event().wait()
    except KeyboardInterrupt:
        raise StoppedError(f"the local HaloPSA is stopped; it {kept}") from None
    except OSError as error:
        raise InputError(f"port {port} cannot be used ({error.strerror}): name another one with --port") from None


def halo_settings(halo: Sandbox) -> dict[str, str]:
    """The settings that reach a local HaloPSA, by their variables."""
    return {
        f"{PREFIX}HALO_URL": halo.base_url,
        f"{PREFIX}HALO_CLIENT_ID": halo.client_id,
        f"{PREFIX}HALO_CLIENT_SECRET": halo.client_secret,
    }
