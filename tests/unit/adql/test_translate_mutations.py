"""Long queries are translated, and no mutation of a query gets past it unharmed or as another exception."""

from __future__ import annotations

import random

from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.tokens import Limits, tokenize
from obscore_tap.adql.translate import translate
from obscore_tap.published import make_published

PUBLISHED = make_published()
QUERIES = (
    "SELECT TOP 10 * FROM ivoa.obscore WHERE 1 = CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', 10, 20, 1))",
    "SELECT obs_id, DISTANCE(s_ra, s_dec, 10, 20) AS d FROM ivoa.obscore WHERE DISTANCE(s_ra, s_dec, 10, 20) < 1 "
    "ORDER BY d OFFSET 3",
    "WITH w AS (SELECT s_ra AS r, obs_collection AS c FROM ivoa.obscore) SELECT c, COUNT(*) AS n, MAX(r) FROM w "
    "GROUP BY c HAVING COUNT(*) > 2 ORDER BY n DESC",
    "SELECT * FROM ivoa.obscore JOIN lake.replica USING (obs_publisher_did) WHERE rse LIKE 'A%' AND s_ra IN (1, 2.5)",
    "SELECT CASE WHEN s_ra > 1 THEN 'a' ELSE obs_id || 'b' END AS k, CAST(s_ra AS VARCHAR(4)), -s_dec / 2 "
    "FROM ivoa.obscore WHERE obs_id IN (SELECT obs_id FROM ivoa.obscore) AND NOT s_dec IS NULL",
    "SELECT s_ra FROM ivoa.obscore UNION ALL (SELECT s_dec FROM ivoa.obscore WHERE INTERSECTS(s_region, "
    "POLYGON(1, 2, 3, 4, 5, 1)) = 1) ORDER BY s_ra",
)


def test_long_chains_and_lists_take_no_longer_than_their_length() -> None:
    """With the square of it, they would not end within the limit of a test."""
    for body in (" AND ".join(["s_ra < 5"] * 3000), f"calib_level IN ({','.join(map(str, range(20000)))})"):
        translate("SELECT obs_id FROM ivoa.obscore WHERE " + body, PUBLISHED)  # noqa: S608 - ADQL of this file


def test_mutated_queries_are_translated_or_refused() -> None:
    chance = random.Random(20210114)  # noqa: S311 - the same mutations each time
    written = [[word for word in tokenize(query, Limits()).texts if word] for query in QUERIES]
    words = [word for one in written for word in one]
    refused = 0
    for _ in range(3000):
        mutated = list(chance.choice(written))
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(mutated))
            mutated[place : place + chance.randint(0, 1)] = [chance.choice(words)][: chance.randint(0, 1)]
        try:
            translation = translate(" ".join(mutated), PUBLISHED)
        except AdqlError as error:
            assert error.line > 0, error  # noqa: PT017 - most mutations are refused, some are not
            refused += 1
        else:
            assert translation.sql.startswith(("SELECT ", "WITH w1 AS (SELECT ", "("))
            assert len(translation.columns) > 0
    assert 1000 < refused < 3000
