"""How much a delivered file may ask for, so that none fills memory or disk, or never ends.

Every limit is far above what Microsoft delivers, and there is none on what a month may have: CSV, JSON Lines and gzip
are read as a stream, 20 GB of them like 20 MB. What exceeds a limit is refused as a whole with one line, and exit
code 2; nothing of it is half read.
"""

from __future__ import annotations

from transforms.errors import InputError

CHUNK_BYTES = 1 << 20
HEAD_BYTES = 1 << 16

#: Files in a folder of exports: a provider's month has some dozens, a year kept in one folder some hundreds. Each is
#: opened and digested, so a folder of 100,000 was named by mistake.
MAX_FILES = 10_000

#: Real exports shrink 10 to 60 times; the most that deflate can do is 1032. It holds for a member of an archive inside
#: an archive or in gzip, too: against what it takes in the delivered file.
MAX_RATIO = 500
#: Below this size no ratio is suspicious: so much is unpacked in a second.
RATIO_FLOOR_BYTES = 64 << 20
#: Members of one delivered file, those of archives inside it counted as well.
MAX_MEMBERS = 10_000
#: Of a gzip file with more than so many members each has on average at least so many bytes; one with no content has 20,
#: one of a block-compressed file some thousand.
MIN_GZIP_MEMBER_BYTES = 256
#: A ZIP archive's table of contents: 10,000 members with names of 1,000 characters need 11 MB.
MAX_DIRECTORY_BYTES = 16 << 20
#: An archive inside an archive is held in memory while it is read.
MAX_NESTED_BYTES = 64 << 20

#: A row of an export has some hundred bytes, with many tags some thousand. A longer one has a quotation mark that is
#: never closed, or is no row.
MAX_ROW_BYTES = 8 << 20
#: Of more lines than this in a block of 16 MiB each has at least 32 bytes on average: an export's row has 100.
ROWS_SUSPECT, MIN_ROW_BYTES = 50_000, 32
#: Rows of one block whose quotation marks have to be followed over more than `QUOTE_WINDOW_BYTES`, in vain.
MAX_RUNAWAY_QUOTES = 100
QUOTE_WINDOW_BYTES = 1 << 16
#: The widest export has 70 columns; some hundred more may have been added to a copy.
MAX_COLUMNS = 1_000

#: A JSON document is held whole, and its text may take four bytes a character: the API's pages have 2,000 records,
#: some megabytes. JSON Lines and CSV have no limit.
MAX_DOCUMENT_BYTES = 128 << 20
#: Values of a JSON document, each of which takes some 70 bytes: 100,000 lines of 60 columns.
MAX_DOCUMENT_VALUES = 6_000_000
#: Values of Microsoft's exports are nested two or three deep.
MAX_DEPTH = 64

#: A Parquet file inside gzip or ZIP is held whole; one that lies in the folder as it is, is not.
MAX_PACKED_PARQUET_BYTES = 256 << 20
#: What describes a Parquet file: 1,000 parts of 70 columns take 10 MB.
MAX_FOOTER_BYTES = 64 << 20
#: One column in one part (row group) of a Parquet file, unpacked: a million rows with 500 bytes of tags.
MAX_PARQUET_COLUMN_BYTES = 512 << 20
#: Some thousand rows of a Parquet file as text: 4 KB a row.
MAX_PARQUET_BATCH_BYTES = 256 << 20
#: Above a million rows, each takes at least two bits in the file.
ROWS_FLOOR, MAX_ROWS_PER_BYTE = 1_000_000, 4

#: Rows of one file that may go to quarantine. Beyond it nobody looks at them one by one: the file is wrong as a whole.
MAX_REJECTED_ROWS = 50_000
#: How much of a row is kept there, and of the rows that could not even be split into columns together.
MAX_RAW_CHARACTERS = 1 << 14
MAX_UNREADABLE_CHARACTERS = 64 << 20


def check_ratio(name: str, unpacked: int, packed: int) -> None:
    """Refuse what unpacks to far more than exports do; raises InputError."""
    if unpacked > RATIO_FLOOR_BYTES and unpacked > MAX_RATIO * max(packed, 1):
        raise InputError(
            f"{name}: unpacks to more than {MAX_RATIO} times its size, which no export does: refused; "
            "if it is genuine, unpack it first"
        )


def check_columns(name: str, count: int) -> None:
    """Refuse a table of more columns than any export has; raises InputError."""
    if count > MAX_COLUMNS:
        raise InputError(f"{name}: it has {count:,} columns, more than {MAX_COLUMNS:,}: take out those that were added")


def check_rejected(name: str, count: int, row: int, reason: str) -> None:
    """Refuse a file of which too many rows cannot be read; tells of one of them why. Raises InputError."""
    if count > MAX_REJECTED_ROWS:
        raise InputError(
            f"{name}: more than {MAX_REJECTED_ROWS:,} of its rows cannot be read; row {row}: {reason}; export it again"
        )


def are_short(lines: int, byte_count: int) -> bool:
    """Whether so many lines of so many bytes are too short to be rows of an export."""
    return lines > ROWS_SUSPECT and lines * MIN_ROW_BYTES > byte_count


def short_lines(name: str, lines: int) -> InputError:
    """What to say of text whose lines are too short to be rows of an export."""
    return InputError(
        f"{name}: it has {lines:,} lines of a few characters each, which are no rows of an export: take them out, "
        "or export it again"
    )


def too_long(name: str, row: int) -> InputError:
    """What to say of a row that does not end."""
    return InputError(
        f"{name}: row {row} is longer than {MAX_ROW_BYTES >> 20} MiB, which no row of an export is: export it again"
    )


def shortened(text: str) -> str:
    """A delivered row as quarantine keeps it."""
    if len(text) <= MAX_RAW_CHARACTERS:
        return text
    return f"{text[:MAX_RAW_CHARACTERS]}… (cut: it has {len(text):,} characters)"
