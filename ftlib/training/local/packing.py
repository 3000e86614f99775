"""Several examples in one row, so that nothing is padded, and none of them sees another."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import replace

from ftlib.errors import Refused
from ftlib.training.local.load import Loaded, choose_loader
from ftlib.training.local.precision import choose_device
from ftlib.training.local.settings import TuneSettings

PROBED = 8  # tokens of each of two examples


def one_by_one(settings: TuneSettings) -> TuneSettings:
    """Settings under which packed rows go through the model one at a time, as many a step as before; others unchanged.

    TRL lays the packed rows of a batch end to end. Unsloth's kernels take that for what it is; elsewhere the attention mask grows
    with the square of the whole, for nothing.
    """
    if not settings.packing or choose_loader(settings.loader, choose_device(settings.require_gpu)) == "unsloth":
        return settings
    return replace(settings, batch=1, accumulate=settings.batch * settings.accumulate)


def require_isolation(loaded: Loaded) -> None:
    """Raise Refused where an example in a packed row would see the one before it.

    Tried on the loaded model: what it says of a second example must not depend on the first. Attention that knows packed rows by their
    positions passes; one with a state or a mask of its own does not. Unsloth turns packing off itself where its kernels cannot.
    """
    if loaded.loader == "unsloth":
        return
    import torch

    device = loaded.model.device
    places = torch.tensor([[*range(PROBED)] * 2], device=device)
    first, other, second = (torch.arange(start, start + PROBED, device=device) for start in (10, 30, 50))
    with loaded.state(tuned=False) as model, torch.inference_mode():
        one, two = (model(input_ids=torch.cat((before, second))[None], position_ids=places, use_cache=False).logits for before in (first, other))
    after = one[0, PROBED:].float()
    if not torch.allclose(after, two[0, PROBED:].float(), atol=1e-3 * float(after.abs().max()), rtol=0):
        raise Refused(f"Packing would let one example see another in {loaded.source} ({type(loaded.model).__name__}); set packing: false.")


def packed_rows(lengths: Sequence[int], room: int) -> int:
    """How many rows of ``room`` tokens the examples of these lengths fill: longest first, each where least room is left (as TRL packs)."""
    left: list[int] = []  # room in each row, ascending
    for length in sorted(lengths, reverse=True):
        place = bisect_left(left, length)
        free = left.pop(place) if place < len(left) else room
        insort(left, free - length)
    return len(left)
