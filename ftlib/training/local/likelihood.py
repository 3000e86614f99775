"""How likely a model finds the expected answers."""

from __future__ import annotations

from collections.abc import Sequence

from ftlib.training.local.load import Loaded
from ftlib.training.local.rows import Example
from ftlib.training.trainer import Likelihood


def likelihood_batch(loaded: Loaded, examples: Sequence[Example], *, tuned: bool) -> list[Likelihood]:
    """Negative log-likelihood, in nats, of each example's answer after its prompt; the end-of-turn token apart.

    Prompts are masked, so only the answer counts. Bits per byte made from it compare models whatever their tokenizers:
    a tokenizer with longer tokens has fewer but harder predictions.
    """
    import torch

    template = loaded.template
    made = template.rows([e.prompt for e in examples], [e.answer for e in examples])
    prompts, rows = [prompt for prompt, _ in made], [[*prompt, *answer] for prompt, answer in made]
    width = max(map(len, rows))
    device = loaded.model.device
    ids = torch.tensor([row + [template.pad_id] * (width - len(row)) for row in rows], device=device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=device)
    with loaded.state(tuned=tuned) as model, torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    found: list[Likelihood] = []
    for place, (prompt, row, example) in enumerate(zip(prompts, rows, examples, strict=True)):
        targets = ids[place, len(prompt) : len(row)]
        scores = torch.log_softmax(logits[place, len(prompt) - 1 : len(row) - 1].float(), dim=-1)
        nats = -scores.gather(1, targets[:, None])[:, 0].double()
        size = len(example.answer.encode("utf-8", "surrogatepass"))
        found.append(Likelihood(float(nats[:-1].sum()), len(row) - len(prompt) - 1, size, float(nats[-1])))
    return found
