"""What lies in a landing zone, against what the fake has."""

from __future__ import annotations

from pathlib import Path

from connectors.halopsa import wire
from connectors.landed_versions import counted
from tests.partner_center.fake import Fake

PERIOD = "2025-11"


def zone(home: Path | str = ".csp-billing") -> Path:
    """The period's folder in the landing zone of a working folder."""
    return Path(home, "landing", "partner-center", PERIOD)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too, but for the time in manifests."""
    return {
        path.relative_to(folder).as_posix(): b"".join(
            line for line in path.read_bytes().splitlines(keepends=True)
            if path.name != "manifest.json" or b"landed_at" not in line
        )
        for path in sorted(folder.rglob("*")) if path.is_file()
    }  # fmt: skip


def differences(fake: Fake, folder: Path) -> list[str]:
    """Where the landed files that count differ from what the fake has; empty where they are the same."""
    names = counted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    found = {name: (folder / name).read_bytes() for name in names}
    wrong = []
    for dataset in ("reconciliation", "usage"):
        for key in fake.month.invoices:
            wanted = fake.blobs_of(dataset, key)
            have = {name.rpartition("/")[2]: content for name, content in found.items()
                    if name.startswith(f"{dataset}/{key}/")}  # fmt: skip
            wrong += [] if wanted == have else [f"{dataset} {key}"]
    for number, invoice in fake.month.invoices.items():
        have_invoices = [wire.decode(content) for name, content in found.items()
                         if name.startswith(f"invoices/{number}/")]  # fmt: skip
        told = [{**one, "pdfDownloadLink": invoice["pdfDownloadLink"]} for one in have_invoices]
        wrong += [] if told == [invoice] else [f"invoice {number}"]
    sheets = {name.split("/")[0] + name.split("/")[1] for name in found if "-prices/" in name}
    wrong += [] if len(sheets) == len(fake.month.sheets) else ["sheets"]
    return wrong
