"""Writes a large month of exports as the product reads them: `python -m benchmarks.generate usage|recon LINES FOLDER`.

`usage`: daily rated usage with the Azure plan price list of 200,000 rows and the Azure-plan lines it is the detail of.
`recon`: licence lines with a licence price list of some 40,000 rows. Both with invoice documents that tie out, and with
one discrepancy in 5,000 lines, which are counted in `FOLDER.planted.json`. The same seed gives the same bytes; memory
does not grow with LINES.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from benchmarks.recon_month import write_recon_month
from benchmarks.usage_month import write_usage_month

#: The month that is written.
PERIOD = "2026-10"
SEED = 20_261_101


def generate(kind: str, lines: int, folder: Path, seed: int = SEED) -> None:
    """Write a month of `kind` usage or recon with so many lines into the folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    write = {"usage": write_usage_month, "recon": write_recon_month}[kind]
    write(lines, folder, seed).write(folder)


def main() -> None:
    """Write what the command line names, and say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["usage", "recon"])
    parser.add_argument("lines", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    began = time.monotonic()
    generate(arguments.kind, arguments.lines, arguments.folder, arguments.seed)
    size = sum(path.stat().st_size for path in arguments.folder.iterdir())
    print(f"{arguments.folder}: {arguments.lines} lines, {size / 1e6:.0f} MB in {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
