"""Small real Llama models, made on the spot and kept: what the demo and the sandbox tune where there is no model hub."""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from ftlib.errors import ProfileError
from ftlib.files import hash_json, read_json, sha256_file, write_json, writer_is_gone
from ftlib.progress import bar
from ftlib.training.local import prose, wares
from ftlib.training.local.checkpoints import disk_errors
from ftlib.training.local.prose import conversations, passages

log = logging.getLogger("ftlib")
RECIPE = 1  # raised whenever the training below changes, so that an older model is not taken for this one; the text counts by its hash
END, PAD, EOS, BOS = "<|end|>", "<|pad|>", "<|eos|>", "<|bos|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ '<|' + m.role + '|>' }}{{ m.content }}" + END + "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@dataclass(frozen=True)
class Build:
    """A tiny model: its sizes, and how it is pre-trained."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocab: int
    steps: int
    seed: int
    batch: int = 16
    length: int = 64
    context: int = 1024
    lr: float = 4e-3
    recipe: int = RECIPE


BUILDS = {
    "tiny-llama": Build(hidden=128, layers=2, heads=4, intermediate=256, vocab=4096, steps=1200, seed=1),
    "tiny-hosted": Build(hidden=112, layers=2, heads=4, intermediate=256, vocab=4096, steps=1200, seed=2),
    "tiny-micro": Build(hidden=32, layers=1, heads=2, intermediate=64, vocab=512, steps=4, seed=3, batch=4, length=64),  # for tests: knows nothing
}
BUILDS["tiny"] = BUILDS["tiny-llama"]


def home() -> Path:
    """Where built models are kept: FTLIB_HOME, or ~/.cache/ftlib."""
    return Path(os.environ.get("FTLIB_HOME") or Path.home() / ".cache" / "ftlib").expanduser() / "models"


def build_tiny(name: str) -> Path:
    """The folder of a tiny model (``tiny-llama`` or ``tiny-hosted``), built and pre-trained where it is not there yet.

    The folder's name ends in the hash of everything that it was made from; it appears whole or not at all.
    Raises ProfileError for another name.
    """
    if name not in BUILDS:
        raise ProfileError(f"There is no tiny model {name!r}; there are: {', '.join(BUILDS)}.")
    build = BUILDS[name]
    name = next(known for known, same in BUILDS.items() if same is build)  # one folder, by whichever of its names it is asked for
    texts = sample_texts()
    target = home() / f"{name}-{hash_json([asdict(build), texts, *(sha256_file(Path(str(text.__file__))) for text in (prose, wares))])[:12]}"
    if whole(target):
        return target
    remove_leftovers(home())
    with _one_builder(home()):
        if not whole(target):
            _build(build, texts, target)
    return target


@contextmanager
def _one_builder(folder: Path) -> Iterator[None]:
    """Wait for another process that builds a model there: it takes minutes, and twice as many where two do it at once."""
    folder.mkdir(parents=True, exist_ok=True)
    if find_spec("fcntl") is None:  # no file locks here: two may build, and the first to end is taken
        yield
        return
    from ftlib.training.posix import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("another process builds a small model; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _build(build: Build, texts: list[str], target: Path) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    temporary.mkdir(parents=True)
    try:
        make(build, texts, temporary)
        files = {p.name: sha256_file(p) for p in sorted(temporary.iterdir())}
        write_json(temporary / "built.json", {"build": asdict(build), "files": files})
        if not whole(target):  # another process may have been faster
            shutil.rmtree(target, ignore_errors=True)
            os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed builds left: folders that begin with a dot and end in the id of a process that is no more."""
    for left in folder.glob(".tiny-*.*"):
        if writer_is_gone(left):
            shutil.rmtree(left, ignore_errors=True)


def whole(folder: Path) -> bool:
    """Whether a built model is there, every file as it was made."""
    if not (folder / "built.json").exists():
        return False
    files = read_json(folder / "built.json")["files"]
    return all((folder / name).is_file() and sha256_file(folder / name) == digest for name, digest in files.items())


def sample_texts() -> list[str]:
    """Titles and contents of the sample, which the tokenizer is trained on (the model is not)."""
    import gzip
    import json
    from importlib import resources

    raw = gzip.decompress(resources.files("ftlib").joinpath("sample", "sample.jsonl.gz").read_bytes()).decode()
    rows = [json.loads(line) for line in raw.splitlines() if line.strip()]
    return [str(row[key]) for row in rows for key in ("title", "content") if row.get(key)]


