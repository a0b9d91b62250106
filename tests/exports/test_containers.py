"""Whatever a file is packed in, and whatever it is called, the same rows come out."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from connectors.exports import delimited, limits
from connectors.exports import json_lines as json_lines_module
from connectors.exports.delivery import open_delivery
from connectors.exports.identify import identify
from tests.exports.written import (
    INVOICE,
    PRICE_ROW,
    RECON_HEADER,
    RECON_LINE,
    USAGE_LINE,
    Delivery,
    csv_text,
    gzipped,
    json_lines,
    line,
    read,
    read_delivery,
    recon_rows,
    zipped,
)
from transforms.errors import InputError
from transforms.headers import fold
from transforms.normalise import needs_value
from transforms.tables import EXPORT_TABLES

LINES = [
    line(CustomerName='5" monitor; "Ltd", Ümlaut', OrderId="a\r\nb"),
    line(SkuId="000B", Subtotal="-0.01", CustomerName=""),
    line(SkuId="0002", InvoiceNumber="G000000002"),
]
PLAIN = csv_text(LINES)


def _parquet(rows: list[dict[str, str]]) -> bytes:
    out = io.BytesIO()
    pa.parquet.write_table(pa.table({name: [row.get(name) for row in rows] for name in RECON_HEADER}), out)
    return out.getvalue()


CONTAINERS = {
    "csv": PLAIN.encode(),
    "csv with BOM": PLAIN.encode("utf-8-sig"),
    "csv of semicolons": csv_text(LINES, delimiter=";").encode(),
    "csv of LF, all quoted": csv_text(LINES, newline="\n", quoting=csv.QUOTE_ALL).encode(),
    "no last line end": PLAIN.rstrip().encode(),
    "spreadsheet's Unicode text": csv_text(LINES, delimiter="\t").encode("utf-16"),
    "UTF-16 big endian": b"\xfe\xff" + PLAIN.encode("utf-16-be"),
    "gzip": gzipped(PLAIN),
    "gzip of UTF-16": gzipped(PLAIN.encode("utf-16")),
    "gzip, cut anywhere": gzipped(PLAIN[:700], PLAIN[700:731], PLAIN[731:]),
    "JSON array": json.dumps(LINES).encode(),
    "JSON envelope": json.dumps({"totalCount": 3, "items": LINES, "links": {}}, indent=2).encode(),
    "JSON pages, one after the other": "\n".join(
        json.dumps({"items": part}, indent=1) for part in (LINES[:1], LINES[1:])
    ).encode(),
    "JSON of an HTTP response": b"HTTP/1.1 200 OK\r\nDate: now\r\n\r\n" + json.dumps({"items": LINES}).encode(),
    "JSON Lines": json_lines(LINES).encode(),
    "JSON Lines in gzip members": gzipped(json_lines(LINES[:2]).rstrip(), json_lines(LINES[2:])),
    "Parquet": _parquet(LINES),
    "Parquet in gzip": gzip.compress(_parquet(LINES)),
    "zip": zipped({"../../export.pdf": PLAIN.encode()}),
    "zip of gzip": zipped({"part.json.gz": gzipped(json_lines(LINES))}),
    "zip in zip": zipped({"inner.zip": zipped({"part.csv": PLAIN.encode()})}),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_same_rows_from_every_container(container: str, tmp_path: Path) -> None:
    delivery = read(tmp_path, CONTAINERS[container], "note.txt")
    assert delivery.rejected.num_rows == 0
    rows = recon_rows(delivery)
    assert [row["customer_name"] for row in rows] == ['5" monitor; "Ltd", Ümlaut', None, "Contoso"]
    assert [row["order_id"] for row in rows] == ["a\r\nb", "old1, new1", "old1, new1"]
    assert [str(row["subtotal"]) for row in rows] == ["176.000000", "-0.010000", "176.000000"]
    assert [row["sku_id"] for row in rows] == ["0001", "000B", "0002"]
    (found,) = identify(tmp_path / "note.txt")
    assert (found.kind, found.rows, found.period) == ("invoice_recon", 3, "2025-11")
    assert found.invoices == ["G000000001", "G000000002"]
    first = 2 if "JSON" not in container and "Parquet" not in container and container != "zip of gzip" else 1
    assert [row["source_row"] for row in rows] == [first, first + 1, first + 2]
    names = {row["source_file"] for row in rows}
    assert names == {f"note.txt!{found.path.partition('!')[2]}" if "!" in found.path else "note.txt"}
    assert ".." not in found.path


def test_gzip_members_repeat_their_header(tmp_path: Path) -> None:
    """Rows keep their number as a spreadsheet shows them, the repeated headers counted."""
    first, second = csv_text(LINES[:1]).rstrip(), csv_text(LINES[1:])
    delivery = read(tmp_path, gzipped("\ufeff" + first, "\ufeff" + second, csv_text([LINES[0]])))
    assert delivery.rejected.num_rows == 0
    assert delivery.tables["invoice_recon"].column("source_row").to_pylist() == [2, 4, 5, 7]
    assert identify(tmp_path / "export")[0].rows == 4


def test_a_text_cut_between_gzip_members_stays_whole(tmp_path: Path) -> None:
    text = json.dumps(line(ProductName="cut {here"), indent=1)
    cut = text.index("{here")
    path = tmp_path / "recon.json.gz"
    path.write_bytes(gzipped(text[:cut], text[cut:]))
    assert read_delivery(path).tables["invoice_recon"].column("product_name").to_pylist() == ["cut {here"]


def test_archive_members_count_by_themselves(tmp_path: Path) -> None:
    archive = zipped(
        {
            "a/recon.csv": PLAIN.encode(),
            "a/": b"",
            "__MACOSX/recon.csv": b"junk",
            "prices": csv_text([PRICE_ROW], list(PRICE_ROW)).encode(),
            "readme.txt": b"Thank you for your download.",
        }
    )
    delivery = read(tmp_path, archive, "delivery.zip")
    assert [(file.source_file, file.kind, file.row_count) for file in delivery.files] == [
        ("delivery.zip!a/recon.csv", "invoice_recon", 3),
        ("delivery.zip!prices", "price_list", 1),
    ]
    assert [skipped.path for skipped in delivery.skipped] == [f"{tmp_path}/delivery.zip!readme.txt"]
    assert {file.byte_count for file in delivery.files} == {len(archive)}


def test_damaged_containers_are_told_in_one_line(tmp_path: Path) -> None:
    whole = gzipped(csv_text([line(OrderId=str(random.Random(n).random())) for n in range(500)]))
    damaged = {
        "truncated.gz": (whole[:-200], "ends too early"),
        "corrupt.gz": (whole[:3000] + b"\0\0\0\0" + whole[3004:], "gzip data is damaged"),
        "truncated.zip": (zipped({"x.csv": PLAIN.encode()})[:-30], "ZIP archive is damaged"),
        "member.zip": (_damaged_member(), "damaged"),
        "locked.zip": (_encrypted(), "encrypted"),
        "damaged.parquet": (_parquet(LINES)[:-50] + b"PAR1", "damaged Parquet"),
        "cut.utf16": (PLAIN.encode("utf-16")[:-1], "UTF-16"),
    }
    for name, (data, words) in damaged.items():
        with pytest.raises(InputError, match=words) as raised:
            read(tmp_path, data, name)
        assert name in str(raised.value)
        assert "\n" not in str(raised.value)
        (found,) = identify(tmp_path / name)
        assert (found.kind, found.rows) == ("unknown", None)
        assert words in (found.problem or "")


def _damaged_member() -> bytes:
    data = zipped({"x.csv": PLAIN.encode()})
    return data[:120] + bytes(20) + data[140:]


def _encrypted() -> bytes:
    data = bytearray(zipped({"x.csv": PLAIN.encode()}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RATIO_FLOOR_BYTES", 1 << 20)
    bomb = PLAIN.encode() + b"\n" * (8 << 20)
    for name, data in {"bomb.gz": gzip.compress(bomb, 9), "bomb.zip": zipped({"x.csv": bomb})}.items():
        with pytest.raises(InputError, match="more than 500 times its size"):
            read(tmp_path, data, name)


def test_overlapping_or_false_sizes_in_a_zip_do_not_get_through(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.csv", PLAIN)
    data = bytearray(out.getvalue())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = (10).to_bytes(4, "little")  # declares 10 bytes
    with pytest.raises(InputError, match="damaged"):
        read(tmp_path, bytes(data), "lying.zip")


def test_the_same_content_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(PLAIN, newline="")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "copy.csv").write_text(PLAIN, newline="")
    (tmp_path / "z.csv.gz").write_bytes(gzipped(PLAIN))
    (tmp_path / "other.csv").write_text(csv_text([*LINES[:2], line(SkuId="9")]), newline="")
    (tmp_path / ".hidden.csv").write_text(PLAIN, newline="")
    delivery = read_delivery(tmp_path)
    assert [file.source_file for file in delivery.files] == ["a.csv", "other.csv"]
    assert delivery.tables["invoice_recon"].num_rows == 6
    assert [(Path(s.path).name, s.problem) for s in delivery.skipped] == [
        ("copy.csv", "the same content as a.csv, which is read once"),
        ("z.csv.gz", "the same content as a.csv, which is read once"),
    ]


def test_equal_rows_are_all_kept(tmp_path: Path) -> None:
    assert read(tmp_path, csv_text([RECON_LINE] * 3)).tables["invoice_recon"].num_rows == 3


def test_a_folder_that_holds_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".gitkeep").touch()
    with pytest.raises(InputError, match="is empty"):
        read_delivery(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        read_delivery(tmp_path / "missing")
    with pytest.raises(InputError, match="does not exist"):
        identify(tmp_path / "missing.csv")


def test_what_is_no_export_is_skipped_and_said(tmp_path: Path) -> None:
    others = {
        "README.txt": (b"The exports of November, all of them.", None),
        "a.pdf": (b"%PDF-1.7 ...", "a PDF document"),
        "b.csv": (b"name,phone\nAda,1\n", None),
        "c.bin": (bytes(range(256)), "binary data"),
        "d.xlsx": (zipped({"[Content_Types].xml": b"<x/>", "xl/workbook.xml": b"<x/>"}), "an Excel workbook"),
        "_SUCCESS": (b"", "empty"),
        "manifest.json": (b'{"rootDirectory":"https://x","blobs":[]}', "the manifest of a Graph export"),
        "numbers.json": (b"[1,2,3]", None),
    }
    for name, (data, _) in others.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "invoice.json").write_text(json.dumps(INVOICE))
    delivery = read_delivery(tmp_path)
    assert [file.source_file for file in delivery.files] == ["invoice.json"]
    assert len(delivery.skipped) == len(others)
    for skipped in delivery.skipped:
        words = others[Path(skipped.path).name][1]
        assert skipped.problem is None if words is None else words in (skipped.problem or ""), skipped


@pytest.mark.parametrize("block", [300, 1500, 4000, 1 << 20])
def test_row_numbers_hold_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """Quoted line breaks, ragged rows, blank lines, repeated headers and bad values, in blocks of any size.

    The same as ranges of the file, which others read.
    """
    monkeypatch.setattr(delimited, "BLOCK_BYTES", block)
    monkeypatch.setattr(limits, "CHUNK_BYTES", 512)
    random_order = random.Random(7)
    header, good = csv_text([line(CustomerName="two\r\nlines")]).split("\r\n", 1)
    pieces = {
        "good": good, "ragged": "a,b,c\r\n", "long": good.rstrip() + ",,,\r\n", "blank": "\r\n",
        "header": header + "\r\n", "number": csv_text([line(Total="1,234.50")]).split("\r\n", 1)[1],
        "delimiters": "," * (len(RECON_HEADER) - 1) + "\r\n", "quote": 'x,"y"z,1\r\n', "open": 'x,"never closed,1\r\n',
    }  # fmt: skip
    order = ["good", *random_order.choices(list(pieces), k=120), "good"]
    delivery = read(tmp_path, header + "\r\n" + "".join(pieces[name] for name in order))
    expected = {name: [at for at, piece in enumerate(order, start=2) if piece == name] for name in pieces}
    assert delivery.tables["invoice_recon"].column("source_row").to_pylist() == expected["good"]
    (export,) = open_delivery(tmp_path).exports
    ranges = export.reader().ranges()
    assert ranges is not None
    assert [row for load in ranges for row in load().rows.column("source_row").to_pylist()] == expected["good"]
    bad = sorted(at for name in ("ragged", "long", "number", "quote", "open") for at in expected[name])
    assert delivery.rejected.column("source_row").to_pylist() == bad
    raw = dict(zip(bad, delivery.rejected.column("raw_text").to_pylist(), strict=True))
    assert {raw[at] for at in expected["ragged"]} == {"a,b,c"}
    assert all(raw[at] == 'x,"never closed,1' for at in expected["open"])
    assert identify(tmp_path / "export")[0].rows == len(expected["good"]) + len(bad)


def test_json_lines_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A column that appears late is still found, and an absent key is no value."""
    monkeypatch.setattr(json_lines_module, "BLOCK_BYTES", 3000)
    monkeypatch.setattr(limits, "CHUNK_BYTES", 1000)
    early = {name: value for name, value in RECON_LINE.items() if name != "TermAndBillingCycle"}
    rows: list[dict[str, Any]] = [*[early] * 20, RECON_LINE, {**RECON_LINE, "NewColumn": 0.10}]
    text = json_lines(rows[:5]) + "\n{broken\n[1]\n" + json_lines(rows[5:])
    delivery = read(tmp_path, text)
    table = delivery.tables["invoice_recon"]
    assert table.column("source_row").to_pylist() == [1, 2, 3, 4, 5, *range(8, 25)]
    assert table.column("term_and_billing_cycle").null_count == 20
    assert table.column("extra_columns").to_pylist()[-2:] == [None, '{"NewColumn":"0.1"}']
    assert delivery.rejected.column("source_row").to_pylist() == [6, 7]
    assert delivery.rejected.column("raw_text").to_pylist() == ["{broken", "[1]"]


