"""Partner data that would be more than text, if it could."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa

from connectors.reports.contents import ReportContents

#: What a name must not do to the page: end a script, be an element, be a template, turn the text about it.
HOSTILE = ("</script><script>window.hacked = 1</script>", "<img src=x onerror='window.hacked = 2'>",
           "{{ 7 * 7 }}{% if %}", '"><b onclick=x>', "--><!--", "\u2028\u2029\x01 & &lt;", "`<u>x</u>`",
           "\u202eright to left", "שלום בע\"מ", "a" * 300)  # fmt: skip


def renamed(contents: ReportContents, names: tuple[str, ...]) -> ReportContents:
    """The same run of customers with other names; messages, invoices and files name them, too."""
    ids = sorted({one for one in contents.customers["customer_id"].to_pylist() if one})
    chosen = {one: names[place % len(names)] for place, one in enumerate(ids)}

    def texts(table: pa.Table, **columns: Any) -> pa.Table:
        for name, column in columns.items():
            table = table.set_column(table.column_names.index(name), name, pa.array(column, pa.string()))
        return table

    tables = {}
    for name in ("findings", "customers", "leaks", "margins", "changes"):
        table = getattr(contents, name)
        tables[name] = texts(table, customer_name=[chosen.get(one) for one in table["customer_id"].to_pylist()])
    many = [names[place % len(names)] for place in range(contents.findings.num_rows)]
    tables["findings"] = texts(tables["findings"], message=many, source_file=many, line_id=many, sku_name=many,
                               waived_by=[None, *many[1:]], waiver_reason=many)
    tied = [names[place % len(names)] for place in range(contents.tieout.num_rows)]
    tables["tieout"] = texts(contents.tieout, invoice_number=tied)
    decision = {"decision": "approved", "decided_by": names[0], "note": names[1],
                "decided_at": contents.run["started_at"]}  # fmt: skip
    return replace(contents, decision=decision, **tables)
