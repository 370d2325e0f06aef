"""A web server that gives ranges of one file, as RFC 9110 section 14 has them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from datalink.cutouts.contract import Limits
from tests.unit.loopback import Answer, Asked

LIMITS = Limits(allow_private=True, answer_seconds=5.0)


def giving(content: bytes, change: Callable[[Answer], Answer] = lambda answer: answer) -> Callable[[Asked], Answer]:
    """Answer each request with the range that it asks for; ``change`` has the last word on answers with a body."""

    def answer(asked: Asked) -> Answer:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", asked.headers.get("Range", ""))
        if wanted is None:
            return change(Answer(body=content))
        start, stop = int(wanted[1]), min(int(wanted[2]) + 1, len(content))
        if start >= len(content):
            return Answer(416, headers={"Content-Range": f"bytes */{len(content)}"})
        told = {"Content-Range": f"bytes {start}-{stop - 1}/{len(content)}", "ETag": '"1"'}
        return change(Answer(206, content[start:stop], told))

    return answer


def told(**headers: str) -> Callable[[Answer], Answer]:
    """Change the headers of answers."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda answer: replace(answer, headers=answer.headers | names)


def giving_always(answer: Answer) -> Callable[[Asked], Answer]:
    """Answer every request alike, whatever range it asks for."""
    return lambda _: answer