def common_words(texts: list[str]) -> list[str]:
    """The words of some texts that stand there five times or more, sorted: what the model plays word games with."""
    counts = Counter(word for text in texts for word in re.findall(r"[A-Za-z]+", text))
    return sorted(word for word, count in counts.items() if count >= 5 and len(word) > 1)


def make_tokenizer(build: Build, texts: list[str]) -> Any:
    """A byte-level BPE tokenizer trained on the sample and on general text, with the chat template."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    talk = [f"{e.prompt[-1]['content']}\n{e.answer}" for e in islice(conversations(build.seed, common_words(texts)), 1000)]
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=build.vocab, special_tokens=[PAD, BOS, EOS, END, *ROLES], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    core.train_from_iterator([*texts, *talk], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        model_max_length=build.context,
        clean_up_tokenization_spaces=False,
        additional_special_tokens=[AddedToken(token, special=True, normalized=False) for token in (END, *ROLES)],
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def make_model(build: Build, tokenizer: Any) -> Any:
    """A LlamaForCausalLM of that size with random weights."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(build.seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=build.hidden,
        intermediate_size=build.intermediate,
        num_hidden_layers=build.layers,
        num_attention_heads=build.heads,
        num_key_value_heads=build.heads,
        max_position_embeddings=build.context,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    for name, weights in model.named_parameters():
        if weights.dim() == 2:  # so narrow a model learns to look back sooner than from the customary 0.02
            torch.nn.init.normal_(weights, std=0.05 if "embed" in name else weights.shape[1] ** -0.5)
    stops = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(END)]
    model.generation_config = GenerationConfig(bos_token_id=tokenizer.bos_token_id, eos_token_id=stops, pad_token_id=tokenizer.pad_token_id)
    return model


def blocks(build: Build, tokenizer: Any, words: list[str]) -> tuple[Any, Any]:
    """Token blocks of the pre-training and their labels, each of shape (steps x batch, length): conversations and prose, end to end.

    Labels are the tokens of the answers and of the prose; those of the questions are -100, which are not learned.
    """
    import torch

    wanted = build.steps * build.batch * build.length
    talk, prose = conversations(build.seed + 100, words), passages(build.seed + 200)
    ids: list[int] = []
    labels: list[int] = []
    while len(ids) < wanted:
        some = list(islice(talk, 800))
        prompts = tokenizer.apply_chat_template([list(e.prompt) for e in some], tokenize=False, add_generation_prompt=True)
        pairs = [(prompt, e.answer + END) for prompt, e in zip(prompts, some, strict=True)]
        pairs += [("", f"{BOS}{text}{EOS}") for text in islice(prose, 60)]
        asked, answered = (tokenizer(list(texts), add_special_tokens=False)["input_ids"] for texts in zip(*pairs, strict=True))
        for question, answer in zip(asked, answered, strict=True):
            ids += [*question, *answer]
            labels += [*[-100] * len(question), *answer]
    order = torch.randperm(wanted // build.length, generator=torch.Generator().manual_seed(build.seed))
    rows, learned = (torch.tensor(column[:wanted]).view(-1, build.length)[order] for column in (ids, labels))
    return rows, learned


def loss_of(model: Any, ids: Any, labels: Any) -> Any:
    """Mean cross-entropy over the labelled tokens; logits are computed for those alone."""
    from torch.nn.functional import cross_entropy

    learned = labels[:, 1:] != -100
    states = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1][learned]
    return cross_entropy(model.lm_head(states), labels[:, 1:][learned])


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread: so small matrices gain little by more, and lose much where another process has the other cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def make(build: Build, texts: list[str], out: Path) -> None:
    """Train the tokenizer, then the model on general text, fully and briefly; write both into ``out``."""
    import torch

    started = time.perf_counter()
    tokenizer = make_tokenizer(build, texts)
    model = make_model(build, tokenizer)
    data = blocks(build, tokenizer, common_words(texts))
    optimiser = torch.optim.AdamW(model.parameters(), lr=build.lr, betas=(0.9, 0.98), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, build.lr, total_steps=build.steps, pct_start=0.1)
    model.train()
    loss = torch.tensor(0.0)
    batches = zip(*(column.split(build.batch) for column in data), strict=True)
    with _one_thread():
        for rows, labels in bar(batches, desc=f"building a model of {model.num_parameters():,} parameters", total=build.steps, unit="step"):
            loss = loss_of(model, rows, labels)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
    model.eval()
    with disk_errors(out):
        model.save_pretrained(str(out), safe_serialization=True)
    tokenizer.save_pretrained(str(out))
    log.info("built a model of %s parameters in %.0f s, loss %.2f", f"{model.num_parameters():,}", time.perf_counter() - started, loss.item())
