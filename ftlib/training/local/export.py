"""Taking a tuned model away: its adapter, merged weights, a GGUF file, or the hub."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ftlib.errors import DataError, MissingExtra, ProfileError, Refused, TrainingFailed
from ftlib.files import read_json, write_atomic
from ftlib.training.local.card import card
from ftlib.training.local.checkpoints import disk_errors, replace_folder
from ftlib.training.local.hub import explained, network_errors
from ftlib.training.local.load import quiet_libraries, require_training_extra
from ftlib.training.local.memory import GIB
from ftlib.training.local.trainer import LocalTrainer

DIRECT = ("f32", "f16", "bf16", "q8_0", "auto")  # what llama.cpp's converter writes itself; the others need its llama-quantize


def export(trainer: LocalTrainer, *, to: str, out: Path | None, quantisation: str, repo: str | None) -> dict[str, Any]:
    """Write the tuned model in one form; returns {what, where, bytes}.

    Args:
        to: ``adapter`` (with a model card), ``merged`` (in the base's own format: 16 bits of published models), ``gguf`` or ``hub``.
        out: where to; a folder in the contestant's unless given (for gguf a file).
        quantisation: of gguf, as llama.cpp names it (q8_0, q4_k_m ...).
        repo: of hub, ``owner/name``.
    """
    adapter = trainer.adapter()
    if adapter is None:
        raise TrainingFailed(f"{trainer.contestant.name} trains nothing, so there is nothing of its own to take away.")
    out = out or trainer.folder / "export" / (f"model-{quantisation}.gguf" if to == "gguf" else to)
    if out.exists() and (out.is_file() or any(out.iterdir())):
        raise DataError(f"{out} is there already; choose another place with --out.")
    if to == "adapter":
        made = write_adapter(trainer, adapter, out)
        return _made(f"adapter of {trainer.model.id}", made)
    if to == "merged":
        return _made("merged weights", write_merged(trainer, out))
    if to == "gguf":
        return _made(f"GGUF, {quantisation}", write_gguf(trainer, out, quantisation))
    return push(trainer, adapter, repo)


def _made(what: str, where: Path) -> dict[str, Any]:
    files = [where] if where.is_file() else [p for p in where.rglob("*") if p.is_file()]
    return {"what": what, "where": str(where), "bytes": sum(p.stat().st_size for p in files)}


def write_adapter(trainer: LocalTrainer, adapter: Path, out: Path) -> Path:
    """Copy the adapter and put its card beside it."""
    temporary = out.with_name(f".{out.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(adapter, temporary)
    report = read_json(trainer.folder / "training.json")
    write_atomic(temporary / "README.md", card(trainer.run, trainer.contestant, trainer.model, report))
    replace_folder(temporary, out)
    return out


def write_merged(trainer: LocalTrainer, out: Path) -> Path:
    """Write the base with the adapter added into its weights, with tokenizer and card, loadable by transformers alone.

    The base is loaded anew from its own files, in their number format and this machine's memory: an adapter added to 4-bit weights
    would be rounded with them. Where the files themselves hold 4 bits, they are unpacked first.
    """
    require_training_extra()
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source, adapter = str(trainer.source), str(trainer.adapter())
    _require_memory(trainer)
    quiet_libraries()
    with explained(source, trainer.revision):
        base = AutoModelForCausalLM.from_pretrained(source, revision=trainer.revision, dtype="auto", device_map="cpu", use_safetensors=True)
    packed = bool(getattr(base, "is_loaded_in_4bit", False))
    if packed:
        base = base.dequantize()
    merged: Any = PeftModel.from_pretrained(base, adapter)
    temporary = out.with_name(f".{out.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    with disk_errors(out.parent):
        merged.merge_and_unload().save_pretrained(str(temporary), save_original_format=not packed)  # transformers cannot write the packed names again
    AutoTokenizer.from_pretrained(adapter).save_pretrained(str(temporary))
    write_atomic(temporary / "README.md", card(trainer.run, trainer.contestant, trainer.model, read_json(trainer.folder / "training.json")))
    replace_folder(temporary, out)
    return out


def _require_memory(trainer: LocalTrainer) -> None:
    """Raise Refused where this machine has no room for the model in 16 bits, as far as its size is known; the system would kill the process."""
    import psutil

    need, free = 2 * (trainer.model.parameters or 0), psutil.virtual_memory().available
    if need > free:
        raise Refused(
            f"Merging takes {trainer.model.id} in 16 bits, {need / GIB:.1f} GiB, into this machine's memory, of which {free / GIB:.1f} GiB are free; "
            "export --to adapter, and merge on a larger machine."
        )


def write_gguf(trainer: LocalTrainer, out: Path, quantisation: str) -> Path:
    """Convert the merged weights with llama.cpp's own converter, found through LLAMA_CPP (its folder). Raises MissingExtra or TrainingFailed."""
    folder = Path(os.environ.get("LLAMA_CPP", "llama.cpp")).expanduser()
    converter, quantizer = folder / "convert_hf_to_gguf.py", shutil.which("llama-quantize", path=f"{folder}{os.pathsep}{folder / 'build' / 'bin'}")
    if not converter.exists() or importlib.util.find_spec("gguf") is None:
        raise MissingExtra(
            "GGUF needs llama.cpp: git clone https://github.com/ggml-org/llama.cpp, pip install gguf, and set LLAMA_CPP to that folder; "
            "or export --to merged and convert it where llama.cpp is."
        )
    if quantisation not in DIRECT and quantizer is None:
        raise MissingExtra(f"{quantisation} needs llama-quantize, built in {folder}; the converter alone writes {', '.join(DIRECT)}.")
    out.parent.mkdir(parents=True, exist_ok=True)
    merged = out.with_name(f".{out.name}.merged")
    direct = quantisation if quantisation in DIRECT else "f16"
    temporary, plain = out.with_name(f".{out.name}.partial"), out.with_name(f".{out.name}.plain")
    try:
        shutil.rmtree(merged, ignore_errors=True)
        write_merged(trainer, merged)
        first = temporary if quantisation in DIRECT else plain
        _run([sys.executable, str(converter), str(merged), "--outfile", str(first), "--outtype", direct])
        if quantizer is not None and quantisation not in DIRECT:
            _run([quantizer, str(plain), str(temporary), quantisation])
        os.replace(temporary, out)
    finally:
        shutil.rmtree(merged, ignore_errors=True)
        for leftover in (temporary, plain):
            leftover.unlink(missing_ok=True)
    return out


def _run(command: list[str]) -> None:
    """Run a converter. Raises TrainingFailed with the last line that it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise TrainingFailed(f"{Path(command[0]).name} ended with {done.returncode}: {said[-1] if said else 'it said nothing'}")


def push(trainer: LocalTrainer, adapter: Path, repo: str | None) -> dict[str, Any]:
    """Upload adapter and card to a private repository on the hub. Raises ProfileError, Refused."""
    if not repo or repo.count("/") != 1:
        raise ProfileError("Name the repository with --repo owner/name.")
    token = (os.environ.get("HF_TOKEN") or "").strip()
    if not token:
        raise Refused("Pushing to the hub needs a token with write access: set HF_TOKEN (https://huggingface.co/settings/tokens).")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    folder = write_adapter(trainer, adapter, trainer.folder / "export" / ".hub")
    try:
        api = HfApi(token=token)
        api.create_repo(repo, private=True, exist_ok=True)
        done = api.upload_folder(repo_id=repo, folder_path=str(folder), commit_message=f"{trainer.contestant.name}: LoRA adapter")
    except HFValidationError as error:
        raise ProfileError(f"{repo!r} is no name that the hub takes for a repository: letters, digits, '-', '_' and '.' in owner/name.") from error
    except HfHubHTTPError as error:
        raise Refused(f"The hub refused {repo} ({error.response.status_code}); check that the token may write there.") from error
    except network_errors() as error:
        raise Refused(f"The hub cannot be reached for {repo}: {type(error).__name__}; the adapter is in {adapter}.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"what": f"adapter on the hub, commit {done.oid[:8]}", "where": f"https://huggingface.co/{repo}", "bytes": None}
