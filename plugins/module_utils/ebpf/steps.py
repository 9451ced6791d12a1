# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture plan as the steps that a program takes in the kernel. Private to the collection."""

from __future__ import annotations

from . import layout
from .capture_plan import AT_ENTRY, AT_RETURN, Capture
from .errors import HostError

_POINTER_BYTES = 8
# Values of a plan: behind them are one that says nothing, and before that the places of the texts.
_FIELDS = layout.NO_VALUE - layout.TEXTS


def write(plan: layout.FunctionPlan, capture: Capture) -> None:
    """Fills in the steps and the texts. Raises HostError for more than there is room for."""
    if len(capture.fields) > _FIELDS or len(capture.blobs) > layout.TEXTS:
        raise HostError(f"More of {capture.function} would be read than there is room for.")
    needed = max(capture.key, default=-1) + 1
    for_key = _fields(capture, AT_ENTRY, 0, needed)
    if capture.key_blob is not None:
        for_key += _text(plan, capture, AT_ENTRY, capture.key_blob)
    others = _fields(capture, AT_ENTRY, needed, len(capture.fields))
    at_return = _fields(capture, AT_RETURN, 0, len(capture.fields))
    for index in range(len(capture.blobs)):
        if index != capture.key_blob:
            others += _text(plan, capture, AT_ENTRY, index)
        at_return += _text(plan, capture, AT_RETURN, index)
    taken = for_key + others + at_return
    if len(taken) > layout.STEPS:
        raise HostError(f"More of {capture.function} would be read than there are steps for.")
    plan.step[: len(taken)] = taken
    plan.key_steps, plan.steps, plan.return_steps = len(for_key), len(for_key) + len(others), len(at_return)


def _fields(capture: Capture, when: int, first: int, end: int) -> list[layout.Step]:
    found: list[layout.Step] = []
    for index, field in enumerate(capture.fields[first:end], first):
        if field.when == when:
            found += _way(field.start, field.hops, field.size, index)
    return found


def _way(start: int, offsets: tuple[int, ...], size: int, into: int) -> list[layout.Step]:
    """The steps to a value: `offsets` as in capture_plan.FieldRead."""
    if not offsets:
        return [layout.Step(start, 0, into, 64 - 8 * size if 0 < size < _POINTER_BYTES else 0)]
    starts = [start, *[layout.START_PLACE] * (len(offsets) - 1)]
    found = [layout.Step(at, _POINTER_BYTES, layout.NO_VALUE, 0, offset) for at, offset in zip(starts, offsets)]
    found[-1].size, found[-1].into = size, into
    return found


def _text(plan: layout.FunctionPlan, capture: Capture, when: int, index: int) -> list[layout.Step]:
    """Describes a text; the steps to where it is."""
    blob, text = capture.blobs[index], plan.text[index]
    if blob.when != when:
        return []
    text.how, text.when, text.place, text.length = blob.how, blob.when, _FIELDS + index, min(blob.length, 255)
    return _way(blob.start, blob.hops or (0,), 0, text.place)
