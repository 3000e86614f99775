"""The model hub through its real client, on the loopback: a model from there and back, and each refusal in one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.local import hub, micro

WORK = """
import json, os, sys
from pathlib import Path
from ftlib.errors import FtlibError
from ftlib.files import read_json
from ftlib.single import export_one
from ftlib.training import train_or_report
from tests.training.local.test_trainer import make_run

place, found = Path(sys.argv[1]), {}
for model, revision in (("me/gated", None), ("me/nothing", None), ("me/open", "v9"), ("me/open", None)):
    run = make_run(place / f"{model.replace('/', '-')}-{revision}", model=model, revision=revision)
    report = train_or_report(run, run.contestant("micro"))
    found[f"{model} {revision}"] = report["reason"] or report["model"]
found["manifest"] = read_json(run.finish())["steps"]["train:micro"]["note"]["model"]

def push(repo, token):
    os.environ["HF_TOKEN"] = token
    try:
        return export_one(run.path, "micro", to="hub", repo=repo)["what"]
    except FtlibError as error:
        return f"{type(error).__name__}: {error}"

found["push"], found["refused"], found["named"] = push("me/mine", "hf_writer"), push("me/mine", "hf_reader"), push("me/mi ne", "hf_writer")
import huggingface_hub.constants
huggingface_hub.constants.ENDPOINT = "http://127.0.0.1:9"
found["away"] = push("me/mine", "hf_writer")
found["left"] = sorted(p.name for p in (run.path / "micro").iterdir())
print(json.dumps(found))
"""


@pytest.mark.slow
def test_a_model_is_had_from_the_hub_and_brought_there(tmp_path: Path) -> None:
    with hub.serving(micro.model()) as (address, pushed):
        environment = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": "", "HF_HUB_DISABLE_XET": "1",
                       "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}  # fmt: skip
        command = [sys.executable, "-c", WORK, str(tmp_path / "runs")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=Path(__file__).parents[3], env=environment, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert "me/gated is gated: ask for access on its page and set HF_TOKEN" in found["me/gated None"]
    assert "There is no model 'me/nothing' on the hub" in found["me/nothing None"]
    assert "me/open has no revision 'v9'" in found["me/open v9"]
    assert found["me/open None"] == {"id": "me/open", "revision": hub.COMMIT}, "an open revision is recorded as what it came to"
    assert found["manifest"] == found["me/open None"]
    assert found["push"] == f"adapter on the hub, commit {hub.COMMIT[:8]}"
    assert found["refused"].startswith("Refused: The hub refused me/mine (403); check that the token may write there.")
    assert found["named"].startswith("ProfileError: 'me/mi ne' is no name that the hub takes")
    assert found["away"].startswith("Refused: The hub cannot be reached for me/mine: ConnectError; the adapter is in ")
    assert {"README.md", "adapter_config.json", "adapter_model.safetensors"} <= pushed.keys()
    card = pushed["README.md"].decode()
    assert "base_model: me/open" in card
    assert f"A LoRA adapter for me/open at revision {hub.COMMIT}, tuned" in card
    assert ".hub" not in found["left"]
    assert "Traceback" not in done.stderr
    assert "thrown while requesting" not in done.stderr
