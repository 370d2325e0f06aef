"""What an upload leaves beside the files: a report that is valid at every moment, metadata, a table for the Butler."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from astropy.table import Table

from stac_rucio_sync.errors import ItemError, UsageError
from stac_rucio_sync.model import Did, Uploaded, UploadFate
from stac_rucio_sync.upload.file_metadata import checked, file_metadata
from stac_rucio_sync.upload.ingest_table import PathTemplate
from stac_rucio_sync.upload.outputs import OutputOptions, Outputs
from stac_rucio_sync.upload.relative import Relative
from stac_rucio_sync.upload.report_lines import ReportLines

REFERENCE = {
    "id": "01a1ff68-902d-7d34-bbcb-237b8f772b01",
    "datasetType": {"name": "calexp", "storageClass": "ExposureF", "dimensions": ["instrument", "detector"]},
    "dataId": {"dataId": {"instrument": "HSC", "detector": 50}},
    "run": "u/test",
}


def uploaded(path: Path | str, fate: UploadFate = UploadFate.UPLOADED, **said: Any) -> Uploaded:
    facts: dict[str, Any] = {"pfn": f"https://vienna.example.org/{Path(path).name}", "bytes": 5} | said
    return Uploaded(Path(path), Did("s", "n"), "VIENNA-DISK", fate, **facts)


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]


# ------------------------------------------------------------------------------------------------------ the report


def test_a_line_says_all_that_became_of_a_file(tmp_path: Path) -> None:
    report = ReportLines(tmp_path / "report.jsonl")
    report.write(
        uploaded(
            "/d/a\n\udcff.fits",
            pfn="https://vienna.example.org/a",
            md5="0" * 32,
            adler32="00000001",
            dataset=Did("s", "night"),
        )
    )
    report.write(uploaded("/d/b", UploadFate.CONFLICT, reason="other bytes \udcff", pfn=None))
    assert lines_of(tmp_path / "report.jsonl") == [
        {
            "path": "/d/a\n\\xff.fits", "did": "s:n", "rse": "VIENNA-DISK", "fate": "uploaded", "reason": None,
            "bytes": 5, "adler32": "00000001", "md5": "0" * 32, "pfn": "https://vienna.example.org/a",
            "dataset": "s:night", "sent_again": 0,
        },
        {
            "path": "/d/b", "did": "s:n", "rse": "VIENNA-DISK", "fate": "conflict", "reason": "other bytes \\udcff",
            "bytes": 5, "adler32": None, "md5": None, "pfn": None, "dataset": None, "sent_again": 0,
        },
    ]  # fmt: skip
    report.close()


@pytest.mark.parametrize("kept", range(0, 400, 7))
def test_what_a_crash_left_of_a_line_is_cut_off(tmp_path: Path, kept: int) -> None:
    file = tmp_path / "report.jsonl"
    report = ReportLines(file)
    for name in ("a", "b"):
        report.write(uploaded(f"/d/{name}"))
    report.close()
    file.write_bytes(file.read_bytes()[:kept])
    whole = file.read_bytes().count(b"\n")
    again = ReportLines(file)
    again.write(uploaded("/d/c"))
    again.close()
    assert [line["path"] for line in lines_of(file)] == [*["/d/a", "/d/b"][:whole], "/d/c"]


@pytest.mark.parametrize("content", [b"SIMPLE  =   T", b'{"type": "Feature"}\n', b"\n"])
def test_a_file_that_is_no_report_is_left_alone(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "image.fits"
    file.write_bytes(content)
    with pytest.raises(UsageError, match="is no report"):
        ReportLines(file)
    assert file.read_bytes() == content


def test_two_uploads_do_not_write_one_report(tmp_path: Path) -> None:
    report = ReportLines(tmp_path / "report.jsonl")
    with pytest.raises(UsageError, match="another upload writes"):
        ReportLines(tmp_path / "report.jsonl")
    report.close()
    ReportLines(tmp_path / "report.jsonl").close()


def test_a_report_that_cannot_be_written_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        ReportLines(tmp_path / "nowhere" / "report.jsonl")


# ---------------------------------------------------------------------------------------------------- the metadata


def files_in(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    return [folder / name for name in names]


def test_a_sidecar_says_what_its_file_is_and_is_not_uploaded_itself(tmp_path: Path) -> None:
    image, alone, loose = files_in(tmp_path, "a.fits", "b.fits", "c.json")
    sidecar = tmp_path / "a.fits.json"
    sidecar.write_text('{"band": "r", "seeing": 0.7, "tags": ["deep"]}')
    said = file_metadata("sidecars", Relative([tmp_path]))
    assert said.of(image) == {"band": "r", "seeing": 0.7, "tags": ["deep"]}
    assert said.of(alone) == {}
    assert [path for path in (image, alone, loose, sidecar) if said.is_about_others(path)] == [sidecar]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"band": ', "is no JSON"),
        ('["band"]', "is no JSON object"),
        ('{"lifetime": 3600}', "lifetime is Rucio's own"),
        ('{"project": "x"}', "project is Rucio's own"),
        ('{"stac:id": "x"}', "begins with stac:"),
        ('{"a.b": 1}', "none that Rucio finds again"),
        ('{"a/b": 1}', "none that Rucio finds again"),
        ('{"": 1}', "none that Rucio finds again"),
        ('{"a": "\\u0000"}', "NUL"),
        ('{"rubin_sidecar": {"visit": 1}}', "is no DatasetRef"),
    ],
)
def test_metadata_that_rucio_would_misunderstand_are_refused(tmp_path: Path, content: str, reason: str) -> None:
    (image,) = files_in(tmp_path, "a.fits")
    (tmp_path / "a.fits.json").write_text(content)
    with pytest.raises(ItemError, match=reason):
        file_metadata("sidecars", Relative([tmp_path])).of(image)


TABLES = {
    "t.csv": 'filename,band,visit,chip\nnight/a.fits,r,903334,007\n"sub/b, c.fits",i,903336,\n',
    "t.jsonl": '{"path": "night/a.fits", "band": "r", "visit": 903334, "chip": "007"}\n'
    '{"path": "sub/b, c.fits", "band": "i", "visit": 903336}\n',
    "t.json": '{"night/a.fits": {"band": "r", "visit": 903334, "chip": "007"}, '
    '"sub/b, c.fits": {"band": "i", "visit": 903336, "chip": null}}',
    "list.json": '[{"filename": "night/a.fits", "band": "r", "visit": 903334, "chip": "007"}, '
    '{"filename": "./sub/b, c.fits", "band": "i", "visit": 903336}]',
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_says_what_files_are(tmp_path: Path, name: str) -> None:
    """A path in it begins with the name of PATH, or is relative to PATH."""
    first, second, third = files_in(tmp_path / "night", "a.fits", "sub/b, c.fits", "d.fits")
    table = tmp_path / name
    table.write_text(TABLES[name])
    said = file_metadata(str(table), Relative([tmp_path / "night"]))
    assert said.unused() == (2, "night/a.fits")
    assert said.of(first) == {"band": "r", "visit": 903334, "chip": "007"}
    assert said.of(second) == {"band": "i", "visit": 903336}
    assert said.of(third) == {}
    assert said.unused() == (0, None)
    assert said.is_about_others(table)
    said.close()


def test_a_table_of_ecsv_has_types_and_masked_values(tmp_path: Path) -> None:
    (image,) = files_in(tmp_path, "a.fits")
    made = Table({"path": [str(image)], "visit": [7], "seeing": [float("nan")], "chip": ["007"]})
    made.write(tmp_path / "t.ecsv", format="ascii.ecsv")
    said = file_metadata(str(tmp_path / "t.ecsv"), Relative([tmp_path]))
    assert said.of(image) == {"visit": 7, "chip": "007"}


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("t.csv", "path,band\na.fits,r\na.fits,i\n", "entry 2 describes a.fits once more"),
        ("t.csv", "path,band\na.fits,r,x\n", "line 2 has 3 columns"),
        ("t.jsonl", '{"band": "r"}\n', "entry 1 does not name a file"),
        ("t.jsonl", '{"path": \n', "cannot be read"),
        ("t.json", '{"a.fits": 5}', "is no object"),
        ("t.toml", "a = 1", "end in .csv"),
        ("t.ecsv", "nothing of the kind", "cannot be read"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused_as_a_whole(
    tmp_path: Path, name: str, content: str, reason: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=reason):
        file_metadata(str(tmp_path / name), Relative([tmp_path]))


def test_a_table_that_may_mean_two_files_is_not_guessed_at(tmp_path: Path) -> None:
    one, other = files_in(tmp_path, "one/a.fits", "other/a.fits")
    (tmp_path / "t.csv").write_text("path,band\na.fits,r\n")
    said = file_metadata(str(tmp_path / "t.csv"), Relative([tmp_path / "one", tmp_path / "other"]))
    assert said.of(one) == {"band": "r"}
    assert said.of(one) == {"band": "r"}
    with pytest.raises(ItemError, match=r"may be this file or .*one/a\.fits"):
        said.of(other)


# ------------------------------------------------------------------------------------------------------ the Butler


@pytest.mark.parametrize("said", [REFERENCE, {"rubin_sidecar": REFERENCE}, {"rubin_sidecar": json.dumps(REFERENCE)}])
def test_a_dataset_reference_is_what_the_ingest_daemon_reads(said: dict[str, Any]) -> None:
    """``DatasetRef.from_json`` of the text, and the kind of file beside it."""
    metadata = checked(said)
    assert metadata.keys() == {"rubin_butler", "rubin_sidecar"}
    assert metadata["rubin_butler"] == "data_product"
    assert json.loads(metadata["rubin_sidecar"]) == REFERENCE


def test_raw_files_need_no_reference() -> None:
    assert checked({"rubin_butler": "raw_file", "rubin_sidecar": ""}) == {
        "rubin_butler": "raw_file",
        "rubin_sidecar": "",
    }


def made_table(tmp_path: Path, fates: list[Uploaded], paths: list[Path], **options: Any) -> tuple[Table, Any]:
    outputs = Outputs(OutputOptions(table=tmp_path / "t.ecsv", **options), paths)
    for one in fates:
        outputs.take(one)
    report = outputs.write_table()
    outputs.close()
    return Table.read(tmp_path / "t.ecsv"), report


def test_the_table_has_the_columns_of_a_template(tmp_path: Path) -> None:
    paths = files_in(tmp_path / "raw", "HSC/903334_050.fits", "HSC/9_1.fits", "HSC/notes.txt")
    fates = [uploaded(path) for path in paths]
    table, report = made_table(
        tmp_path, fates, [tmp_path / "raw"], table_template="{instrument}/{visit:d}_{detector:d}.fits"
    )
    assert table.colnames == ["filename", "instrument", "visit", "detector"]
    assert [tuple(row) for row in table] == [
        ("https://vienna.example.org/903334_050.fits", "HSC", 903334, 50),
        ("https://vienna.example.org/9_1.fits", "HSC", 9, 1),
    ]
    assert table["visit"].dtype.kind == "i"
    assert (report.rows, dict(report.left_out)) == (2, {"no value for instrument, visit, detector": 1})


def test_the_table_has_the_data_ids_of_dataset_references(tmp_path: Path) -> None:
    (image,) = files_in(tmp_path, "a.fits")
    (tmp_path / "a.fits.json").write_text(json.dumps(REFERENCE))
    table, _ = made_table(tmp_path, [uploaded(image)], [tmp_path], metadata="sidecars")
    assert table.colnames == ["filename", "instrument", "detector"]
    assert tuple(table[0]) == ("https://vienna.example.org/a.fits", "HSC", 50)


def test_the_table_has_what_is_in_the_lake_and_can_be_read_there(tmp_path: Path) -> None:
    a, b, c, d = files_in(tmp_path, "1.fits", "2.fits", "3.fits", "4.fits")
    fates = [
        uploaded(a, UploadFate.PRESENT),
        uploaded(b, UploadFate.FAILED, pfn=None),
        uploaded(c, pfn=None),
        uploaded(d, UploadFate.FAILED),
        uploaded(d),
    ]
    table, report = made_table(tmp_path, fates, [tmp_path], table_template="{visit:d}.fits")
    assert [tuple(row) for row in table] == [
        ("https://vienna.example.org/1.fits", 1),
        ("https://vienna.example.org/4.fits", 4),
    ]
    assert dict(report.left_out) == {"no protocol reads from VIENNA-DISK": 1}


def test_a_table_without_a_file_is_a_table(tmp_path: Path) -> None:
    table, report = made_table(tmp_path, [], [tmp_path], table_template="{visit:d}.fits")
    assert table.colnames == ["filename", "visit"]
    assert len(table) == report.rows == 0


def test_a_long_table_is_written_in_parts_that_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stac_rucio_sync.upload.ingest_table._AT_A_TIME", 3)
    fates = [uploaded(tmp_path / f"{number}, '{'x' * number}'.fits") for number in range(8)]
    table, _ = made_table(tmp_path, fates, [tmp_path], table_template="{visit:d}, {note}.fits")
    assert list(table["visit"]) == list(range(8))
    assert list(table["note"]) == [f"'{'x' * number}'" for number in range(8)]


def test_values_of_several_kinds_are_text_and_chosen_columns_are_all(tmp_path: Path) -> None:
    a, b = files_in(tmp_path, "a", "b")
    (tmp_path / "a.json").write_text('{"seeing": 1, "label": 5, "more": 1}')
    (tmp_path / "b.json").write_text('{"seeing": 0.5, "label": "five", "more": [1]}')
    table, _ = made_table(
        tmp_path, [uploaded(a), uploaded(b)], [tmp_path], metadata="sidecars", table_columns=("label", "seeing")
    )
    assert table.colnames == ["filename", "label", "seeing"]
    assert [tuple(row)[1:] for row in table] == [("5", 1.0), ("five", 0.5)]


@pytest.mark.parametrize("template", ["{visit", "{visit!r}.fits", "{visit:x}", "{a}{a}", "{filename}", "{0}"])
def test_a_template_of_another_kind_is_refused(template: str) -> None:
    with pytest.raises(UsageError, match="template"):
        PathTemplate(template)


def test_columns_without_a_table_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--table"):
        Outputs(OutputOptions(table_template="{visit}.fits"), [tmp_path])


# ---------------------------------------------------------------------------------------------------- what is asked


def test_a_fate_is_found_by_whatever_path_leads_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (image,) = files_in(tmp_path / "real", "a.fits")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    outputs = Outputs(OutputOptions(), [tmp_path / "link"], looked_up=True)
    outputs.take(uploaded(tmp_path / "link" / "a.fits", dataset=Did("s", "night")))
    monkeypatch.chdir(tmp_path)
    for path in (image, tmp_path / "link" / "a.fits", Path("real/../link/a.fits")):
        found = outputs.fate(path)
        assert found is not None
        assert (found.did, found.fate, found.rse) == (Did("s", "n"), UploadFate.UPLOADED, "VIENNA-DISK")
    assert outputs.fate(tmp_path / "b.fits") is None
    outputs.close()


def test_own_files_are_not_uploaded(tmp_path: Path) -> None:
    report, table = tmp_path / "report.jsonl", tmp_path / "t.ecsv"
    outputs = Outputs(
        OutputOptions(report=report, table=table), [tmp_path], is_document=lambda path: path.suffix == ".json"
    )
    skipped = [path.name for path in (report, table, tmp_path / "a.json", tmp_path / "a.fits") if outputs.skip(path)]
    assert skipped == ["report.jsonl", "t.ecsv", "a.json"]
    outputs.close()


def test_paths_are_relative_to_where_the_named_one_lies(tmp_path: Path) -> None:
    relative = Relative([tmp_path / "night", tmp_path / "one.fits"])
    assert relative.of(tmp_path / "night" / "sub" / "a.fits") == "night/sub/a.fits"
    assert relative.of(tmp_path / "one.fits") == "one.fits"
