"""``epn.epn_core`` as its standard has it: names, types, units, UCDs and the utype (EPN-TAP 2.0, August 2022).

taplint has no stage for EPN-TAP. The expected words are those of section 3 (table of parameters), with the columns for
``spatial_frame_type = "body"`` of table 1 and of notes 1 and 2, since this table holds body-fixed granules only.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import pyvo

from tests.e2e.archive import Archive

UTYPE = "ivo://ivoa.net/std/epntap#table-2.0"  # section 4.1

MANDATORY = """
granule_uid                | Text      |     | meta.id
granule_gid                | Text      |     | meta.id
obs_id                     | Text      |     | meta.id;obs
dataproduct_type           | Text      |     | meta.code.class
measurement_type           | Text      |     | meta.ucd
processing_level           | Integer   |     | meta.calibLevel
target_name                | Text      |     | meta.id;src
target_class               | Text      |     | src.class
time_min                   | Double    | d   | time.start;obs
time_max                   | Double    | d   | time.end;obs
time_sampling_step_min     | Float     | s   | time.resolution;stat.min
time_sampling_step_max     | Float     | s   | time.resolution;stat.max
time_exp_min               | Float     | s   | time.duration;obs.exposure;stat.min
time_exp_max               | Float     | s   | time.duration;obs.exposure;stat.max
spectral_range_min         | Float     | Hz  | em.freq;stat.min
spectral_range_max         | Float     | Hz  | em.freq;stat.max
spectral_sampling_step_min | Float     | Hz  | em.freq;spect.binSize;stat.min
spectral_sampling_step_max | Float     | Hz  | em.freq;spect.binSize;stat.max
spectral_resolution_min    | Float     |     | spect.resolution;stat.min
spectral_resolution_max    | Float     |     | spect.resolution;stat.max
c1min                      | Float     | deg | pos.bodyrc.lon;stat.min
c1max                      | Float     | deg | pos.bodyrc.lon;stat.max
c2min                      | Float     | deg | pos.bodyrc.lat;stat.min
c2max                      | Float     | deg | pos.bodyrc.lat;stat.max
c3min                      | Float     | km  | pos.bodyrc.alt;stat.min
c3max                      | Float     | km  | pos.bodyrc.alt;stat.max
s_region                   | Region    |     | pos.outline;obs.field
c1_resol_min               | Float     | deg | pos.angResolution;stat.min
c1_resol_max               | Float     | deg | pos.angResolution;stat.max
c2_resol_min               | Float     | deg | pos.angResolution;stat.min
c2_resol_max               | Float     | deg | pos.angResolution;stat.max
c3_resol_min               | Float     | km  | pos.resolution;stat.min
c3_resol_max               | Float     | km  | pos.resolution;stat.max
spatial_frame_type         | Text      |     | meta.code.class;pos.frame
incidence_min              | Float     | deg | pos.incidenceAng;stat.min
incidence_max              | Float     | deg | pos.incidenceAng;stat.max
emergence_min              | Float     | deg | pos.emergenceAng;stat.min
emergence_max              | Float     | deg | pos.emergenceAng;stat.max
phase_min                  | Float     | deg | pos.phaseAng;stat.min
phase_max                  | Float     | deg | pos.phaseAng;stat.max
instrument_host_name       | Text      |     | meta.id;instr.obsty
instrument_name            | Text      |     | meta.id;instr
service_title              | Text      |     | meta.title
creation_date              | Timestamp |     | time.creation
modification_date          | Timestamp |     | time.processing
release_date               | Timestamp |     | time.release
"""
"""Name, type, unit, UCD; all must be there (section 2.1)."""

OPTIONAL = """
access_url                     | Text    |       | meta.ref.url;meta.file
access_format                  | Text    |       | meta.code.mime
access_estsize                 | Integer | kbyte | phys.size;meta.file
access_md5                     | Text    |       | meta.checksum;meta.file
thumbnail_url                  | Text    |       | meta.ref.url;meta.preview
file_name                      | Text    |       | meta.id;meta.file
datalink_url                   | Text    |       | meta.ref.url
bib_reference                  | Text    |       | meta.bib
publisher                      | Text    |       | meta.curation
spatial_coordinate_description | Text    |       | meta.code.class;pos.frame
"""
"""Those of the common optional parameters (section 2.2) that this table has."""

OWN = {"obs_publisher_did", "s_polygon"}
"""Additional columns (section 1.2): the key into ivoa.obscore, and the region as a DALI polygon."""

NEVER_NULL = (
    "granule_uid", "granule_gid", "obs_id", "dataproduct_type", "target_class", "spatial_frame_type", "service_title",
    "creation_date", "modification_date", "release_date",
)  # fmt: skip
"""In bold face in the table of section 3: a value is required."""

DATATYPES = {
    "Text": ({"char", "unicodeChar"}, {""}),
    "Integer": ({"int", "long"}, {""}),
    "Float": ({"float", "double"}, {""}),
    "Double": ({"double"}, {""}),
    "Timestamp": ({"char"}, {"timestamp"}),  # note 4
    "Region": ({"char"}, {"adql:REGION"}),  # section 2.1.4: an STC-S string, or a DALI shape
}
"""Datatypes and xtypes in VOTable (section 3.1)."""


def wanted(text: str) -> dict[str, list[str]]:
    rows = [[word.strip() for word in line.split("|")] for line in text.strip().splitlines()]
    return {name: rest for name, *rest in rows}


@pytest.fixture(scope="module")
def service(archive: Archive) -> Any:
    return pyvo.dal.TAPService(f"{archive.url}/tap")


@pytest.fixture(scope="module")
def columns(service: Any) -> dict[str, dict[str, str]]:
    """What TAP_SCHEMA says of each column."""
    found = service.search(
        "SELECT column_name, datatype, xtype, unit, ucd, std FROM tap_schema.columns WHERE table_name = 'epn.epn_core'"
    )
    rows = found.to_table()
    return {
        str(row["column_name"]): {name: "" if row[name] is np.ma.masked else str(row[name]) for name in rows.colnames}
        for row in rows
    }


def test_the_table_is_found_by_its_utype(service: Any) -> None:
    found = service.search(f"SELECT table_name FROM tap_schema.tables WHERE utype = '{UTYPE}'")  # noqa: S608 - words of this test
    assert [str(row["table_name"]) for row in found] == ["epn.epn_core"]


def test_every_mandatory_column_is_there(columns: dict[str, Any]) -> None:
    assert wanted(MANDATORY).keys() <= columns.keys()


def test_no_column_is_there_that_has_no_place(columns: dict[str, Any]) -> None:
    assert columns.keys() == wanted(MANDATORY).keys() | wanted(OPTIONAL).keys() | OWN


@pytest.mark.parametrize(("name", "rest"), (wanted(MANDATORY) | wanted(OPTIONAL)).items())
def test_a_column_has_the_words_of_the_standard(name: str, rest: list[str], columns: dict[str, Any]) -> None:
    type_, unit, ucd = rest
    datatypes, xtypes = DATATYPES[type_]
    column = columns[name]
    assert column["datatype"] in datatypes
    assert column["xtype"] in xtypes
    assert (column["unit"], column["ucd"]) == (unit, ucd)
    assert column["std"] == "1"


@pytest.mark.parametrize("name", sorted(OWN))
def test_an_additional_column_does_not_claim_to_be_standard(name: str, columns: dict[str, Any]) -> None:
    assert columns[name]["std"] == "0"


def test_the_fields_of_a_result_say_the_same(service: Any, columns: dict[str, Any]) -> None:
    found = service.search("SELECT TOP 1 * FROM epn.epn_core")
    assert set(found.fieldnames) == columns.keys()
    for field in found.fielddescs:
        said = columns[field.name]
        assert (str(field.unit or ""), field.ucd or "", field.xtype or "") == (said["unit"], said["ucd"], said["xtype"])
        assert field.datatype == said["datatype"]


def test_required_values_are_there_in_every_row(service: Any, archive: Archive) -> None:
    missing = " OR ".join(f"{name} IS NULL" for name in NEVER_NULL)
    assert len(service.search(f"SELECT granule_uid FROM epn.epn_core WHERE {missing}")) == 0  # noqa: S608 - words of this test
    ((count,),) = service.search("SELECT COUNT(*) AS n FROM epn.epn_core").to_table().as_array().tolist()
    assert [(count,)] == archive.query("SELECT count(*) FROM lake.epn")
    assert count > 0


def test_values_are_as_the_standard_writes_them(service: Any) -> None:
    rows = service.search("SELECT * FROM epn.epn_core").to_table()
    for row in rows:
        assert str(row["spatial_frame_type"]) == "body"
        assert str(row["service_title"]) == "epn"  # section 2.1.6: the name of the schema
        assert str(row["access_format"]) == str(row["access_format"]).lower()
        assert re.fullmatch(r"[0-9-]{10}T[0-9:.]{8,}", str(row["creation_date"]))
        assert 0 <= row["c1min"] <= 360
        assert -90 <= row["c2min"] <= row["c2max"] <= 90
        assert 2_400_000 < row["time_min"] <= row["time_max"]
