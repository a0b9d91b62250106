"""Where the parts of a run are worked on: in threads of this process, or in the workers of a Dask cluster.

The steps are the same (`pipelines.parts`); an engine only says who does them. Nothing of Dask is loaded, and no
process started, unless the settings choose it.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from connectors.exports.delivery import Export
from pipelines.extract import Extraction
from pipelines.parts import JudgedPart, PartJudge
from pipelines.settings import PREFIX, Settings
from pipelines.threads import WORKERS
from transforms.errors import SettingsError

#: Gives a judged part; any thread may call it, once.
GivePart = Callable[[], JudgedPart]


class Engine(Protocol):
    """Who works on the parts."""

    @property
    def threads(self) -> int:
        """By how many threads of this process the parts are to be called for."""
        ...

    def parts(
        self, exports: Sequence[tuple[int, Export]], extraction: Extraction, judge: PartJudge
    ) -> Iterator[GivePart]:
        """What gives the judged parts of these files, in the order of files and rows.

        Args:
            exports: files with lines, by place.
            extraction: tells which lines are of the period.
            judge: works on a part.

        Raises:
            InputError: a file cannot be read; also what gives a part raises it.
            RemoteError: the workers are lost; nothing is written by them.
        """
        ...


class LocalEngine:
    """Threads of this process: a part is worked on when it is called for."""

    threads = WORKERS

    def parts(
        self, exports: Sequence[tuple[int, Export]], extraction: Extraction, judge: PartJudge
    ) -> Iterator[GivePart]:
        """See `Engine.parts`."""
        for place, export in exports:
            for load in export.reader().parts():
                yield functools.partial(judge, load, export.kind, place, extraction.own_lines)


@contextmanager
def open_engine(settings: Settings, run_id: str) -> Iterator[Engine]:
    """The engine that the settings choose, for one run.

    Raises:
        SettingsError: Dask is chosen and not installed, or the folder for the parts cannot be used.
        RemoteError: the cluster cannot be reached.
    """
    if settings.engine == "local":
        yield LocalEngine()
        return
    if importlib.util.find_spec("distributed") is None:
        raise SettingsError(f"{PREFIX}ENGINE: Dask is not installed: pip install 'csp-billing[dask]'")
    from pipelines.dask_engine import open_dask

    with open_dask(settings.dask_address, settings.parts_location, run_id) as engine:
        yield engine
