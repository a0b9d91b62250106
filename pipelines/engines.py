"""Where the parts of a run are worked on: in this process, in others of this machine, or in a Dask cluster's workers.

The steps are the same (`pipelines.parts`); an engine only says who does them. Nothing of Dask is loaded unless the
settings choose it, and no process is started for a month that is judged sooner than one starts.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from connectors.exports.delivery import Export
from connectors.exports.reader import LoadPart
from connectors.warehouse.period_lines import LinePreparer
from pipelines.extract import Extraction
from pipelines.parts import GivePart, OwnLines, PartJudge, PreparedPart
from pipelines.settings import PREFIX, Settings
from pipelines.threads import WORKERS, collect_rarely
from transforms.errors import SettingsError

#: From how many bytes of files with lines on other processes are worth their start, measured on two cores.
MANY_BYTES = 1 << 30


class Engine(Protocol):
    """Who works on the parts."""

    @property
    def threads(self) -> int:
        """By how many threads of this process the parts are to be called for."""
        ...

    def parts(
        self, exports: Sequence[tuple[int, Export]], extraction: Extraction, judge: PartJudge, prepare: LinePreparer
    ) -> Iterator[GivePart]:
        """What gives the parts of these files, judged and ready to be written, in the order of files and rows.

        Args:
            exports: files with lines, by place.
            extraction: tells which lines are of the period.
            judge: works on a part.
            prepare: makes its lines ready.

        Raises:
            InputError: a file cannot be read; also what gives a part raises it.
            RemoteError: the workers are lost; nothing is written by them.
        """
        ...


class ThreadEngine:
    """Threads of this process: a part is worked on when it is called for."""

    threads = WORKERS

    def parts(
        self, exports: Sequence[tuple[int, Export]], extraction: Extraction, judge: PartJudge, prepare: LinePreparer
    ) -> Iterator[GivePart]:
        """See `Engine.parts`."""
        for place, export in exports:
            for load in export.reader().parts():
                yield functools.partial(_worked, judge, prepare, load, export.kind, place, extraction.own_lines)


def _worked(
    judge: PartJudge, prepare: LinePreparer, load: LoadPart, kind: str, place: int, own_lines: OwnLines
) -> PreparedPart:
    return judge(load, kind, place, own_lines).prepared(prepare)


@contextmanager
def open_engine(settings: Settings, run_id: str, exports: Sequence[tuple[int, Export]]) -> Iterator[Engine]:
    """The engine that the settings choose, for one run.

    Args:
        settings: the settings.
        run_id: the run's id.
        exports: its files with lines, by place.

    Raises:
        SettingsError: Dask is chosen and not installed, or the folder for the parts cannot be used.
        RemoteError: the cluster cannot be reached.
    """
    collect_rarely()
    if settings.engine == "local":
        from pipelines.processes import open_processes, remove_left_folders

        remove_left_folders()
        if WORKERS > 1 and sum(export.content.byte_count for _, export in exports) >= MANY_BYTES:
            with open_processes(WORKERS - 1) as processes:
                yield processes
            return
        yield ThreadEngine()
        return
    if importlib.util.find_spec("distributed") is None:
        raise SettingsError(f"{PREFIX}ENGINE: Dask is not installed: pip install 'csp-billing[dask]'")
    from pipelines.dask_engine import open_dask

    with open_dask(settings.dask_address, settings.parts_location, run_id) as engine:
        yield engine
