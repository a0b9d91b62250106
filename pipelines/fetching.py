"""Fetching a period's exports from Partner Center into the landing zone.

Invoices come first: they say what there is to ask for. What is billed is asked for by invoice; in the months for which
Microsoft keeps estimates, the current one and the last, unbilled lines are asked for in each currency without an
invoice. Nothing is downloaded that is there already: an export is known by its eTag, an invoice by its content, and the
price sheets of a month that has ended do not change.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from connectors.exports.zone import check_writable
from connectors.partner_center.auth import Credentials, SignIn
from connectors.partner_center.blobs import fetch_blobs
from connectors.partner_center.errors import GoneError
from connectors.partner_center.export import Exports, Manifest, Started
from connectors.partner_center.http import Http, shown
from connectors.partner_center.invoices import Document, Invoices
from connectors.partner_center.landing import Landed, LandedFile, LandingZone, Slot, checked, storage_told
from connectors.partner_center.prices import VIEWS, PriceSheets, Sheet, identity_of
from connectors.partner_center.token_file import TokenFile
from pipelines.progress import tell_progress
from pipelines.settings import PREFIX, Settings, renew_secret_block
from transforms.errors import InputError, SettingsError
from transforms.periods import last_day, month_before, month_of, parse_period

#: Graph's paths, by the name of what lands.
_BILLED = {"reconciliation": "reconciliation/billed", "usage": "usage/billed"}
_UNBILLED = {"unbilled-reconciliation": "reconciliation/unbilled", "unbilled-usage": "usage/unbilled"}
DATASETS = ("invoices", *_BILLED, *_UNBILLED, *VIEWS)
ITEM_COLUMNS = ["dataset", "key", "state", "version", "files", "rows", "bytes", "note"]

#: How often an export is asked for anew because Microsoft no longer holds what it had made.
_REQUESTS = 5


@dataclass(frozen=True)
class Item:
    """What became of one export.

    Attributes:
        dataset: one of DATASETS.
        key: its invoice, currency or market.
        state: fetched, unchanged (it is there already), or absent (Microsoft has none).
        version, files, rows, bytes: of what counts in the landing zone; rows of invoices and price sheets are not
            counted.
        note: what else there is to say.
    """

    dataset: str
    key: str
    state: str
    version: str | None = None
    files: int = 0
    rows: int | None = None
    bytes: int = 0
    note: str = ""


@dataclass
class Fetched:
    """What was fetched for a period.

    Attributes:
        location: the folder in which a run reads it.
        items: what became of each export.
        notices: what else the user ought to know.
        landed: the datasets of the period that are there, be they fetched before.
    """

    period: str
    location: str
    items: list[Item] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    landed: list[str] = field(default_factory=list)

    def has_lines(self, *, billed: bool) -> bool:
        """Whether there is anything to reconcile; with `billed` anything that Microsoft has billed."""
        return "invoices" in self.landed if billed else bool(set(self.landed) - set(VIEWS))

    def count(self, state: str) -> int:
        """How many exports are in a state."""
        return sum(item.state == state for item in self.items)

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `fetch`."""
        return asdict(self)


@dataclass(frozen=True)
class PartnerCenter:
    """Partner Center as the settings name it."""

    http: Http
    sign_in: SignIn
    exports: Exports
    invoices: Invoices
    price_sheets: PriceSheets


@dataclass(frozen=True)
class _Asked:
    """An export that Graph was asked for."""

    slot: Slot
    dataset: str
    key: str
    start: Callable[[], Started]
    started: Started


def open_partner_center(
    settings: Settings, notify: Callable[[str], None], http: Http | None = None
) -> PartnerCenter:
    """Partner Center as the settings name it; nothing is sent yet.

    Args:
        settings: name it.
        notify: takes sentences for the user.
        http: sends the requests, where it is to have less patience than a fetch.

    Raises:
        SettingsError: it is not configured.
    """
    if not settings.has_partner_center:
        raise SettingsError(
            f"Partner Center is not configured: set {PREFIX}PARTNER_TENANT_ID, {PREFIX}PARTNER_CLIENT_ID and "
            f"{PREFIX}PARTNER_CLIENT_SECRET (docs/partner-center.md)"
        )
    tokens = token_file(settings)
    known = set(tokens.tokens())

    def keep(token: str) -> None:
        try:
            tokens.keep(token)
        except InputError as error:
            notify(str(error))
        renew_secret_block("partner_refresh_token", known, token)
        known.add(token)

    http = http or Http()
    credentials = Credentials(
        settings.partner_tenant_id, settings.partner_client_id, settings.partner_client_secret.get_secret_value(),
        tokens.tokens(),
    )  # fmt: skip
    sign_in = SignIn(credentials, settings.login_url, http, keep)
    return PartnerCenter(
        http,
        sign_in,
        Exports(http, settings.graph_url, sign_in.application(settings.graph_url), settings.partner_deadline),
        Invoices(http, settings.partner_center_url, sign_in.user(settings.partner_center_url)),
        PriceSheets(http, settings.partner_pricing_url, sign_in.user(settings.partner_pricing_url)),
    )


