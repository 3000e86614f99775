from __future__ import annotations

import subprocess
import sys

HEAVY = {"torch", "pandas", "openai", "transformers", "matplotlib", "numpy", "papermill"}


def imported(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_import_is_light() -> None:
    assert not imported("import ftlib") & HEAVY


def test_the_command_line_is_light() -> None:
    assert not imported("import ftlib.cli, ftlib.arguments\nftlib.arguments.parser()") & HEAVY
