"""The landing zone's contents, and its retention: which copies are there, and removing those that nobody needs.

A copy is first recorded as pruned and then removed: when the machine stops in between, the next prune removes it. Both
happen while no run is written, and the second looks at the records again, since a run that is given the file again in
between counts on its copy.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from connectors.exports.zone import Landed, Zone, open_zone
from connectors.landed_versions import fetched_file
from connectors.warehouse.copies import billed_periods, read_copies, record_pruned
from connectors.warehouse.engine import Warehouse, open_warehouse
from connectors.warehouse.migrations import ensure_current
from connectors.warehouse.runs import writing_run
from pipelines.progress import tell_progress
from pipelines.settings import Settings
from transforms.errors import BillingError
from transforms.retention import StoredCopy, kept_because, months_back

#: What of a copy fits on a screen; `--json` has everything.
COPY_COLUMNS = ["periods", "file", "kinds", "bytes", "runs", "last_used_at", "state"]
REMOVED_COLUMNS = ["periods", "file", "bytes", "place"]


@dataclass
class Pruned:
    """What pruning removed, or would remove.

    Attributes:
        dry_run: whether nothing was removed.
        zone: the landing zone, masked.
        keep_from: the first month whose copies are kept.
        removed: records of the copies, as `list_copies` gives them.
        left_over: half copies, and mirrors of stores that nobody uses any more.
        kept: how many copies are kept for which reason.
        error: why it could not go on; the rest is removed by the next time.
        exit_code: the contract's.
    """

    dry_run: bool
    zone: str
    keep_from: str
    removed: list[dict[str, Any]] = field(default_factory=list)
    left_over: list[str] = field(default_factory=list)
    kept: dict[str, int] = field(default_factory=dict)
    error: str | None = None
    exit_code: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `landing prune`."""
        return asdict(self)


def list_copies(settings: Settings) -> list[dict[str, Any]]:
    """Every copy that was ever made, and what else lies in the landing zone.

    `state` is kept, pruned, missing (it should be there), damaged (it has another size), manifest (of an export that
    was fetched), left over (half a copy), or unknown: no run of this warehouse was made from it.
    """
    warehouse, zone = _opened(settings)
    there = _there(zone)
    with warehouse.read() as connection:
        copies = read_copies(connection)
    known = {copy.place for copy in copies}
    others = [_other(one) for one in there.values() if one.place not in known]
    records = [_record(copy, _state(copy, there.get(copy.place))) for copy in copies]
    return [*sorted(records, key=lambda one: (one["periods"], one["file"])), *others]


def prune(settings: Settings, keep_months: int, *, dry_run: bool = False) -> Pruned:
    """Remove the copies that `transforms.retention` lets go, and what is left over of copying.

    Only what the warehouse knows is removed: what else lies in the zone may be another's, or was fetched and not yet
    read.

    Raises:
        SettingsError, RemoteError, WarehouseError: nothing was removed.
    """
    warehouse, zone = _opened(settings)
    now = datetime.now(UTC)
    there = _there(zone)
    result = Pruned(dry_run, zone.shown, months_back(now, keep_months))
    if dry_run:
        with warehouse.read() as connection:
            chosen = _chosen(read_copies(connection), there, result, billed_periods(connection))
        result.removed = [_record(copy, "kept") for copy in chosen]
        result.left_over = [place for place, one in there.items() if one.is_left_over]
        _tidy_mirrors(settings, result)
        return result
    with writing_run(warehouse) as connection:
        chosen = _chosen(read_copies(connection), there, result, billed_periods(connection))
        record_pruned(connection, [copy.place for copy in chosen if copy.pruned_at is None], now)
    try:
        with writing_run(warehouse) as connection:
            _remove([copy for copy in read_copies(connection) if copy.pruned_at], zone, there, result)
        _tidy_mirrors(settings, result)
    except BillingError as error:
        result.error, result.exit_code = str(error), error.exit_code
    return result


def _opened(settings: Settings) -> tuple[Warehouse, Zone]:
    warehouse = open_warehouse(settings.warehouse)
    ensure_current(warehouse)
    zone = open_zone(settings.landing_location)
    zone.reach()
    return warehouse, zone


def _there(zone: Zone) -> dict[str, Landed]:
    tell_progress("listing the landing zone")
    return {one.place: one for one in zone.find()}


def _chosen(
    copies: list[StoredCopy], there: dict[str, Landed], result: Pruned, billed: set[str]
) -> list[StoredCopy]:
    """The copies that are to be removed, with those that an earlier prune left; counts the others by reason."""
    chosen, kept = [], Counter[str]()
    for copy in copies:
        reason = None if copy.pruned_at else kept_because(copy, result.keep_from, billed)
        if reason:
            kept[reason] += 1
        elif copy.place in there:
            chosen.append(copy)
    result.kept = dict(sorted(kept.items()))
    return chosen


def _remove(pruned: list[StoredCopy], zone: Zone, there: dict[str, Landed], result: Pruned) -> None:
    going = [copy for copy in pruned if copy.place in there]
    for done, copy in enumerate(going):
        tell_progress("removing copies", done, len(going))
        zone.remove(copy.place)
        result.removed.append(_record(copy, "pruned"))
    for place, one in there.items():
        if one.is_left_over:
            zone.remove(place)
            result.left_over.append(place)


def _tidy_mirrors(settings: Settings, result: Pruned) -> None:
    if not settings.mirror.is_dir():
        return
    # What stores need is loaded for them alone.
    from connectors.exports.mirror import left_over, remove_left_over

    for path in left_over(settings.mirror):
        if result.dry_run or remove_left_over(path):
            result.left_over.append(str(path))


def _state(copy: StoredCopy, landed: Landed | None) -> str:
    if copy.pruned_at is not None:
        return "pruned"
    if landed is None:
        return "missing"
    return "kept" if landed.byte_count == copy.byte_count else "damaged"


def _other(landed: Landed) -> dict[str, Any]:
    """What no run was made from: of what was fetched its place tells the period, and what it is."""
    fetched = fetched_file(landed.place)
    state = "manifest" if fetched and fetched.is_manifest else "unknown"
    return {
        "place": landed.place,
        "file": fetched.place if fetched else landed.place,
        "bytes": landed.byte_count,
        "periods": [fetched.period] if fetched else [],
        "run_ids": [],
        "state": "left over" if landed.is_left_over else state,
    }


def _record(copy: StoredCopy, state: str) -> dict[str, Any]:
    return {
        "place": copy.place,
        "file": copy.place.rpartition("/")[2],
        "source_files": list(copy.source_files),
        "file_sha256": copy.file_sha256,
        "kinds": list(copy.kinds),
        "bytes": copy.byte_count,
        "periods": copy.periods,
        "runs": len(copy.uses),
        "run_ids": [use.run_id for use in copy.uses],
        "last_used_at": copy.uses[-1].started_at if copy.uses else None,
        "landed_at": copy.landed_at,
        "pruned_at": copy.pruned_at,
        "state": state,
    }