def token_file(settings: Settings) -> TokenFile:
    """Where the newest refresh token is kept."""
    return TokenFile(
        settings.home / "partner-refresh-token.json", settings.partner_refresh_token.get_secret_value()
    )


def fetch(
    settings: Settings, period: str, datasets: Sequence[str] = DATASETS, today: date | None = None
) -> Fetched:
    """Fetch what Partner Center has of a period; what is there already is not downloaded again.

    Args:
        settings: name Partner Center and the landing zone.
        period: YYYY-MM.
        datasets: some of DATASETS.
        today: in UTC; decides for which months there are unbilled exports, and which price sheets are final.

    Raises:
        SettingsError, InputError: a setting is missing or wrong, the landing zone cannot be written, or another fetch
            is under way.
        RemoteError: Microsoft failed; what is complete stays, and fetching again goes on from there.
    """
    parse_period(period)
    zone = LandingZone(settings.landing_location)
    fetched = Fetched(period, zone.location_of(period))
    partner_center = open_partner_center(settings, fetched.notices.append)
    with zone.alone():
        check_writable(settings.landing_location)
        _Fetch(settings, partner_center, zone, fetched, today or datetime.now(UTC).date()).run(datasets)
    fetched.landed += zone.datasets(period)
    return fetched


def notices_of(fetched: Fetched) -> tuple[str, ...]:
    """What a run tells of its fetch: how much of it is new, what Microsoft has none of, and what went wrong beside."""
    told = [f"Partner Center: {fetched.count('fetched')} exports fetched, {fetched.count('unchanged')} unchanged"]
    told += [
        f"{' '.join(filter(None, (item.dataset, item.key)))}: {item.note}"
        for item in fetched.items
        if item.state == "absent" and item.note
    ]
    open_in = sorted({item.key for item in fetched.items if item.dataset in _UNBILLED and item.version})
    told += [f"{currency} is not billed yet: its lines are estimates, which are never loaded" for currency in open_in]
    return (*told, *fetched.notices)


