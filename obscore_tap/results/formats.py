"""What a result can be written as, and which of it a request means (DALI 1.1 section 3.4.3, TAP 1.1 section 2.7.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from obscore_tap.refusals import Refusal
from obscore_tap.results.binary import BinaryWriter
from obscore_tap.results.delimited import DelimitedWriter
from obscore_tap.results.json_rows import JsonWriter
from obscore_tap.results.tabledata import TableDataWriter
from obscore_tap.results.votable import DEFAULT_VERSION, VERSIONS
from obscore_tap.results.writer import Heading, Writer
from obscore_tap.schema import OutputColumn

VOTABLE = "application/x-votable+xml"
_TAPREGEXT = "ivo://ivoa.net/std/TAPRegExt#output-votable-"


@dataclass(frozen=True, slots=True)
class Format:
    """A way to write a result."""

    name: str
    """Short name, as RESPONSEFORMAT takes it."""
    mime: str
    """What RESPONSEFORMAT takes, too, and the answer's Content-Type begins with."""
    suffix: str
    aliases: tuple[str, ...] = ()
    """What else RESPONSEFORMAT takes, beside the name."""
    ivo_id: str = ""
    """How registries name it."""
    version: str = DEFAULT_VERSION
    """Of VOTable."""

    @property
    def content_type(self) -> str:
        """Return what the answer's Content-Type says: of a text, its encoding, which many would guess wrong."""
        return f"{self.mime};charset=utf-8" if self.name in ("csv", "tsv") else self.mime

    def writer(self, columns: Sequence[OutputColumn], heading: Heading) -> Writer:
        """Return what writes one document."""
        match self.name:
            case "votable/td":
                return TableDataWriter(columns, heading, self.version)
            case "votable/b" | "votable/b2":
                return BinaryWriter(columns, heading, self.version, flags=self.name == "votable/b2")
            case "csv" | "tsv":
                return DelimitedWriter(columns, heading, tabs=self.name == "tsv")
            case "json":
                return JsonWriter(columns, heading)
            case "parquet":
                from obscore_tap.results.parquet import ParquetWriter  # noqa: PLC0415 - Arrow takes 50 MB: for its users

                return ParquetWriter(columns, heading)
        raise AssertionError(self.name)


_BINARY2, _BINARY, _TABLEDATA = (
    Format(short, f"{VOTABLE};serialization={word}", "vot", ivo_id=_TAPREGEXT + word_id)
    for short, word, word_id in (
        ("votable/b2", "BINARY2", "binary2"),
        ("votable/b", "BINARY", "binary"),
        ("votable/td", "TABLEDATA", "td"),
    )
)
FORMATS = (
    _BINARY2,
    _TABLEDATA,
    _BINARY,
    Format("csv", "text/csv;header=present", "csv", ("text/csv",)),
    Format("tsv", "text/tab-separated-values", "tsv"),
    Format("json", "application/json", "json"),
    Format("parquet", "application/vnd.apache.parquet", "parquet", ("application/x-parquet", "application/parquet")),
)
"""All of them; VOTable without a word on its serialization is one of the first two, as the service has it."""
_SERIALIZATIONS = {"binary2": _BINARY2, "binary": _BINARY, "tabledata": _TABLEDATA}
_PLAIN_VOTABLE = frozenset({"votable", VOTABLE, "text/xml"})
_NAMED = {name.lower(): form for form in FORMATS for name in (form.name, form.mime, *form.aliases)}


def negotiate(value: str | None, default: str = VOTABLE) -> Format:
    """Return the format that a RESPONSEFORMAT (or FORMAT) means.

    Parameters
    ----------
    value
        As the request has it, in any case; none or empty: the default.
    default
        The format where none is asked for, by one of its names. If it is a VOTable's serialization, a request for
        plain VOTable means it, too; else that means BINARY2.

    Raises
    ------
    Refusal
        There is no such format; the text lists those that there are.
    """
    preferred = _NAMED.get(default.lower(), _BINARY2)
    plain = replace(preferred if preferred in _SERIALIZATIONS.values() else _BINARY2, mime=VOTABLE)
    if value is None or not value.strip():
        return plain if preferred.name == plain.name else preferred
    asked, *parameters = (part.strip().lower() for part in value.split(";"))
    asked = asked.replace("x-votable xml", "x-votable+xml")  # a plus sign that was not escaped in a URL
    said = dict(_pair(parameter) for parameter in parameters if parameter)
    said.pop("charset", None)
    if asked in _PLAIN_VOTABLE:
        return _votable(value, asked, said, plain)
    form = _NAMED.get(asked + "".join(f";{name}={word}" for name, word in said.items()))
    if form is None and asked.startswith("votable/") and set(said) == {"version"} and asked in _NAMED:
        form = _versioned(_NAMED[asked], said["version"], value)
    return _known(form, value)


def _votable(value: str, asked: str, said: dict[str, str], plain: Format) -> Format:
    """Return a VOTable with the serialization and the version that a MIME type's parameters name."""
    version, serialization = said.pop("version", None), said.pop("serialization", None)
    if said:
        return _known(None, value)
    form = plain
    if serialization is not None:
        form = _known(_SERIALIZATIONS.get(serialization), value)
    if asked == "text/xml":
        form = replace(form, mime=form.mime.replace(VOTABLE, "text/xml"))
    return form if version is None else _versioned(form, version, value)


def _versioned(form: Format, version: str, value: str) -> Format:
    if version not in VERSIONS:
        raise Refusal(f"RESPONSEFORMAT {value!r}: VOTable comes in the versions {', '.join(VERSIONS)}")
    return replace(form, version=version, mime=f"{form.mime};version={version}")


def _known(form: Format | None, value: str) -> Format:
    if form is None:
        names = ", ".join(["votable", *(known.name for known in FORMATS)])
        types = ", ".join([VOTABLE, "text/xml", *(known.mime for known in FORMATS)])
        raise Refusal(f"RESPONSEFORMAT {value!r} is not known here; there are {names}, and as MIME types {types}")
    return form


def _pair(parameter: str) -> tuple[str, str]:
    name, _, word = parameter.partition("=")
    return name.strip(), word.strip().strip('"')
