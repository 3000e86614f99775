"""Data never becomes code: a static check of the source, and of what parses a user's files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import ftlib
from ftlib.errors import ProfileError
from ftlib.profile import load_profile
from tests.reliability.rules import findings

PACKAGE = Path(ftlib.__file__).parent
NOTEBOOKS = sorted((PACKAGE.parent / "notebooks").glob("*.ipynb"))


def test_nothing_in_ftlib_lets_data_become_code() -> None:
    found = [f for path in sorted(PACKAGE.rglob("*.py")) for f in findings(path.read_text("utf-8"), path.relative_to(PACKAGE).as_posix())]
    assert found == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_nor_in_a_notebook(path: Path) -> None:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code" and cell.get("id") != "install"]
    assert [f for source in sources for f in findings(source, path.name)] == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "eval(x)",
        "exec(compile(x, '', 'exec'))",
        "yaml.load(text)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.unsafe_load(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "subprocess.run(text, shell=True)",
        "AutoTokenizer.from_pretrained(x, trust_remote_code=True)",
        "AutoModelForCausalLM.from_pretrained(x)",
        "f(trust_remote_code=remote)",
        "np.load(path, allow_pickle=True)",
        "model.save_pretrained(x, safe_serialization=False)",
        "os.system(text)",
        "archive.extractall(folder)",
        "shutil.unpack_archive(path)",
        "jinja2.Environment()",
    ],
)
def test_the_check_finds(source: str) -> None:
    assert list(findings(source))


@pytest.mark.parametrize(
    "source",
    [
        "yaml.safe_load(text)",
        "torch.load(path, weights_only=True)",
        "subprocess.run([program, text])",
        "AutoModel.from_pretrained(x, use_safetensors=True)",
        "re.compile(x)",
        "model.eval()",
        "jinja2.Environment(autoescape=True)",
    ],
)
def test_the_check_lets_pass(source: str) -> None:
    assert list(findings(source)) == []


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system ['touch ran']", "!!python/name:os.system", "!!python/object/new:type [x, [], {}]"])
def test_yaml_builds_no_objects(tag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yaml").write_text(f"name: x\ntask: {tag}\n")
    with pytest.raises(ProfileError, match=r"p\.yaml, line 2: not valid YAML"):
        load_profile(tmp_path / "p.yaml")
    assert load_profile("demo", [f"task={tag}"]).task == tag  # a text, and the name of no task
    assert not (tmp_path / "ran").exists()
