"""Folders that the servers' user may write to, whoever makes them: POSIX default ACLs of Linux."""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path

# As in <linux/posix_acl_xattr.h>: a version, then entries of tag, permissions and id, in the order of their tags.
_VERSION = struct.pack("<I", 2)
_USER_OBJ, _USER, _GROUP_OBJ, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
_NOBODY = 0xFFFFFFFF


def let_write_below(folder: Path, uid: int) -> None:
    """Let a user write to all folders that will be made below one, beside those who make them.

    Root's uploads by path make folders of root's, in which the WebDAV server could not write, nor the reaper delete.
    On a file system without ACLs it stays so.
    """
    entries = (
        (_USER_OBJ, 0o7, _NOBODY),
        (_USER, 0o7, uid),
        (_GROUP_OBJ, 0o5, _NOBODY),
        (_MASK, 0o7, _NOBODY),
        (_OTHER, 0o5, _NOBODY),
    )
    value = _VERSION + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    with suppress(OSError):
        os.setxattr(folder, "system.posix_acl_default", value)
