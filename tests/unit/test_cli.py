"""How the command line ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stac_rucio_sync import cli
from stac_rucio_sync.errors import FatalError, UsageError


def raises(error: Exception) -> Callable[..., None]:
    def run(*_: object, **__: object) -> None:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UsageError("no such thing"), 2, "error: no such thing\n"),
        (FatalError("it is gone"), 3, "error: it is gone\n"),
        (OSError(28, "No space left on device", "/a/file"), 3, "'/a/file'"),
        (KeyError("beam"), 3, "KeyError: 'beam'"),
    ],
)
def test_what_ends_a_command_is_said_and_never_taken_for_items_that_failed(
    error: Exception, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli.cli, "main", raises(error))
    with pytest.raises(SystemExit) as left:
        cli.main(["status"])
    assert left.value.code == code
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""
