"""Checksums as the file extension states them: checked, never invented."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stac_rucio_sync.mapping.checksums import Checksums, parse_multihash, stated_checksums

MD5 = hashlib.md5(b"bytes", usedforsecurity=False).hexdigest()
SHA1 = hashlib.sha1(b"bytes", usedforsecurity=False).hexdigest()
SHA256 = hashlib.sha256(b"bytes").hexdigest()
SHA512 = hashlib.sha512(b"bytes").hexdigest()
SHA3 = hashlib.sha3_256(b"bytes").hexdigest()


@pytest.mark.parametrize(
    ("text", "algorithm", "digest"),
    [
        ("d50110" + MD5, "md5", MD5),
        ("D50110" + MD5.upper(), "md5", MD5),
        ("1114" + SHA1, "sha1", SHA1),
        ("1220" + SHA256, "sha2-256", SHA256),
        ("1340" + SHA512, "sha2-512", SHA512),
        ("1620" + SHA3, "sha3-256", SHA3),
    ],
)
def test_a_multihash_says_its_own_algorithm(text: str, algorithm: str, digest: str) -> None:
    assert parse_multihash(text) == (algorithm, digest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        MD5,  # bare
        SHA1,
        "d501" + MD5,  # no length
        "d50120" + MD5,  # length of another algorithm
        "1610" + MD5,  # sha3-256 of 16 octets
        "1220" + SHA256[:-2],
        "1220" + SHA256 + "00",
        "920020" + SHA256,  # the code 0x12 in more octets than it needs
        "1220" + SHA256[:-1],  # half an octet
        "12 20" + SHA256,
        "ffffffffffffffffffff",
        "d5",
    ],
)
def test_what_is_no_multihash_is_kept_as_unverified_text(text: str) -> None:
    assert parse_multihash(text) is None
    assert stated_checksums({"file:checksum": text}) == Checksums(None, None, text or None)


def test_md5_goes_to_rucio_and_others_stay_text() -> None:
    assert stated_checksums({"file:checksum": "d50110" + MD5}) == Checksums(md5=MD5)
    assert stated_checksums({"file:checksum": "1220" + SHA256}) == Checksums(unverified=f"sha2-256:{SHA256}")
    assert stated_checksums({"checksum:multihash": "d50110" + MD5}) == Checksums(md5=MD5)
    assert stated_checksums({"md5_digest": MD5, "file:checksum": 7}) == Checksums()


@pytest.mark.parametrize(
    ("stac", "adler32"),
    [
        ({"rucio:adler32": "1a2b3c"}, "001a2b3c"),
        ({"rucio:config": {"rucio:adler32": "0A1B2C3D"}}, "0a1b2c3d"),
        ({"rucio:adler32": "123456789"}, None),
        ({"rucio:adler32": "ad:0a1b2c3d"}, None),
        ({"rucio:adler32": 12345678}, None),
    ],
)
def test_adler32_has_eight_digits_or_is_none(stac: dict[str, object], adler32: str | None) -> None:
    assert stated_checksums(stac).adler32 == adler32


@given(st.one_of(st.text(), st.binary().map(bytes.hex)))
def test_no_text_gives_an_md5_that_it_does_not_hold(text: str) -> None:
    stated = stated_checksums({"file:checksum": text})
    assert stated.md5 is None or (len(stated.md5) == 32 and text.strip().lower() == "d50110" + stated.md5)
