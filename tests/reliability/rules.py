"""What must not stand in ftlib's source: ways for data to become code."""

from __future__ import annotations

import ast
from collections.abc import Iterator

MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
CALLS = {
    "eval": "runs text as code",
    "exec": "runs text as code",
    "compile": "makes text into code",
    "__import__": "imports what a text names",
    "os.system": "runs text in a shell",
    "os.popen": "runs text in a shell",
    "subprocess.getoutput": "runs text in a shell",
    "subprocess.getstatusoutput": "runs text in a shell",
    "pd.read_pickle": "unpickles",
    "pandas.read_pickle": "unpickles",
    "tempfile.mktemp": "names a file that another may make first",
    "yaml.load_all": "builds objects that a file names",
    "yaml.unsafe_load": "builds objects that a file names",
    "yaml.full_load": "builds objects that a file names",
    "shutil.unpack_archive": "unpacks whatever an archive holds",
}
METHODS = {"extractall": "unpacks whatever an archive holds", "extract": "unpacks to the path that an archive names"}
MODELS = ("AutoModel", "AutoModelForCausalLM", "LlamaForCausalLM")


def findings(source: str, where: str = "?") -> Iterator[str]:
    """Each forbidden thing in a module, as ``file:line: what``."""
    safe = '"use_safetensors": True' in source  # in a dict of options that stand in the same module
    for node in ast.walk(ast.parse(source)):
        for what in _of(node, safe):
            yield f"{where}:{getattr(node, 'lineno', 0)}: {what}"


def _of(node: ast.AST, safe: bool) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (f"imports {a.name}" for a in node.names if a.name.split(".")[0] in MODULES)
    elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
        yield f"imports {node.module}"
    elif isinstance(node, ast.Call):
        yield from _of_call(node, safe)


def _of_call(node: ast.Call, safe: bool) -> Iterator[str]:
    name = ast.unparse(node.func)
    last = name.rpartition(".")[2]
    given = {k.arg: k.value for k in node.keywords}
    if name in CALLS:
        yield f"{name} {CALLS[name]}"
    if "." in name and last in METHODS:
        yield f"{name} {METHODS[last]}"
    if name == "yaml.load" and "SafeLoader" not in ast.unparse(node):
        yield "yaml.load without SafeLoader builds objects that a file names"
    if name == "torch.load" and not _is(given.get("weights_only"), True):
        yield "torch.load without weights_only=True unpickles"
    if last == "from_pretrained" and name.startswith(MODELS) and not safe and not _is(given.get("use_safetensors"), True):
        yield f"{name} without use_safetensors=True may read pickled weights"
    if "Environment" in name and "jinja2" in name and "autoescape" not in given:
        yield f"{name} without autoescape renders data as markup"
    for key, bad in (("shell", False), ("trust_remote_code", False), ("allow_pickle", False), ("safe_serialization", True)):
        if key in given and not _is(given[key], bad):
            yield f"{name} with {key}={ast.unparse(given[key])}"


def _is(node: ast.expr | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value
