"""What will work on this machine, and what won't."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ftlib.runs import machine, versions

KEYS = ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "NEBIUS_API_KEY", "TOGETHER_API_KEY", "HF_TOKEN")
NEEDS = {  # what one can do -> the libraries it takes and how to get them
    "batch runs (ftlib run)": (("papermill", "ipykernel"), 'pip install "ftlib[notebooks]"'),
    "local training": (("torch", "transformers", "trl", "peft", "datasets"), "pip install -r requirements.txt"),
    "local training with Unsloth": (("unsloth", "bitsandbytes"), "pip install -r requirements-gpu.txt"),
    "hosted training": (("openai",), "pip install openai"),
    "fast token counts": (("gigatoken",), 'pip install "ftlib[fast]"'),
    "Parquet files": (("pyarrow",), 'pip install "ftlib[fast]"'),
}


def gpus() -> list[dict[str, Any]]:
    """NVIDIA GPUs by ``nvidia-smi``: name, memory in bytes, driver; empty where there is none."""
    if not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"]
    try:
        lines = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()
    except (subprocess.SubprocessError, OSError):
        return []
    rows = [[part.strip() for part in line.split(",")] for line in lines if line.count(",") == 2]
    return [{"name": name, "memory_bytes": int(memory) * 2**20, "driver": driver} for name, memory, driver in rows]


def reaches(host: str, port: int = 443, seconds: float = 3) -> bool:
    """Whether a TCP connection to a host opens."""
    try:
        with socket.create_connection((host, port), timeout=seconds):
            return True
    except OSError:
        return False


def examine() -> dict[str, Any]:
    """Versions, device, disk, hub, keys (present or absent, never shown), and what follows from them."""
    able = {}
    for what, (libraries, remedy) in NEEDS.items():
        missing = [name for name in libraries if find_spec(name) is None]
        able[what] = {"works": not missing, "missing": missing, "remedy": remedy if missing else ""}
    found = gpus()
    if not found:
        unsloth = able["local training with Unsloth"]
        unsloth.update(works=False, remedy=unsloth["remedy"] or "needs an NVIDIA GPU; on Colab: Runtime, Change runtime type, T4")
    keys = {name: bool(os.environ.get(name, "").strip()) for name in KEYS}
    hosted = able["hosted training"]
    if hosted["works"] and not any(there for name, there in keys.items() if name != "HF_TOKEN"):
        hosted.update(works=False, remedy="no provider's key is in the environment; `provider: sandbox` needs none")
    hub = reaches("huggingface.co")
    able["models from the Hugging Face hub"] = {
        "works": hub,
        "missing": [],
        "remedy": "" if hub else "huggingface.co is not reached; give a local folder",
    }
    able["the demo profile"] = {"works": able["local training"]["works"] and able["batch runs (ftlib run)"]["works"], "missing": [], "remedy": ""}
    return {
        "versions": versions(),
        "machine": machine(),
        "gpus": found,
        "free_disk_bytes": shutil.disk_usage(Path.cwd()).free,
        "keys": keys,
        "able": able,
    }


def doctor_text(found: dict[str, Any]) -> str:
    """The same for a reader."""
    lines = ["versions: " + ", ".join(f"{name} {version}" for name, version in found["versions"].items())]
    devices = [f"{gpu['name']}, {gpu['memory_bytes'] / 2**30:.0f} GiB, driver {gpu['driver']}" for gpu in found["gpus"]]
    memory = found["machine"]["memory_bytes"]
    lines += [
        "GPU: " + ("; ".join(devices) or "none"),
        f"CPU: {found['machine']['cores']} cores" + (f", {memory / 2**30:.0f} GiB of memory" if memory else ""),
        f"disk: {found['free_disk_bytes'] / 2**30:.0f} GiB free here",
        "keys: " + ", ".join(f"{name} {'present' if there else 'absent'}" for name, there in found["keys"].items()),
        "",
    ]
    for what, answer in found["able"].items():
        why = f" (missing: {', '.join(answer['missing'])})" if answer["missing"] else ""
        lines.append(f"{'works   ' if answer['works'] else 'will not'}  {what}{why}" + (f": {answer['remedy']}" if answer["remedy"] else ""))
    return "\n".join(lines)