class _Fetch:
    """One fetch of a period."""

    def __init__(
        self, settings: Settings, source: PartnerCenter, zone: LandingZone, fetched: Fetched, today: date
    ) -> None:
        self._settings = settings
        self._source = source
        self._zone = zone
        self._fetched = fetched
        self._period = fetched.period
        self._today = today

    def run(self, datasets: Sequence[str]) -> None:
        """Fetch these datasets, in their order."""
        if set(datasets) - set(VIEWS):
            tell_progress("listing the invoices")
            listed = self._source.invoices.listed()
            documents = self._source.invoices.of_period(self._period, listed)
            if "invoices" in datasets:
                for document in documents:
                    self._land_invoice(document)
                if not documents:
                    self._add(Item("invoices", "", "absent", note="Partner Center has no invoice of this period yet"))
            asked = self._ask_billed(documents, datasets)
            currencies = self._settings.currencies or sorted({str(one.get("currencyCode") or "") for one in listed})
            billed_in = {document.currency for document in documents}
            asked += self._ask_unbilled([one for one in currencies if one and one not in billed_in], datasets)
            for export in asked:
                self._land_export(export)
        for dataset in VIEWS:
            if dataset in datasets:
                self._land_sheets(dataset)

    def _add(self, item: Item) -> None:
        self._fetched.items.append(item)

    def _land_invoice(self, document: Document) -> None:
        slot = self._zone.slot(self._period, "invoices", document.number)
        current = slot.current()
        if current is not None and current.identity == document.identity:
            self._add(_item("invoices", document.number, "unchanged", current))
            return
        version = slot.begin(document.identity)
        name = f"invoice-{document.number}.json"
        with version.writing(name) as path:
            path.write_bytes(document.body)
        file = checked(name, iter([document.body]), is_packed=False)
        self._add(_item("invoices", document.number, "fetched", version.complete([file], self._details())))

    def _ask_billed(self, documents: Sequence[Document], datasets: Sequence[str]) -> list[_Asked]:
        numbers = sorted({number for document in documents for number in document.numbers})
        return [
            self._ask(dataset, number, path, {"invoiceId": number})
            for number in numbers for dataset, path in _BILLED.items() if dataset in datasets
        ]  # fmt: skip

    def _ask_unbilled(self, currencies: Sequence[str], datasets: Sequence[str]) -> list[_Asked]:
        now = month_of(self._today)
        when = {now: "current", month_before(now): "last"}.get(self._period)
        if when is None:
            return []
        return [
            self._ask(dataset, currency, path, {"currencyCode": currency, "billingPeriod": when})
            for currency in currencies for dataset, path in _UNBILLED.items() if dataset in datasets
        ]  # fmt: skip

    def _ask(self, dataset: str, key: str, path: str, body: dict[str, str]) -> _Asked:
        """Ask for an export: all are asked for before the first is waited for, because each takes minutes."""
        slot = self._zone.slot(self._period, dataset, key)
        tell_progress(f"asking for {dataset} {key}")

        def start() -> Started:
            return self._source.exports.start(path, body, f"the export {dataset} {key}")

        return _Asked(slot, dataset, key, start, start())

    def _land_export(self, asked: _Asked) -> None:
        """Wait for an export and fetch it; what Microsoft no longer holds meanwhile is asked for anew."""
        started, dataset, key = asked.started, asked.dataset, asked.key
        for attempt in range(1, _REQUESTS + 1):
            try:
                tell_progress(f"waiting for {dataset} {key}")
                manifest = self._source.exports.manifest(started)
                self._add(self._landed_export(asked, manifest))
                return
            except GoneError:
                if attempt == _REQUESTS:
                    raise
                started = asked.start()

    def _landed_export(self, asked: _Asked, manifest: Manifest | None) -> Item:
        current = asked.slot.current()
        if manifest is None:
            note = f"Microsoft has no data now; {current.version} of before still counts" if current else ""
            return _item(asked.dataset, asked.key, "absent", current, note)
        if current is not None and current.identity == manifest.etag:
            return _item(asked.dataset, asked.key, "unchanged", current)
        what = f"{asked.dataset} {asked.key}"
        version = asked.slot.begin(manifest.etag)
        files = fetch_blobs(
            self._source.http, manifest, version, what, lambda done, of: tell_progress(f"fetching {what}", done, of)
        )
        details = self._details() | {"created": manifest.created, "source": shown(manifest.root)}
        return _item(asked.dataset, asked.key, "fetched", version.complete(files, details))

    def _land_sheets(self, dataset: str) -> None:
        if not self._settings.markets:
            self._add(Item(dataset, "", "absent", note=f"set {PREFIX}PARTNER_MARKETS to fetch price sheets"))
        elif not self._source.sign_in.has_user:
            self._add(Item(dataset, "", "absent", note=f"set {PREFIX}PARTNER_REFRESH_TOKEN to fetch price sheets"))
        else:
            for market in self._settings.markets:
                tell_progress(f"fetching {dataset} {market}")
                self._add(self._landed_sheet(Sheet(dataset, market, self._period)))

    def _landed_sheet(self, sheet: Sheet) -> Item:
        slot = self._zone.slot(self._period, sheet.dataset, sheet.market)
        current = slot.current()
        if current is not None and current.details.get("is_final"):
            return _item(sheet.dataset, sheet.market, "unchanged", current)
        is_past = last_day(self._period) < self._today
        with storage_told(slot.path), tempfile.TemporaryDirectory(prefix="csp-billing-") as folder:
            path = Path(folder, "sheet")
            file = self._source.price_sheets.fetch(sheet, path, is_past=is_past)
            if file is None:
                return _item(sheet.dataset, sheet.market, "absent", current, "Microsoft has no such price sheet")
            identity = identity_of(path)
            is_known = current is not None and current.identity == identity
            if current is not None and is_known and not is_past:
                return _item(sheet.dataset, sheet.market, "unchanged", current)
            version = slot.begin(identity)
            with version.writing(file.name) as target:
                shutil.copyfile(path, target)
        landed = version.complete([file], self._details() | {"is_final": is_past})
        return _item(sheet.dataset, sheet.market, "unchanged" if is_known else "fetched", landed)

    def _details(self) -> dict[str, Any]:
        return {"format": 1, "landed_at": datetime.now(UTC).isoformat(timespec="seconds")}


def _item(dataset: str, key: str, state: str, landed: Landed | None, note: str = "") -> Item:
    files: Sequence[LandedFile] = landed.files if landed else ()
    rows = [file.rows for file in files if file.rows is not None]
    return Item(
        dataset, key, state, landed.version if landed else None, len(files), sum(rows) if rows else None,
        sum(file.bytes for file in files), note,
    )  # fmt: skip
