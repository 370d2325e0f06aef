"""Path algorithms: the worked examples of Rucio's workflow to the letter, and what keeps files apart and inside."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rucio_policy.algorithms import get_algorithms
from rucio_policy.paths import (
    BY_NAME,
    documented_hash,
    identity,
    md5_of,
    naming_convention,
    parent_dataset,
    rucio_hash,
)

# What Rucio's generic schema takes, and the dots and slashes of it more often than chance would have them.
NAMES = st.from_regex(r"[/A-Za-z0-9][/A-Za-z0-9.\-_]{0,30}", fullmatch=True) | st.from_regex(
    r"[a/][a./]{0,6}", fullmatch=True
)
SCOPES = st.from_regex(r"[a-zA-Z_\-.0-9]{1,25}", fullmatch=True) | st.sampled_from(
    [".", "..", "a", "user.a", "group.a"]
)
DIDS = st.tuples(SCOPES, NAMES)
Names = tuple[str, str]


def test_the_worked_examples() -> None:
    did = ("user.jdoe", "test.file.1")
    assert md5_of(*did) == "077c8119053bebb168d125034bff64ac"
    assert documented_hash(*did) == "/07/7c/user.jdoe/test.file.1"
    assert rucio_hash(*did) == "user/jdoe/07/7c/test.file.1"
    assert naming_convention(*did) == "/test/user.jdoe/file.1"
    assert parent_dataset(*did, "data", "dataset1234") == "/data/dataset1234/user.jdoe/test.file.1"
    assert identity(*did) == "user/jdoe/test.file.1"


@pytest.mark.parametrize(
    ("scope", "folders"), [("user.jdoe", "user/jdoe"), ("group.a.b", "group/a/b"), ("data.x", "data.x")]
)
def test_rucios_own_algorithms_make_folders_of_the_scopes_of_users_and_groups(scope: str, folders: str) -> None:
    assert rucio_hash(scope, "f").startswith(f"{folders}/")
    assert identity(scope, "f") == f"{folders}/f"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("plain", "/~/s/plain"),
        ("a/b.c", "/~/s/a/b.c"),
        ("ends.", "/~/s/ends."),
        ("a..b", "/a/s/.b"),
        ("a...", "/a/s/~.."),
        ("a.b/c.d", "/a/s/b/c.d"),
        ("a./x", "/a/s/~/x"),
    ],
)
def test_names_without_a_first_part_keep_to_a_folder_of_their_own(name: str, path: str) -> None:
    assert naming_convention("s", name) == path


@settings(max_examples=60)
@given(DIDS, DIDS, st.sampled_from([documented_hash, naming_convention]))
def test_no_two_dids_share_a_path_and_none_leaves_the_folder(
    one: Names, other: Names, algorithm: Callable[[str, str], str]
) -> None:
    path = algorithm(*one)
    assert path.startswith("/")
    assert not {"", ".", ".."}.intersection(path[1:].split("/"))
    assert (path == algorithm(*other)) == (one == other)


@settings(max_examples=60)
@given(DIDS, DIDS, DIDS, DIDS)
def test_no_two_files_of_datasets_share_a_path_and_none_leaves_the_folder(
    one: Names, of_one: Names, other: Names, of_other: Names
) -> None:
    path = parent_dataset(*one, *of_one)
    assert not {"", ".", ".."}.intersection(path[1:].split("/"))
    assert (path == parent_dataset(*other, *of_other)) == ((one, of_one) == (other, of_other))


def test_rucio_is_given_the_algorithms_that_it_has_not_itself() -> None:
    algorithms = get_algorithms()
    assert set(algorithms["lfn2pfn"]) == set(BY_NAME) - {"hash", "identity"}
    assert set(algorithms["non_deterministic_pfn"]) == {"parent_dataset"}
    # Rucio passes the RSE, its attributes and the protocol's, and puts the path behind a prefix that ends in a slash.
    path = algorithms["lfn2pfn"]["documented_hash"]("user.jdoe", "test.file.1", "RSE", {}, {})
    assert path == "07/7c/user.jdoe/test.file.1"
