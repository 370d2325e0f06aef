"""SIA2's description of itself: a service descriptor in every response (SIA 2.0 sections 2.1.19 and 3.1.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from obscore_tap.sia2.constraints import KINDS, LEVELS, STATES

STANDARD_ID = "ivo://ivoa.net/std/SIA#query-2.0"


@dataclass(frozen=True, slots=True)
class InputParameter:
    """A parameter as the descriptor names it."""

    name: str
    description: str
    datatype: str = "char"
    unit: str = ""
    ucd: str = ""
    options: tuple[str, ...] = ()

    @property
    def is_interval(self) -> bool:
        """Whether its values are intervals (DALI 1.1 section 3.3.4)."""
        return self.datatype == "double"


def _interval(name: str, description: str, unit: str, ucd: str) -> InputParameter:
    return InputParameter(name, f"{description}: an interval of two numbers, or one number", "double", unit, ucd)


PARAMETERS = (
    InputParameter(
        "POS",
        "Region on the sky, ICRS degrees: CIRCLE lon lat radius, RANGE lon1 lon2 lat1 lat2 or POLYGON lon1 lat1 ...",
        ucd="pos.outline;obs",
    ),
    _interval("BAND", "Wavelength", "m", "em.wl"),
    _interval("TIME", "Time of observation, MJD (UTC)", "d", "time.interval;obs.exposure"),
    InputParameter("POL", "Polarization state", ucd="meta.code;phys.polarization", options=STATES),
    _interval("FOV", "Diameter of the field of view", "deg", "phys.angSize;instr.fov"),
    _interval("SPATRES", "Spatial resolution", "arcsec", "pos.angResolution"),
    _interval("SPECRP", "Spectral resolving power", "", "spect.resolution"),
    _interval("EXPTIME", "Exposure time", "s", "time.duration;obs.exposure"),
    _interval("TIMERES", "Temporal resolution", "s", "time.resolution"),
    InputParameter("ID", "Publisher's identifier of a dataset, in any case", ucd="meta.ref.ivoid"),
    InputParameter("COLLECTION", "Name of a collection", ucd="meta.id"),
    InputParameter("FACILITY", "Name of an observatory, satellite or telescope", ucd="meta.id;instr.tel"),
    InputParameter("INSTRUMENT", "Name of an instrument", ucd="meta.id;instr"),
    InputParameter("DPTYPE", "Kind of data product", ucd="meta.code.class", options=KINDS),
    InputParameter("CALIB", "Calibration level", "int", ucd="meta.code;obs.calib", options=tuple(map(str, LEVELS))),
    InputParameter("TARGET", "Name of the object that was observed", ucd="meta.id;src"),
    InputParameter("FORMAT", "Media type of what access_url answers", ucd="meta.code.mime"),
    InputParameter("MAXREC", "Most rows of the response; 0 asks for its columns only", "int"),
    InputParameter("RESPONSEFORMAT", "Media type of the response"),
)


def descriptor(access_url: str, known: Mapping[str, Sequence[str]]) -> str:
    """Return the RESOURCE that describes the service.

    Parameters
    ----------
    access_url
        Where the queries go.
    known
        All values that a parameter finds rows with, by the parameter's name.
    """
    parameters = "\n".join(_param(one, known.get(one.name, one.options)) for one in PARAMETERS)
    return (
        '<RESOURCE type="meta" utype="adhoc:service" name="this">\n'
        "<DESCRIPTION>The parameters of this service</DESCRIPTION>\n"
        f'<PARAM name="standardID" datatype="char" arraysize="*" value="{STANDARD_ID}"/>\n'
        f'<PARAM name="accessURL" datatype="char" arraysize="*" value={quoteattr(access_url)}/>\n'
        f'<GROUP name="inputParams">\n{parameters}\n</GROUP>\n'
        "</RESOURCE>\n"
    )


def _param(one: InputParameter, options: Sequence[str]) -> str:
    text = one.datatype == "char"
    attributes = {
        "name": one.name,
        "datatype": "unicodeChar" if text and not all(map(str.isascii, options)) else one.datatype,
        "arraysize": "*" if text else "2" if one.is_interval else "",
        "xtype": "interval" if one.is_interval else "",
        "unit": one.unit,
        "ucd": one.ucd,
    }
    written = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items() if value)
    listed = "".join(f"<OPTION value={quoteattr(option)}/>" for option in options if option.isprintable())
    values = f"<VALUES>{listed}</VALUES>" if listed else ""
    return f'<PARAM{written} value="">{f"<DESCRIPTION>{escape(one.description)}</DESCRIPTION>"}{values}</PARAM>'
