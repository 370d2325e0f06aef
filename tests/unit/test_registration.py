"""Records for the Registry: by the schemas, with what the services say of themselves, and none that is half true."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner
from lxml import etree

from obscore_tap.registration import KINDS, record
from stac_rucio_sync.cli import cli
from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.settings import Settings
from tests.xsd import record_faults

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
SET: dict[str, Any] = {
    "identity": {"authority": "archive.example.org", "path": "lake"},
    "services": {"base_url": "https://archive.example.org/vo", "title": "Sky & <Earth> archive"},
    "registry": {
        "publisher": "Observatory <of> A & B",
        "publisher_id": "ivo://archive.example.org/org",
        "creators": ["Team é", "Others"],
        "contact_name": "Archive team",
        "contact_email": "archive@example.org",
        "subjects": ["sky-surveys"],
        "description": "Images & more.",
        "created": "2026-03-01",
    },
}


def settings(**changed: dict[str, Any]) -> Settings:
    return Settings.model_validate({name: section | changed.get(name, {}) for name, section in SET.items()})


def made(kind: str) -> Any:
    return etree.fromstring(record(kind, settings(), NOW))


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_is_valid_by_the_schemas(kind: str) -> None:
    assert record_faults(record(kind, settings(), NOW)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_has_the_words_of_the_settings(kind: str) -> None:
    root = made(kind)
    assert root.findtext("title").startswith("Sky & <Earth> archive ")
    assert len(root.findtext("shortName")) <= 16
    assert root.findtext("identifier") == f"ivo://archive.example.org/lake/{kind}"
    assert root.findtext("curation/publisher") == "Observatory <of> A & B"
    assert [one.text for one in root.iterfind("curation/creator/name")] == ["Team é", "Others"]
    assert (root.get("created"), root.get("updated")) == ("2026-03-01T00:00:00Z", "2026-03-04T05:06:07Z")
    assert all(one.text.startswith("https://archive.example.org/vo/") for one in root.iter("accessURL"))


def standards(root: Any) -> list[str]:
    return [one.get("standardID") for one in root.iterfind("capability")]


def tables(root: Any) -> list[str]:
    return [one.text for one in root.iterfind("tableset/schema/table/name")]


def test_tap_comes_with_its_tables() -> None:
    root = made("tap")
    assert "ivo://ivoa.net/std/TAP" in standards(root)
    assert {"ivoa.obscore", "epn.epn_core", "tap_schema.columns"} <= set(tables(root))
    assert root.find("tableset/schema/table/column") is not None


def test_a_cone_search_is_typed_and_can_be_tested() -> None:
    root = made("scs")
    (search,) = root.iterfind("capability[@standardID='ivo://ivoa.net/std/ConeSearch']")
    assert search.get(f"{XSI}type") == "cs:ConeSearch"
    assert search.findtext("interface/accessURL") == "https://archive.example.org/vo/scs?"
    assert search.findtext("testQuery/sr") == "0.1"
    assert tables(root) == ["ivoa.obscore"]


def test_the_epn_table_is_found_by_its_utype_and_asked_through_tap() -> None:
    root = made("epn")
    assert root.get(f"{XSI}type") == "vs:CatalogResource"
    assert standards(root) == ["ivo://ivoa.net/std/TAP#aux"]
    assert root.findtext("capability/interface/accessURL") == "https://archive.example.org/vo/tap"
    assert root.find("content/relationship/relatedResource").get("ivo-id") == "ivo://archive.example.org/lake/tap"
    assert tables(root) == ["epn.epn_core"]
    assert root.findtext("tableset/schema/table/utype") == "ivo://ivoa.net/std/epntap#table-2.0"


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("registry", "publisher", None),
        ("registry", "contact_name", None),
        ("registry", "contact_email", None),
        ("registry", "subjects", ()),
        ("registry", "description", ""),
        ("identity", "authority", "stac-rucio-sync.invalid"),
        ("services", "base_url", "http://127.0.0.1:8080"),
        ("services", "base_url", "http://localhost:8080"),
    ],
)
def test_what_is_missing_is_named(section: str, name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=name):
        record("tap", settings(**{section: {name: value}}), NOW)


def test_an_address_that_nobody_set_is_none() -> None:
    given = {name: section for name, section in SET.items() if name != "services"}
    with pytest.raises(UsageError, match="base_url"):
        record("tap", Settings.model_validate(given), NOW)


def test_the_command_prints_it(tmp_path: Any) -> None:
    file = tmp_path / "settings.toml"
    lines = [
        f"[{section}]\n" + "\n".join(f"{name} = {value!r}" for name, value in fields.items())
        for section, fields in SET.items()
    ]
    file.write_text("\n".join(lines))
    done = CliRunner().invoke(cli, ["--settings", str(file), "--home", str(tmp_path), "registry-record", "sia2"])
    assert done.exit_code == 0, done.output
    assert "ivo://ivoa.net/std/SIA#query-2.0" in standards(etree.fromstring(done.stdout.encode()))
