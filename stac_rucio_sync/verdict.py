"""What an audit found: lines counted by sign and kind, the first of each kept as examples."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from stac_rucio_sync.model import JsonObject
from stac_rucio_sync.plan import Action, Sign


@dataclass(slots=True)
class VerifyReport:
    """What an audit found."""

    source: str
    read: int = 0
    superseded: int = 0
    counts: dict[Sign, dict[str, int]] = field(default_factory=lambda: {sign: {} for sign in Sign})
    """Lines by sign and kind; ``=`` counts the items of which nothing differs."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """The first lines of each sign and kind."""
    remaining: int = 0
    """Differences that a repair left."""
    repaired: bool = False
    """A repair was asked for."""
    complete: bool = False
    """The source was read to its end, so that leftovers could be told."""
    seconds: float = 0.0
    remarks: dict[str, int] = field(default_factory=dict)

    @property
    def differences(self) -> int:
        """How many lines are not ``=``."""
        return sum(sum(kinds.values()) for sign, kinds in self.counts.items() if sign is not Sign.SAME)

    @property
    def clean(self) -> bool:
        """Whether nothing differs now."""
        return self.remaining == 0 if self.repaired else self.differences == 0

    def as_json(self) -> JsonObject:
        """Return the one object that ``--json`` prints."""
        return {
            "source": self.source,
            "read": self.read,
            "superseded": self.superseded,
            "differences": self.differences,
            "counts": {
                sign.value: told
                for sign, kinds in self.counts.items()
                if (told := {kind: count for kind, count in sorted(kinds.items()) if count})
            },
            "examples": {kind: lines for kind, lines in self.examples.items() if lines},
            "repaired": self.repaired,
            "remaining": self.remaining if self.repaired else self.differences,
            "complete": self.complete,
            "seconds": round(self.seconds, 3),
            "remarks": dict(sorted(self.remarks.items())),
        }

    def count(self, action: Action, examples: int) -> None:
        """Count a line; the first ``examples`` differences of a kind are kept as they are."""
        kinds = self.counts[action.sign]
        kinds[action.what] = kinds.get(action.what, 0) + 1
        kept = self.examples.setdefault(f"{action.sign} {action.what}", [])
        if action.sign is not Sign.SAME and len(kept) < examples:
            kept.append(str(action))

    def take_back(self, action: Action) -> bool:
        """Take back what was counted of a name; tell whether it was a difference."""
        self.counts[action.sign][action.what] -= 1
        kept = self.examples.get(f"{action.sign} {action.what}", [])
        kept[:] = [line for line in kept if not line.startswith(f"{replace(action, why='')}  (")]
        return action.sign is not Sign.SAME

    def remark(self, sentence: str, by: int = 1) -> None:
        """Count a sentence for the operator."""
        self.remarks[sentence] = self.remarks.get(sentence, 0) + by
