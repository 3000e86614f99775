"""The same profile on two devices, here two CPU processes: one record, one adapter, every row seen once an epoch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ftlib.files import sha256_file
from tests.training.local import micro

PROFILE = """
name: two
data: {{train: 24, valid: 4, test: 4}}
contestants:
  - {{name: micro, trainer: local, model: {model}, loader: transformers, epochs: 1, lr: 0.01, batch: 4, accumulate: 1, truncate: true}}
"""


def free_port() -> int:
    """A port that nobody listens on."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.slow
@pytest.mark.timeout(700)
def test_two_processes_train_one_contestant_together(tmp_path: Path) -> None:
    profile = tmp_path / "two.yaml"
    profile.write_text(PROFILE.format(model=micro.model()))
    out = tmp_path / "run"
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
              "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", str(free_port()),
              "-m", "ftlib", "train", str(profile), "micro", "--out", str(out), "--quiet"]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(launch, capture_output=True, text=True, timeout=600, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads((out / "micro" / "training.json").read_text())
    assert report["status"] == "done"
    assert report["examples"] == {"seen": 24, "distinct": 24, "cut": 0}
    assert report["steps"] == 3  # 24 rows, two processes of 4
    assert report["adapter_sha256"] == sha256_file(out / "micro" / "adapter" / "adapter_model.safetensors")
    assert not (out / "micro" / "checkpoints").exists()
