"""The pure parts of an upload: what is found, what it is called, what is to be done with it, what is remembered."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stac_rucio_sync.errors import FatalError, ItemError, UsageError
from stac_rucio_sync.mapping.escapes import unescape
from stac_rucio_sync.mapping.identifiers import is_rucio_name
from stac_rucio_sync.model import Did, Hashed, Held, UploadFate
from stac_rucio_sync.upload.comparison import Verdict, judge
from stac_rucio_sync.upload.discovery import Choice, FileFound, find
from stac_rucio_sync.upload.journal import Journal
from stac_rucio_sync.upload.naming import check_template, name_of
from stac_rucio_sync.upload.work import ChangedError, ReadTask, read

FILE_NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=()), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..")
)
DID = Did("user.alice", "f")
SUMS = Hashed(3, "01234567", "0" * 32)
HELD = Held(3, "01234567", "0" * 32, {"A": ("https://a.example/f",)}, {"A": "AVAILABLE"})


def found_in(*paths: Path, choice: Choice | None = None) -> tuple[list[FileFound], list[Path], list[Path]]:
    errors: list[Path] = []
    left_out: list[Path] = []
    files = list(find(paths, choice or Choice(), lambda path, _: errors.append(path), left_out.append))
    return files, errors, left_out


# ------------------------------------------------------------------------------------------------------- discovery


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "night"
    (top / "sub" / "deep").mkdir(parents=True)
    for name in ("b.fits", "a.fits", "sub/a.fits", "sub/deep/c.txt", ".hidden"):
        (top / name).write_text(name)
    (top / "link.fits").symlink_to(top / "a.fits")
    (top / "broken").symlink_to(top / "nowhere")
    (top / "sub" / "up").symlink_to(top)
    os.mkfifo(top / "pipe")
    return top


def test_files_are_found_below_folders_in_the_order_of_their_names_and_nothing_else_is(tree: Path) -> None:
    files, errors, left_out = found_in(tree)
    assert [file.relative for file in files] == [
        "night/.hidden",
        "night/a.fits",
        "night/b.fits",
        "night/sub/a.fits",
        "night/sub/deep/c.txt",
    ]
    assert not errors
    assert {path.name for path in left_out} == {"link.fits", "broken", "up", "pipe"}
    assert files[1].bytes == 6
    assert files[1].mtime_ns == (tree / "a.fits").stat().st_mtime_ns


def test_links_are_followed_when_asked_and_never_in_circles(tree: Path) -> None:
    files, errors, left_out = found_in(tree, choice=Choice(follow_links=True))
    assert "night/link.fits" in [file.relative for file in files]
    assert [path.name for path in errors] == ["broken"]
    assert {path.name for path in left_out} == {"up", "pipe"}


def test_patterns_are_for_names_and_for_paths(tree: Path) -> None:
    def chosen(*include: str, exclude: tuple[str, ...] = ()) -> list[str]:
        return [file.relative for file in found_in(tree, choice=Choice(include, exclude))[0]]

    assert chosen("*.fits") == ["night/a.fits", "night/b.fits", "night/sub/a.fits"]
    assert chosen("*.fits", exclude=("b.*",)) == ["night/a.fits", "night/sub/a.fits"]
    assert chosen("night/sub/*") == ["night/sub/a.fits", "night/sub/deep/c.txt"]


def test_a_file_that_is_named_itself_is_taken_by_its_name_also_through_a_link(tree: Path) -> None:
    files, _, _ = found_in(tree / "sub" / "a.fits", tree / "link.fits")
    assert [(file.relative, file.bytes) for file in files] == [("a.fits", 10), ("link.fits", 6)]


def test_a_path_that_is_not_there_is_a_usage_error_and_a_closed_folder_is_told(tree: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        found_in(tree / "nothing")


# ---------------------------------------------------------------------------------------------------------- names


@given(st.lists(FILE_NAMES, min_size=1, max_size=4))
@settings(max_examples=200)
def test_every_path_has_a_name_that_rucio_takes_and_that_tells_the_path(parts: list[str]) -> None:
    name = name_of("/".join(parts))
    assert is_rucio_name(name)
    if "..." not in name:
        first, *others = name.split("..")
        assert [unescape(part) for part in others] == parts[1:]
        assert unescape(first) in (parts[0], "x" + parts[0])


@given(st.lists(st.lists(FILE_NAMES, min_size=1, max_size=3).map("/".join), min_size=2, max_size=2, unique=True))
@settings(max_examples=200)
def test_two_paths_have_two_names(paths: list[str]) -> None:
    assert name_of(paths[0]) != name_of(paths[1])


def test_long_paths_keep_their_suffix_and_differ() -> None:
    one, other = name_of("a" * 255 + "/x.fits"), name_of("a" * 255 + "/y.fits")
    assert one != other
    assert one.endswith(".fits")
    # File systems take 255 bytes, and while a file is sent its name ends in ".rucio.upload".
    assert len(one + ".rucio.upload") <= 255


@pytest.mark.parametrize(
    ("template", "name"),
    [
        (None, "night..sub..a_x20_b.fits"),
        ("{path}", "night..sub..a_x20_b.fits"),
        ("{name}", "a_x20_b.fits"),
        ("v2.{stem}.raw{suffix}", "v2.a_x20_b.raw.fits"),
        ("{folder}--{name}", "night..sub--a_x20_b.fits"),
    ],
)
def test_names_follow_the_template(template: str | None, name: str) -> None:
    assert name_of("night/sub/a b.fits", template) == name


@pytest.mark.parametrize("template", ["{md5}", "{path", "fixed", "{folder}{suffix}"])
def test_a_template_that_cannot_work_is_refused_before_anything_is_done(template: str) -> None:
    with pytest.raises(UsageError, match="template"):
        check_template(template)


def test_a_name_that_rucio_would_not_take_is_an_error_about_the_file() -> None:
    with pytest.raises(ItemError, match="no name for Rucio"):
        name_of("a.fits", "_{name}")
    with pytest.raises(ItemError, match="243 characters"):
        name_of("a.fits", "v" * 237 + "{name}")


def test_what_would_stand_for_an_unfinished_file_is_no_name() -> None:
    with pytest.raises(ItemError, match="being sent"):
        name_of("night/a.fits.rucio.upload")
    assert name_of("night/a.fits.rucio.upload", "{path}.old") == "night..a.fits.rucio.upload.old"


# -------------------------------------------------------------------------------------------------------- verdicts


@pytest.mark.parametrize(
    ("held", "own", "verdict"),
    [
        (None, False, Verdict.NEW),
        (HELD, False, Verdict.PRESENT),
        (Held(3, "01234567", None, {}, {"B": "AVAILABLE"}), False, Verdict.NEW),
        (Held(3, None, None, {}, {"A": "COPYING"}), False, Verdict.SEND),
        (Held(3, None, None, {}, {"A": "BAD"}), False, Verdict.SEND),
        (Held(3, None, None, {}, {"A": "UNAVAILABLE"}), False, Verdict.SEND),
        (Held(3, None, None, {}, {"A": "BEING_DELETED"}), False, Verdict.REFUSED),
        (Held(4, "01234567", None, {}, {"A": "AVAILABLE"}), True, Verdict.CONFLICT),
        (Held(3, "89abcdef", None, {}, {"A": "COPYING"}), False, Verdict.CONFLICT),
        (Held(3, "89abcdef", None, {}, {"A": "COPYING"}), True, Verdict.AGAIN),
        (Held(3, "89abcdef", None, {}, {"A": "COPYING", "B": "AVAILABLE"}), True, Verdict.CONFLICT),
        (Held(3, "01234567", "1" * 32, {}, {"A": "AVAILABLE"}), True, Verdict.CONFLICT),
    ],
)
def test_what_rucio_holds_says_what_is_to_be_done(held: Held | None, own: bool, verdict: Verdict) -> None:
    judged = judge(DID, SUMS, held, "A", own=own)
    assert judged.verdict is verdict
    assert (judged.reason is not None) == (verdict in (Verdict.CONFLICT, Verdict.REFUSED))


# --------------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_a_file_is_read_once_for_both_checksums(tmp_path: Path, size: int) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"\x01" * size)
    status = file.stat()
    hashed = read(ReadTask(file, size, status.st_mtime_ns))
    assert hashed.bytes == size
    if size == 0:
        # RFC 1950 section 8.2 and RFC 1321 appendix A.5: of nothing.
        assert (hashed.adler32, hashed.md5) == ("00000001", "d41d8cd98f00b204e9800998ecf8427e")
    if size == 1:
        assert hashed.adler32 == "00020002"


def test_a_file_that_is_not_the_one_that_was_found_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    with pytest.raises(ChangedError):
        read(ReadTask(file, 2, file.stat().st_mtime_ns))
    with pytest.raises(ChangedError):
        read(ReadTask(file, 3, 0))


# --------------------------------------------------------------------------------------------------------- journal


def test_the_journal_keeps_what_was_read_of_a_file_until_the_file_changes(tmp_path: Path) -> None:
    place = tmp_path / "uploads" / "journal.sqlite"
    first = Journal(place)
    assert first.take([(b"/a", "a", 3, 10), (b"/b", "b", 3, 10), (b"/c/a", "a", 5, 1)]) == [b"/c/a"]
    ((a, b),) = list(first.batches(10, 1000))
    first.hashed({a.number: SUMS, b.number: SUMS})
    first.placed({a.number: "x/a"})
    first.done({a.number: UploadFate.UPLOADED, b.number: UploadFate.FAILED})
    assert first.totals() == (2, 6)
    assert list(first.batches(10, 1000)) == []
    first.close()

    again = Journal(place)
    assert again.run == 2
    again.take([(b"/a", "a", 3, 10), (b"/b", "b", 3, 11)])
    ((a, b),) = list(again.batches(10, 1000))
    assert (a.hashed, a.kept, a.target) == (SUMS, True, "x/a")
    assert (b.hashed, b.kept, b.target) == (None, False, None)
    known = again.known(b"/a")
    assert known is not None
    assert known.name == "a"
    assert again.known(b"/b") is None
    again.close()


def test_batches_are_bounded_by_files_and_by_bytes_and_a_large_file_is_one(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.take([(str(number).encode(), str(number), size, 0) for number, size in enumerate([1, 1, 1, 50, 9, 1, 1])])
    batches = [[entry.bytes for entry in batch] for batch in journal.batches(3, 10)]
    assert batches == [[1, 1, 1], [50], [9, 1], [1]]
    journal.close()


def test_what_is_gone_from_the_disk_is_known_while_something_of_it_may_lie_in_the_lake(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.take([(name.encode(), name, 1, 0) for name in ("done", "begun", "untouched")])
    ((done, begun, _),) = list(journal.batches(3, 10))
    journal.placed({done.number: "1", begun.number: "2"})
    journal.done({done.number: UploadFate.PRESENT})
    journal.close()
    journal = Journal(tmp_path / "journal")
    assert [entry.name for entry in journal.abandoned()] == ["begun"]
    journal.withdrawn([begun.number])
    assert list(journal.abandoned()) == []
    journal.close()


def test_one_process_at_a_time_has_a_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    with pytest.raises(UsageError, match="under way in another process"):
        Journal(tmp_path / "journal")
    journal.close()
    Journal(tmp_path / "journal").close()
    with pytest.raises(UsageError, match="journal of another upload"):
        Journal(tmp_path / "journal", "another")
    Journal(tmp_path / "journal").close()


def test_a_file_that_is_no_journal_is_told(tmp_path: Path) -> None:
    (tmp_path / "journal").write_bytes(b"something else entirely" * 100)
    with pytest.raises(FatalError, match="journal .* cannot be used"):
        Journal(tmp_path / "journal")
