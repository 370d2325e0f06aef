"""Every error of the library has one of three temperaments: transient, about one item, or fatal.

Each store and each source translates its driver's exceptions into these at its edge (``raise ... from``);
nothing above the edge knows a driver.
"""

from __future__ import annotations


class SyncError(Exception):
    """What all errors of this library are."""


class TransientError(SyncError):
    """Worth another try: a time-out, a dropped connection, a 5xx answer, a serialization failure.

    Raised to the job only when the edge's own retries are used up.
    """


class ItemError(SyncError):
    """About one item: it is quarantined with this reason, and the batch goes on.

    The text is a sentence that an operator understands without the code: it names the field and what is wrong.
    """


class RefusedError(SyncError):
    """A whole call was refused for something in it; smaller calls find the item that is guilty."""


class FatalError(SyncError):
    """The run cannot go on: wrong credentials, a missing schema, a source that cannot be read (exit code 3)."""


class UsageError(FatalError):
    """The command or the settings are wrong; the text names the way out (exit code 2)."""
