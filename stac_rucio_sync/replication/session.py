"""Replication for programs and notebooks: the jobs of the command line on items that one holds already."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.locality import Locality
from stac_rucio_sync.model.rules import RuleWish
from stac_rucio_sync.replication.choice import Choice, asked_batches
from stac_rucio_sync.replication.fetching import Fetcher, FetchJob
from stac_rucio_sync.replication.given import GivenItems
from stac_rucio_sync.replication.holdings import Holdings
from stac_rucio_sync.replication.manifest import FetchReport, Line
from stac_rucio_sync.replication.request import Request, RequestJob, RequestReport
from stac_rucio_sync.replication.survey import Destination, Survey, Surveyor, Watched
from stac_rucio_sync.settings import Settings, load_settings
from stac_rucio_sync.stores.rucio.rules import RucioRules


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a download left."""

    report: FetchReport
    lines: tuple[Line, ...]
    """One for each asset that was asked for."""

    @property
    def paths(self) -> list[Path]:
        """The files that are there now, whole and verified."""
        return [line.path for line in self.lines if line.path is not None]


class Replication:
    """Copies of items, as one Rucio account; a context manager.

    Items are objects of pystac (an ItemCollection, ``search.items()``) or dicts. ``assets`` and ``roles`` choose among
    their assets everywhere; without them it is whole items.

    Parameters
    ----------
    settings
        Names, scopes, the account. None: those of the environment and of the file that ``STAC_RUCIO_SYNC_SETTINGS``
        names.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or load_settings()
        self.holdings = Holdings(self.settings)
        self.rules = RucioRules(self.settings)

    def close(self) -> None:
        """Close all connections."""
        self.holdings.close()
        self.rules.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def replicate(
        self,
        items: Iterable[Any],
        rse: str,
        *,
        assets: Collection[str] = (),
        roles: Collection[str] = (),
        register: bool = False,
        dry_run: bool = False,
        **wish: Any,  # noqa: ANN401 - copies, lifetime, activity, comment: as of RuleWish
    ) -> RequestReport:
        """Ask for copies at an RSE expression: rules, made where there are none; the report tells each item's fate.

        Raises
        ------
        UsageError
            The expression stands for no RSE.
        """
        request = Request(RuleWish(rse, **wish), choice(assets, roles), register=register, dry_run=dry_run)
        return RequestJob(GivenItems(items), self.settings, request, self.holdings, self.rules).run()

    def survey(
        self,
        items: Iterable[Any],
        rse: str,
        *,
        assets: Collection[str] = (),
        roles: Collection[str] = (),
        wait: bool = False,
        timeout: float | None = None,
    ) -> Survey:
        """Say how much of every item is at an RSE, at once or when nothing is on its way any more."""
        surveyor = Surveyor(self.holdings, self.rules, Destination(rse, self.rules.rses(rse)))
        survey = Survey()
        watched: list[Watched] = []
        for asked, unreadable in asked_batches(GivenItems(items), self.settings, choice(assets, roles)):
            survey.unreadable.update({one.position: one.reason for one in unreadable})
            watched += surveyor.look(asked)
        if wait:
            survey.timed_out = not surveyor.wait(watched, timeout)
        survey.states = surveyor.states(watched)
        return survey

    def fetch(
        self,
        items: Iterable[Any],
        folder: str | Path,
        *,
        assets: Collection[str] = (),
        roles: Collection[str] = (),
        rse: str | None = None,
        **place: Any,  # noqa: ANN401 - site, latitude and longitude: as of Locality.place
    ) -> Fetched:
        """Download files, each from its nearest replica (``rse``: only from there), to ``folder/scope/name``.

        Raises
        ------
        UsageError
            The place is none, or the expression stands for no RSE.
        """
        locality = Locality(self.settings.locality, self.holdings.topology())
        view = locality.seen_from(locality.place(**place))
        rses = self.rules.rses(rse) if rse is not None else None
        lines: list[Line] = []
        with closing(Fetcher(self.settings, view, Path(folder), rses, 4)) as fetcher:
            chosen = choice(assets, roles)
            job = FetchJob(
                GivenItems(items), self.settings, chosen, self.holdings, fetcher, lambda line, _: lines.append(line)
            )
            return Fetched(job.run(), tuple(lines))


def choice(assets: Collection[str], roles: Collection[str]) -> Choice:
    """Return a choice of assets.

    Raises
    ------
    UsageError
        One name is given where a list of names belongs: its letters would be taken for names.
    """
    if isinstance(assets, str) or isinstance(roles, str):
        raise UsageError(f"assets and roles are lists: write [{assets or roles!r}]")
    return Choice(frozenset(assets), frozenset(roles))
