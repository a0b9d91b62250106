"""The HTML report: one file that shows a run, opens without a network, and runs no script but its own.

Everything but the list of findings is there without a script: tables, and charts as pictures. The page's style and
script are in the file, and its content security policy allows these two by their digest and nothing else, so that
text of partner data could not become a script even where it became markup, which it does not: templates escape it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources
from pathlib import Path
from typing import Any

from connectors.reports.atomic import replacing
from connectors.reports.contents import ReportContents
from connectors.reports.headline import headline
from connectors.reports.page_charts import codes_chart, customer_charts, prices_chart, trend_charts
from connectors.reports.page_figures import figures
from connectors.reports.page_findings import customer_labels, findings_document
from connectors.reports.page_tables import (
    changes_table,
    code_rows,
    customers_table,
    loading_table,
    tieout_table,
)

_CODE = re.compile(r"`([^`]+)`")


def write_page(contents: ReportContents, path: Path) -> None:
    """Write the page of a run; a file of that name is replaced once the new one is whole.

    Args:
        contents: the run.
        path: the file; its folder is made where there is none.

    Raises:
        InputError: the file cannot be written.
    """
    page = render_page(contents)
    with replacing(path) as new:
        new.write_text(page, encoding="utf-8", newline="\n")


def render_page(contents: ReportContents) -> str:
    """The page of a run as HTML."""
    import jinja2
    from markupsafe import Markup, escape

    assets = resources.files("connectors.reports").joinpath("assets")
    style, script = (assets.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: assets.joinpath(name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    # Of escaped text, so that the words between backticks stay text.
    environment.filters["commands"] = lambda text: Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704
    return environment.get_template("page.html").render(
        **_parts(contents),
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        policy=f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; base-uri 'none'; "
        "form-action 'none'",
        picture=Markup,
    )


def _parts(contents: ReportContents) -> dict[str, Any]:
    said, labels = headline(contents), customer_labels(contents)
    findings = findings_document(contents, labels)
    values = {name: findings["columns"][name]["values"] for name in ("code", "customer", "currency")}
    charts = [*customer_charts(contents, labels), prices_chart(contents)]
    return {
        "run": contents.run,
        "contents": contents,
        "headline": said,
        "figures": figures(contents, said),
        "tieout": tieout_table(contents),
        "charts": [chart for chart in charts if chart],
        "trends": trend_charts(contents),
        "codes": code_rows(contents),
        "codes_chart": codes_chart(contents),
        "customers": customers_table(contents, labels),
        "loading": loading_table(contents),
        "changes": changes_table(contents, labels),
        "findings": findings,
        "choices": {name: sorted(own, key=str.casefold) for name, own in values.items()},
    }


def _digest(text: str) -> str:
    """What a content security policy calls a style or script by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
