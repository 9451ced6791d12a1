# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the walk from a file to the root of all mounts finds its pointers. Private to the collection."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import RequestError
from .type_source import TypeSource

_PATHS = {
    "path_mnt": ("path", "mnt"),
    "path_dentry": ("path", "dentry"),
    "dentry_parent": ("dentry", "d_parent"),
    "dentry_name": ("dentry", "d_name.name"),
    "vfsmount_root": ("vfsmount", "mnt_root"),
    "mount_vfsmount": ("mount", "mnt"),
    "mount_parent": ("mount", "mnt_parent"),
    "mount_mountpoint": ("mount", "mnt_mountpoint"),
}


@dataclass(frozen=True)
class PathLayout:
    """Offsets in bytes, each named for its struct and its member."""

    path_mnt: int
    path_dentry: int
    dentry_parent: int
    dentry_name: int  # of the pointer to the name
    vfsmount_root: int
    mount_vfsmount: int  # struct mount is the kernel's private part around what `path_mnt` points at
    mount_parent: int
    mount_mountpoint: int


def path_layout(source: TypeSource) -> PathLayout:
    """The layout on this kernel. Raises RequestError where its types are others, HostError."""
    offsets = {}
    for name, (struct, path) in _PATHS.items():
        location = source.locate(struct, path)
        if len(location.hops) != 1:
            raise RequestError(f"{path} of struct {struct} is behind a pointer, so paths cannot be walked.")
        offsets[name] = location.offset
    return PathLayout(**offsets)
