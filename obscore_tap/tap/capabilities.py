"""What this TAP service can do, in the words of TAPRegExt 1.0 and its erratum."""

from __future__ import annotations

from vo_models.tapregext.models import (
    DataLimit,
    DataLimits,
    DataModelType,
    Language,
    LanguageFeature,
    LanguageFeatureList,
    OutputFormat,
    TableAccess,
    TimeLimits,
    UploadMethod,
    Version,
)
from vo_models.voresource.models import Capability

from obscore_tap.adql.features import DESCRIPTION, FEATURES
from obscore_tap.query import VOTABLE
from obscore_tap.results import FORMATS
from obscore_tap.vosi import (
    TABLES_ID,
    capability,
    page_capability,
    parameter_interface,
    support_capabilities,
)
from stac_rucio_sync.settings import Tap

_REG_EXT = "ivo://ivoa.net/std/TAPRegExt"
_ADQL = "ivo://ivoa.net/std/ADQL"
_DATA_MODELS = (
    ("ivo://ivoa.net/std/ObsCore#core-1.1", "ObsCore-1.1"),
    ("ivo://ivoa.net/std/epntap#table-2.0", "EPN-TAP 2.0"),
)
_UPLOADS = ("inline", "http", "https")


def tap_capabilities(tap_url: str, limits: Tap) -> list[Capability]:
    """Return the capabilities of the service at an address."""
    return [
        _table_access(tap_url, limits),
        capability("ivo://ivoa.net/std/TAP#sync-1.1", parameter_interface(f"{tap_url}/sync", version="1.1")),
        capability("ivo://ivoa.net/std/TAP#async-1.1", parameter_interface(f"{tap_url}/async", version="1.1")),
        *support_capabilities(tap_url),
        capability(TABLES_ID, parameter_interface(f"{tap_url}/tables", use="full", version="1.1", standard=False)),
        page_capability("ivo://ivoa.net/std/DALI#examples", f"{tap_url}/examples"),
    ]


def _table_access(tap_url: str, limits: Tap) -> TableAccess:
    return TableAccess(
        interface=[parameter_interface(tap_url, version="1.1")],
        data_model=[DataModelType(value=name, ivo_id=ivo_id) for ivo_id, name in _DATA_MODELS],
        language=[_language()],
        output_format=[
            OutputFormat(mime=VOTABLE, alias=["votable", "text/xml"], ivo_id=FORMATS[0].ivo_id),
            *(
                OutputFormat(mime=form.mime, alias=[form.name, *form.aliases], ivo_id=form.ivo_id or None)
                for form in FORMATS
            ),
        ],
        upload_method=[UploadMethod(ivo_id=f"{_REG_EXT}#upload-{method}") for method in _UPLOADS],
        retention_period=TimeLimits(default=limits.retention, hard=limits.max_retention),
        execution_duration=TimeLimits(default=limits.duration, hard=limits.max_duration),
        output_limit=DataLimits(
            default=DataLimit(value=limits.maxrec, unit="row"), hard=DataLimit(value=limits.max_maxrec, unit="row")
        ),
        upload_limit=DataLimits(
            default=DataLimit(value=limits.upload_bytes, unit="byte"),
            hard=DataLimit(value=limits.upload_bytes, unit="byte"),
        ),
    )


def _language() -> Language:
    return Language(
        name="ADQL",
        version=[
            Version(value="2.0", ivo_id=f"{_ADQL}#v2.0"),
            Version(value="2.1", ivo_id=f"{_ADQL}#v2.1"),
        ],
        description=DESCRIPTION,
        language_features=[
            LanguageFeatureList(
                type=kind,
                feature=[LanguageFeature(form=form, description=description or None) for form, description in features],
            )
            for kind, features in FEATURES.items()
        ],
    )
