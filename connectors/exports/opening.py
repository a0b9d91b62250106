"""Open a content of any form as a stream of text columns."""

from __future__ import annotations

from connectors.exports.batches import Source
from connectors.exports.containers import Content, Form


def open_source(content: Content) -> Source:
    """Open a content that holds records.

    Raises:
        InputError: it is damaged as a whole; one line that names the file and the mend.
        ValueError: it holds no records (`Form.OTHER`, `Form.BROKEN`).
    """
    if content.form is Form.DELIMITED:
        from connectors.exports.delimited import open_delimited

        return open_delimited(content)
    if content.form is Form.JSON:
        from connectors.exports.json_document import open_document
        from connectors.exports.json_lines import is_json_lines, open_lines

        return open_lines(content) if is_json_lines(content.head()) else open_document(content)
    if content.form is Form.PARQUET:
        from connectors.exports.parquet_text import open_parquet

        return open_parquet(content)
    raise ValueError(f"{content.source_file} holds no records: {content.remark}")
