"""What the lake should hold for chosen items of the real world, derived by hand from the standards.

Each module has a theme and a tuple ``CHOSEN``. No item is copied: an entry names the file and the line that it stands
on, and says what STAC, ObsCore 1.1, EPN-TAP 2.0 and the rules of this project make of it. Where a standard leaves a
decision open, the entry asserts the property (`OneOf`, `Within`, ...) and a comment says what is open.
"""

from __future__ import annotations

from tests.e2e.chosen import clouds, dates, grids, names, sentinels, shapes
from tests.e2e.chosen.expected import Chosen

CHOSEN: tuple[Chosen, ...] = (
    *sentinels.CHOSEN,
    *clouds.CHOSEN,
    *grids.CHOSEN,
    *names.CHOSEN,
    *dates.CHOSEN,
    *shapes.CHOSEN,
)
