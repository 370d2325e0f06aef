"""``query``: ask the TAP service as any user would, and show the answer."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import click
import requests
from rich.console import Console
from rich.table import Table as ScreenTable
from rich.text import Text

from stac_rucio_sync.commands.context import Invocation
from stac_rucio_sync.errors import FatalError, UsageError

if TYPE_CHECKING:
    from pyvo.dal import TAPResults, TAPService

_SHOWN_ROWS = 100
_SHOWN_DIGITS = 8
_CHUNK = 1 << 16


@click.command()
@click.argument("adql", metavar="ADQL")
@click.option("--url", help="Address of a TAP service. Default: [services] base_url + /tap.")
@click.option("--async", "as_job", is_flag=True, help="Run the query as a job, which may take longer.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the answer to this file, as it comes."
)
@click.option(
    "--format", "form", help="Format of the file: votable, votable/td, csv, tsv, json, parquet. Default: votable."
)
@click.option("--maxrec", type=click.IntRange(0), help="Rows at most. Default: the service's limit.")
@click.pass_obj
def query(
    invocation: Invocation,
    adql: str,
    *,
    url: str | None,
    as_job: bool,
    output: Path | None,
    form: str | None,
    maxrec: int | None,
) -> None:
    """Ask the TAP service a question in ADQL and print the answer as a table.

    \b
    Examples:
      stac-rucio-sync query "SELECT TOP 5 obs_title, s_ra, s_dec FROM ivoa.obscore"
      stac-rucio-sync query "SELECT * FROM lake.replica" --output replicas.parquet --format parquet
    """
    if form is not None and output is None:
        raise UsageError("--format goes with --output FILE")
    address = url or f"{invocation.settings().services.base_url}/tap"
    wishes: dict[str, Any] = {"maxrec": maxrec} if maxrec is not None else {}
    if form is not None:
        wishes["RESPONSEFORMAT"] = form
    service = _service(address)
    if output is not None:
        _save(service, address, adql, output, wishes, as_job=as_job)
    else:
        _show(_results(service, address, adql, wishes, as_job=as_job))


def _service(address: str) -> TAPService:
    try:
        from pyvo.dal import TAPService  # noqa: PLC0415 - an extra, and half a second of imports
    except ImportError as error:
        raise UsageError("query needs pyvo: pip install 'stac-rucio-sync[vo]'") from error
    return TAPService(address)


def _results(service: TAPService, address: str, adql: str, wishes: dict[str, Any], *, as_job: bool) -> TAPResults:
    from pyvo.dal.exceptions import DALAccessError, DALOverflowWarning  # noqa: PLC0415 - as above

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DALOverflowWarning)  # what it says is said below the table
            return service.run_async(adql, **wishes) if as_job else service.run_sync(adql, **wishes)
    except (DALAccessError, requests.RequestException) as error:
        raise _translated(error, address) from error


def _save(service: TAPService, address: str, adql: str, output: Path, wishes: dict[str, Any], *, as_job: bool) -> None:
    """Write the answer to a file, which appears when it is whole."""
    from pyvo.dal.exceptions import DALAccessError  # noqa: PLC0415 - as above

    part = output.with_name(output.name + ".part")
    try:
        with part.open("wb") as file:
            if as_job:
                job = service.submit_job(adql, **wishes)
                try:
                    job.run().wait(phases=["COMPLETED", "ERROR", "ABORTED"])
                    job.raise_if_error()
                    answer = requests.get(job.result_uri, stream=True, timeout=60)
                    _copy(answer, file)
                finally:
                    job.delete()
            else:
                form = {"LANG": "ADQL", "QUERY": adql} | {name.upper(): str(value) for name, value in wishes.items()}
                _copy(requests.post(f"{address}/sync", data=form, stream=True, timeout=60), file)
        part.replace(output)
    except (DALAccessError, requests.RequestException) as error:
        raise _translated(error, address) from error
    finally:
        part.unlink(missing_ok=True)
    click.echo(f"{output}: {output.stat().st_size} bytes", err=True)


def _copy(answer: requests.Response, file: Any) -> None:  # noqa: ANN401 - an open file
    with answer:
        if not answer.ok:
            raise UsageError(_message_of(answer))
        for chunk in answer.iter_content(_CHUNK):
            file.write(chunk)


def _message_of(answer: requests.Response) -> str:
    """Return what an error document says (DALI 1.1 section 4.2)."""
    try:
        document = ElementTree.fromstring(answer.content)  # noqa: S314 - of the service that the user chose
    except ElementTree.ParseError:
        return f"{answer.status_code} {answer.reason}"
    said = [info.text or "" for info in document.iter() if info.get("name") == "QUERY_STATUS"]
    return said[0].strip() if said else f"{answer.status_code} {answer.reason}"


def _translated(error: Exception, address: str) -> FatalError:
    """Return the service's own words as a wrong query, and everything else as a service that does not answer."""
    from pyvo.dal.exceptions import DALQueryError  # noqa: PLC0415 - as above

    if isinstance(error, DALQueryError):
        return UsageError(str(error.reason))
    return FatalError(f"{address} does not answer as a TAP service ({error}): is it running (stac-rucio-sync serve)?")


def _show(results: TAPResults) -> None:
    """Print the rows; a long answer is cut on the screen, with its length below."""
    table = results.to_table()
    screen = ScreenTable()
    for column in table.itercols():
        unit = f" [{column.unit}]" if column.unit else ""
        screen.add_column(
            Text(column.name + unit), overflow="fold", justify="right" if column.dtype.kind in "if" else "left"
        )
    for row in table[:_SHOWN_ROWS]:
        screen.add_row(*(Text(_cell(value)) for value in row))
    Console().print(screen)
    cut = f", the first {_SHOWN_ROWS} shown (--output FILE has all)" if len(table) > _SHOWN_ROWS else ""
    more = "; there are more: the limit was reached (--maxrec)" if results.status[0] == "OVERFLOW" else ""
    click.echo(f"{len(table)} row{'' if len(table) == 1 else 's'}{cut}{more}", err=True)
    sys.stdout.flush()


def _cell(value: Any) -> str:  # noqa: ANN401 - whatever a column holds
    import numpy as np  # noqa: PLC0415 - half of pyvo's imports

    if value is np.ma.masked or value is None:
        return ""
    if isinstance(value, (float, np.floating)):
        return "" if np.isnan(value) else f"{value:.{_SHOWN_DIGITS}g}"
    if isinstance(value, np.ndarray):
        return " ".join(_cell(one) for one in value)
    return str(value)
