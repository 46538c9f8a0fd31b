"""The pass that leaves `advance` and `reset` to the runner, for steps whose states lie in the host's memory.

A Where for every state is a twelfth of the CPU's step (docs/decisions/0012-int8.md). There the runner may do without:
it fills the states of a slot that starts anew, and copies those of a slot that has no new frame.
"""

from __future__ import annotations

from export.variants.draft import Draft, closed, opened

FLAGS = ("advance", "reset")


def without_flags(step: bytes) -> bytes:
    """Take the flags out of a step.

    Before: each state is chosen by `reset` on its way in and by `advance` on its way out. After: a step of frames and
    states alone, that advances every slot.
    """
    draft = opened(step)
    for node in [node for node in draft.graph.nodes if node.op_type == "Where"]:
        draft.graph.nodes.remove(node)
        if node.input[0] == "reset_slots":
            _take_instead(draft, node.output[0], node.input[2])
        else:
            _take_instead(draft, node.input[1], node.output[0])
            draft.rename_made(node.input[1], node.output[0])
    for value in [value for value in draft.model.graph.input if value.name in FLAGS]:
        draft.model.graph.input.remove(value)
    return closed(draft)


def _take_instead(draft: Draft, old: str, new: str) -> None:
    for node in draft.takers(old):
        node.input[:] = [new if name == old else name for name in node.input]
