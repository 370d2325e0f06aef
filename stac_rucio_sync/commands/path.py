"""``path``: where a file lies at an RSE, and why there."""

from __future__ import annotations

from contextlib import closing

import click
import orjson

from rucio_policy.paths import BY_NAME, PARENT_DATASET
from stac_rucio_sync.commands.context import Invocation
from stac_rucio_sync.commands.parameters import did_of
from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.stores.rucio.uploads import RucioUploads
from stac_rucio_sync.upload.paths import FilePath, path_at, path_by


@click.command()
@click.argument("did", metavar="DID")
@click.option("--rse", help="The path at this RSE, by the algorithm that it uses.")
@click.option("--algorithm", help="The path by this algorithm.")
@click.option("--dataset", metavar="DID", help="The dataset of the file, for the algorithm parent_dataset.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object a path.")
@click.pass_obj
def path(
    invocation: Invocation,
    /,
    did: str,
    *,
    rse: str | None,
    algorithm: str | None,
    dataset: str | None,
    as_json: bool,
) -> None:
    """Say where the file DID (scope:name) lies below the prefix of an RSE, and why there.

    With --rse, Rucio is asked which algorithm the RSE uses, or which path it keeps. With --algorithm nobody is asked.
    With neither, the paths by all algorithms are printed. Paths are on stdout, reasons on stderr.

    \b
    Examples:
      stac-rucio-sync path user.jdoe:test.file.1 --rse VIENNA-LOCALGROUPDISK
      stac-rucio-sync path user.jdoe:test.file.1 --algorithm documented_hash
      stac-rucio-sync path user.jdoe:test.file.1 --algorithm parent_dataset --dataset data:dataset1234
    """
    if rse and algorithm:
        raise UsageError("name either an RSE or an algorithm: an RSE has one of its own")
    file, of = did_of(did), did_of(dataset) if dataset else None
    if rse:
        with closing(RucioUploads(invocation.settings())) as uploads:
            found = [path_at(uploads, rse, file, of)]
    elif algorithm:
        found = [path_by(algorithm, file, of)]
    else:
        names = (*BY_NAME, PARENT_DATASET) if of else tuple(BY_NAME)
        found = [path_by(name, file, of) for name in names]
    for one in found:
        _show(one, as_json=as_json, name=f"{one.algorithm}\t" if len(found) > 1 else "")


def _show(found: FilePath, *, as_json: bool, name: str) -> None:
    if as_json:
        click.echo(orjson.dumps(found.as_json()))
        return
    click.echo(name + found.path)
    for sentence in found.because:
        click.echo(f"  {sentence}", err=True)
    if found.pfn:
        click.echo(f"  {found.pfn}", err=True)
