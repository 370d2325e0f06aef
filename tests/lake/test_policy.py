"""The policy package inside the environment of Rucio's server, without a server around it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stac_rucio_sync.lake.environment import ensure_environment
from stac_rucio_sync.lake.home import server_user

CHECKOUT = Path(__file__).parents[2]

# Runs where Rucio's server is installed; the attributes of accounts and RSEs come from dictionaries.
PROBE = """
import json, sys
from unittest import mock
from rucio.common.plugins import check_policy_module_version
from rucio.common.types import InternalAccount, InternalScope
import rucio_policy
from rucio_policy import permission

check_policy_module_version(rucio_policy)
accounts = {"root": {}, "ingest": {"stac_ingest": True}, "alice": {}}
rses = {"origin": {"origin": "https://x"}, "disk": {"site": "vienna"}, "blank": {}}

def has_attribute(account, key, session):
    return bool(accounts[account.external].get(key))

def ask(name, action, **kwargs):
    return permission.has_permission(InternalAccount(name), action, kwargs, session=None)

with mock.patch.object(permission, "has_account_attribute", has_attribute), \\
     mock.patch.object(permission.generic, "has_account_attribute", has_attribute), \\
     mock.patch.object(permission, "list_rse_attributes", lambda rse_id, session: rses[rse_id]), \\
     mock.patch.object(permission, "get_rse_id", lambda rse, **_: rse), \\
     mock.patch.object(permission, "is_blank", lambda rse_id, session: rse_id == "blank"):
    answers = {}
    for name in accounts:
        for rse in rses:
            answers[name, "add_replicas", rse] = ask(name, "add_replicas", rse=rse, rse_id=rse)
            answers[name, "delete_replicas", rse] = ask(name, "delete_replicas", rse=rse, rse_id=rse)
            answers[name, "add_protocol", rse] = ask(name, "add_protocol", rse=rse, rse_id=rse)
            answers[name, "add_distance", rse] = ask(name, "add_distance", source=rse, destination="disk")
        answers[name, "add_rse", ""] = ask(name, "add_rse", rse="NEW", rse_id=None)
        answers[name, "no_such_action", ""] = ask(name, "no_such_action")
    print(json.dumps([[*key, answer] for key, answer in answers.items()]))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], bool]:
    python = ensure_environment(server_user(), lambda _message: None) / "bin" / "python"
    config = tmp_path_factory.mktemp("policy") / "rucio.cfg"
    config.write_text(
        "[database]\ndefault = sqlite://\n[policy]\npackage = rucio_policy\npermission = generic\nschema = generic\n",
        encoding="utf-8",
    )
    environment = {"RUCIO_CONFIG": str(config), "PYTHONPATH": str(CHECKOUT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [python, "-W", "ignore", "-c", PROBE], env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    return {(name, action, rse): answer for name, action, rse, answer in json.loads(done.stdout.splitlines()[-1])}


def test_an_ingest_account_is_bound_to_origins(answers: dict[tuple[str, str, str], bool]) -> None:
    allowed = {(action, rse) for (name, action, rse), answer in answers.items() if name == "ingest" and answer}
    assert allowed == {
        ("add_rse", ""),
        ("add_protocol", "origin"),
        ("add_protocol", "blank"),
        ("add_replicas", "origin"),
        ("delete_replicas", "origin"),
        ("add_distance", "origin"),
    }


def test_an_ordinary_account_is_allowed_nothing_more(answers: dict[tuple[str, str, str], bool]) -> None:
    assert not [key for key, answer in answers.items() if key[0] == "alice" and answer]


def test_root_keeps_its_generic_permissions(answers: dict[tuple[str, str, str], bool]) -> None:
    refused = {(action, rse) for (name, action, rse), answer in answers.items() if name == "root" and not answer}
    # Rucio's generic rules deny delete_replicas to everybody, root included.
    assert refused == {("delete_replicas", rse) for rse in ("origin", "disk", "blank")}


def test_the_package_imports_nothing_but_rucio_its_orm_and_its_web_framework() -> None:
    modules = [
        line.split()[1].split(".")[0]
        for file in (CHECKOUT / "rucio_policy").glob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.startswith(("import ", "from ", "    from "))
    ]
    assert set(modules) - sys.stdlib_module_names <= {"rucio", "rucio_policy", "sqlalchemy", "flask"}