@pytest.mark.parametrize(("kind", "sound"), [
    ("invoice_recon", RECON_LINE), ("daily_usage", {**USAGE_LINE, "MeterId": "m1", "EntitlementId": "e1"}),
    ("price_list", PRICE_ROW), ("invoices", INVOICE),
])  # fmt: skip
def test_a_column_that_whole_blocks_lack(
    kind: str, sound: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows without a value are the same rows however the file is cut: refused one by one, or good and empty.

    The column is missing in the first block, in one that Arrow reads, and in one that Python reads, for it has another.
    """
    split: list[bytes] = []
    lines_of = json_lines_module._lines

    def counted(block: bytes) -> list[bytes]:
        split.append(block)
        return lines_of(block)

    monkeypatch.setattr(json_lines_module, "_lines", counted)
    refused = 0
    for column in EXPORT_TABLES[kind].columns:
        lacking = {name: value for name, value in sound.items() if fold(name) not in map(fold, column.sources)}
        if len(lacking) == len(sound):
            continue
        rows = [*[lacking] * 9, *[sound] * 3, *[lacking] * 9, *[{**lacking, "Note": "x"}] * 3, *[sound] * 3]
        text = json_lines([{"Number": f"{number:03}", **row} for number, row in enumerate(rows)])
        whole = read(tmp_path, text)
        with monkeypatch.context() as patch:
            patch.setattr(json_lines_module, "BLOCK_BYTES", 3 * len(text) // len(rows))
            patch.setattr(limits, "CHUNK_BYTES", 100)
            split.clear()
            cut = read(tmp_path, text)
        assert max(Counter(split).values()) == 2, "the first is looked at before; others are split once for all rows"
        assert cut.tables[kind].to_pylist() == whole.tables[kind].to_pylist(), column.name
        assert cut.rejected.to_pylist() == whole.rejected.to_pylist(), column.name
        assert cut.rejected.num_rows == (21 if needs_value(column) else 0), column.name
        refused += cut.rejected.num_rows
    assert refused


def test_json_lines_read_by_arrow_and_by_python_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that Arrow can read, and blocks with what it objects to, agree on every value, row number and raw text."""
    numbers = ("UnitPrice", "Quantity", "Subtotal", "TaxTotal", "Total", "EffectiveUnitPrice", "BillableQuantity")
    template = json.dumps({**RECON_LINE, "MpnId": 1234567, "IsLast": True, "RateOfCredit": 1})
    for name in numbers:
        template = template.replace(f'"{name}": "{RECON_LINE[name]}"', f'"{name}": @{name}@')
    choice = random.Random(11)
    odd = ["0E-20", "-3.2e-05", '"\'22.0000"', "1e-40", '"x"', "null", '""', "true"]
    lines = []
    for number in range(400):
        text = template.replace("old1, new1", f"order {number}\\u00e9")
        for name in numbers:
            value = choice.choice(odd) if choice.random() < 0.005 else f"{number}.{number % 100:02d}"
            text = text.replace(f"@{name}@", value)
        lines.append(text + choice.choice(["\n", "\r\n", "\n", "\n\n"]))
    data = "".join(lines)
    by_python = _with(monkeypatch, tmp_path, data, block=4000, arrow=False)
    by_arrow = _with(monkeypatch, tmp_path, data, block=4000, arrow=True)
    assert by_arrow.tables["invoice_recon"].to_pylist() == by_python.tables["invoice_recon"].to_pylist()
    assert by_arrow.rejected.to_pylist() == by_python.rejected.to_pylist()
    assert 5 < by_python.rejected.num_rows < 40
    assert recon_rows(by_arrow)[0]["mpn_id"] == "1234567"


def _with(monkeypatch: pytest.MonkeyPatch, folder: Path, data: str, *, block: int, arrow: bool) -> Delivery:
    blocks_by_arrow = []
    real = json_lines_module._by_arrow

    def by_arrow(*arguments: Any) -> Any:
        batch = real(*arguments) if arrow else None
        blocks_by_arrow.append(batch is not None)
        return batch

    with monkeypatch.context() as patch:
        patch.setattr(json_lines_module, "BLOCK_BYTES", block)
        patch.setattr(limits, "CHUNK_BYTES", 1000)
        patch.setattr(json_lines_module, "_by_arrow", by_arrow)
        delivery = read(folder, data)
    assert set(blocks_by_arrow) == ({True, False} if arrow else {False})
    return delivery
