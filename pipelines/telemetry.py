"""What is being done, for machines: log lines on stderr, and OpenTelemetry spans where OTEL_… variables ask for them.

Every line names the period, the run and the step it is about. Inside a Prefect flow run lines go to its logger, and so
to Prefect's server. A secret never gets into a line: settings name theirs as they are read (`pipelines.masking`).
Neither Prefect nor OpenTelemetry is imported for this where nobody uses it.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from typing import Any

from transforms.hidden import without_secrets

LOGGER = "csp_billing"
FORMAT_VARIABLE = "CSP_BILLING_LOG_FORMAT"
#: What a service is called in traces, where OTEL_SERVICE_NAME does not say.
SERVICE = "csp-billing"

_OTLP = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

#: The level that the command line asks for.
_flag = ""
_about: ContextVar[dict[str, str] | None] = ContextVar("about", default=None)
_logger = logging.getLogger(LOGGER)


def configure(log_format: str, level: str) -> None:
    """Write lines of this level and above to stderr, as text or as JSON; may be called again."""
    handler: logging.StreamHandler[Any] = logging.StreamHandler()
    # Not the stderr of now: a test or a Prefect flow run puts another in its place.
    handler.stream = _Stderr()
    handler.setFormatter(_JsonLines() if log_format == "json" else _Text())
    _logger.handlers = [handler]
    _logger.setLevel((_flag or level).upper())
    _logger.propagate = False


def be_verbose(level: str) -> None:
    """Let a flag of the command line win over the setting; an empty text takes that back."""
    global _flag
    _flag = level


def writes_json() -> bool:
    """Whether stderr is for JSON lines alone; asked also before any setting is read."""
    handlers = _logger.handlers
    if handlers:
        return isinstance(handlers[0].formatter, _JsonLines)
    return os.environ.get(FORMAT_VARIABLE, "").lower() == "json"


def log(level: str, message: str, **fields: Any) -> None:
    """Write a line, with these fields beside what it is about."""
    number = logging.getLevelNamesMapping()[level.upper()]
    fields = {**(_about.get() or {}), **fields}
    flow_logger = _flow_logger()
    if flow_logger is not None:
        flow_logger.log(number, "%s", without_secrets(_as_text(message, fields)))
    else:
        if not _logger.handlers:
            configure("json" if writes_json() else "text", "warning")
        _logger.log(number, message, extra={"fields": fields})


@contextmanager
def about(name: str, **fields: str) -> Iterator[None]:
    """What is done inside is about these: a period, a run. It is one span of the trace."""
    outer = _about.get() or {}
    token = _about.set({**outer, **{key: value for key, value in fields.items() if value}})
    try:
        with _span(name):
            yield
    finally:
        _about.reset(token)


def learn(**fields: str) -> None:
    """Add what is only now known, such as the id of a run."""
    known = _about.get()
    if known is not None:
        known.update(fields)


@contextmanager
def step(name: str) -> Iterator[dict[str, int]]:
    """A step: its begin, its end with what it counted (put into the dictionary), or its failure."""
    began = time.monotonic()
    counts: dict[str, int] = {}
    log("info", "step begins", step=name)
    with _span(name) as span:
        try:
            yield counts
        except Exception as error:
            log("info", f"step failed: {error}", step=name, seconds=_since(began))
            raise
        finally:
            if span is not None:
                span.set_attributes({f"csp_billing.{key}": value for key, value in (_about.get() or {}).items()})
                span.set_attributes({f"csp_billing.count.{key}": value for key, value in counts.items()})
    log("info", "step ended", step=name, seconds=_since(began), **counts)


def counts_of(result: Any) -> dict[str, int]:
    """What a step's result says it did, as whole numbers by name; nothing where it does not say."""
    counts = getattr(result, "counts", None)
    if isinstance(counts, dict):
        return counts
    counted = {name: getattr(result, name, None) for name in ("lines", "invoices", "blocking", "waived")}
    return {name: value for name, value in counted.items() if isinstance(value, int)}


class _Stderr:
    """Whatever stderr is when a line is written."""

    def write(self, text: str) -> None:
        sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class _JsonLines(logging.Formatter):
    """One JSON document a line."""

    def format(self, record: logging.LogRecord) -> str:
        document = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        return without_secrets(json.dumps(document, default=str, ensure_ascii=False))


class _Text(logging.Formatter):
    """For eyes: time, level, message, and the fields as name=value."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(sep=" ", timespec="seconds")
        text = _as_text(record.getMessage(), getattr(record, "fields", {}))
        return without_secrets(f"{at} {record.levelname.lower()} {text}")


def _as_text(message: str, fields: Mapping[str, Any]) -> str:
    told = " ".join(f"{name}={value}" for name, value in fields.items())
    return " ".join(f"{message} {told}".split())


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.2f}"


def _flow_logger() -> Any:
    """The logger of the Prefect flow or task run that this is part of; None outside of one."""
    if "prefect" not in sys.modules:
        return None
    from prefect.context import FlowRunContext, TaskRunContext
    from prefect.logging import get_run_logger

    return get_run_logger() if FlowRunContext.get() or TaskRunContext.get() else None


def _span(name: str) -> AbstractContextManager[Any]:
    tracer = _tracer()
    if tracer is None:
        return nullcontext()
    attributes = {f"csp_billing.{key}": value for key, value in (_about.get() or {}).items()}
    return tracer.start_as_current_span(name, attributes=attributes)  # type: ignore[no-any-return]


@cache
def _tracer() -> Any:
    """The tracer of this process; None unless the environment names where spans go, and the extra `otel` is there."""
    if not any(os.environ.get(name) for name in _OTLP) or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log("warning", "OTEL_… is set, but OpenTelemetry is not installed: pip install 'csp-billing[otel]'")
        return None
    provider: Any = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        # Ours alone, since Prefect would fill a global one with spans of its own. It is flushed at the end.
        service = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: SERVICE}
        provider = TracerProvider(resource=Resource.create(service))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer(SERVICE)
