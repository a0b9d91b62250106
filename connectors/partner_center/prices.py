"""Price sheets of Microsoft's pricing API: delimited text or a ZIP archive of it, as the answer has it.

`GET /v1.0/sales/pricesheets(Market='US',PricesheetView='updatedlicensebased')/$value`; months that have ended are
asked for by `timeline=history&month=YYYYMM` (reference §1e).
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import requests

from connectors.partner_center.blobs import save_body
from connectors.partner_center.errors import PartnerCenterError, TransferError
from connectors.partner_center.http import Http, Token, failed
from connectors.partner_center.landing import LandedFile, checked, chunks_of
from transforms.errors import InputError

#: Views of the pricing API, by the name of what lands.
VIEWS = {"licence-prices": "updatedlicensebased", "azure-prices": "azure_consumption"}

_ZIP, _GZIP = b"PK\x03\x04", b"\x1f\x8b"
_MENDS = {
    400: "the pricing API wants application and user; check CSP_BILLING_PARTNER_REFRESH_TOKEN",
    401: "the pricing API wants application and user; check CSP_BILLING_PARTNER_REFRESH_TOKEN",
    403: "the user behind CSP_BILLING_PARTNER_REFRESH_TOKEN needs the role Admin Agent or Sales Agent",
}


@dataclass(frozen=True)
class Sheet:
    """A price sheet that was asked for: its view by the name of what lands, market, month YYYY-MM."""

    dataset: str
    market: str
    month: str

    @property
    def what(self) -> str:
        """The sheet, for messages."""
        return f"{self.dataset} {self.market} {self.month}"


class PriceSheets:
    """The pricing API.

    Args:
        http: sends the requests.
        base_url: of the pricing API.
        token: for it.
    """

    def __init__(self, http: Http, base_url: str, token: Token) -> None:
        self._http = http
        self._base = base_url.rstrip("/")
        self._token = token

    def fetch(self, sheet: Sheet, path: Path, *, is_past: bool) -> LandedFile | None:
        """Write a sheet to `path`; returns it under the name that it should have, None where there is none.

        Raises:
            PartnerCenterError: it cannot be fetched.
        """
        view = VIEWS[sheet.dataset]
        url = f"{self._base}/v1.0/sales/pricesheets(Market='{sheet.market}',PricesheetView='{view}')/$value"
        month = sheet.month.replace("-", "")
        params = {"timeline": "history", "month": month} if is_past else {"timeline": "current"}
        answer, file = self._http.send(
            "GET", url, sheet.what, token=self._token, params=params, headers={"Accept-Encoding": "deflate"},
            read=lambda one: _received(one, path, sheet),
        )  # fmt: skip
        if file is None and answer.status_code != 404:
            raise failed(sheet.what, answer, _MENDS.get(answer.status_code, ""))
        return file


def _received(answer: requests.Response, path: Path, sheet: Sheet) -> LandedFile:
    """Write an answer to a file and check it; what was only packed for the way is unpacked."""
    save_body(answer, path, sheet.what)
    with path.open("rb") as file:
        head = file.read(4)
    encoding = answer.headers.get("Content-Encoding", "").lower()
    ending = "zip" if head.startswith(_ZIP) else "csv.gz" if head.startswith(_GZIP) else "csv"
    if not head:
        raise PartnerCenterError(f"{sheet.what} was answered empty; repeat the command later")
    try:
        if ending == "zip":
            with zipfile.ZipFile(path) as archive:
                if archive.testzip() is not None:
                    raise zipfile.BadZipFile
        elif ending == "csv" and encoding == "deflate":
            _inflate(path)
        with path.open("rb") as file:
            found = checked(path.name, chunks_of(file), is_packed=ending == "csv.gz")
    except (zipfile.BadZipFile, zlib.error, EOFError, InputError):
        raise TransferError(f"{sheet.what} arrived damaged; repeat the command later") from None
    return replace(found, name=f"{sheet.dataset}-{sheet.market}-{sheet.month}.{ending}", rows=None)


def identity_of(path: Path) -> str:
    """What tells a sheet from other versions of it: its bytes; of an archive its members, which are packed anew."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return " ".join(f"{one.filename}:{one.file_size}:{one.CRC:08x}" for one in archive.infolist())
    with path.open("rb") as file:
        return checked(path.name, chunks_of(file), is_packed=False).sha256


def _inflate(path: Path) -> None:
    """Unpack a file in place; servers send deflate with its header of two bytes or without it."""
    unpacked = path.with_name(f"{path.name}.unpacked")
    with path.open("rb") as source, unpacked.open("wb") as target:
        head = source.read(2)
        has_header = len(head) == 2 and head[0] & 15 == 8 and int.from_bytes(head, "big") % 31 == 0
        inflater = zlib.decompressobj(wbits=15 if has_header else -15)
        target.write(inflater.decompress(head))
        for chunk in chunks_of(source):
            target.write(inflater.decompress(chunk))
        target.write(inflater.flush())
    if not inflater.eof:
        unpacked.unlink()
        raise EOFError
    unpacked.replace(path)
