"""The one-click path of ``00_quickstart``: which profile fits this machine, bringing a file, taking the results home."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ftlib.doctor import gpus
from ftlib.errors import DataError
from ftlib.notebook import open_run, project_folder
from ftlib.runs import Run

DRIVE = Path("/content/drive/MyDrive/ftlib-results")


class Clock:
    """Tells how much of the time that a run was given is left."""

    def __init__(self, minutes: float) -> None:
        self.minutes = minutes
        self.started = time.monotonic()

    def left(self) -> str:
        """The time used and left, in words."""
        used = (time.monotonic() - self.started) / 60
        left = self.minutes - used
        return f"{used:.1f} min used, " + (
            f"about {left:.0f} of {self.minutes:g} min left" if left > 0 else f"{-left:.0f} min over the {self.minutes:g} planned"
        )


def on_colab() -> bool:
    """Whether this kernel runs in Google Colab."""
    return "google.colab" in sys.modules


def profile_here(asked: str) -> tuple[str, str]:
    """The profile to run and why: the one asked for, ``colab-t4`` on a GPU, ``demo`` without one."""
    if asked:
        return asked, "as asked"
    found = gpus()
    if found:
        return "colab-t4", f"there is a GPU ({found[0]['name']})"
    return "demo", "there is no GPU here, so a small model stands in (on Colab: Runtime, Change runtime type, T4)"


def bring_file() -> str:
    """Let the browser upload one file into Colab; returns its path. Raises DataError elsewhere."""
    if not on_colab():
        raise DataError("UPLOAD works in Colab only; give the path of your file as SOURCE.")
    from google.colab import files

    uploaded = list(files.upload())
    if len(uploaded) != 1:
        raise DataError(f"Upload exactly one file; there were {len(uploaded)}.")
    return str(Path(uploaded[0]).resolve())


def second_place(drive: bool) -> str:
    """The folder on Google Drive (mounted here) that the run is copied to; empty where that is not asked for, with a warning on Colab."""
    if not drive:
        if on_colab():
            print("Without Drive, everything here vanishes when Colab takes the machine back: download the results at the end, or set DRIVE = True.")
        return ""
    if not on_colab():
        raise DataError("DRIVE works in Colab only; elsewhere give the second folder as `drive:` in a profile.")
    from google.colab import drive as colab_drive

    colab_drive.mount("/content/drive")
    DRIVE.mkdir(parents=True, exist_ok=True)
    return str(DRIVE)


def start(
    profile: str,
    run: str,
    *,
    source: str,
    title_field: str,
    content_field: str,
    upload: bool,
    drive: bool,
    provider: str,
    model: str,
    budget_usd: float,
) -> Run:
    """Open the run that the quickstart works on; running the notebook again after a disconnection goes on with it, from its
    copy on Drive where the machine is a new one.

    With ``provider`` and ``model`` a hosted contestant joins, under ``budget_usd``.
    """
    chosen, why = profile_here(profile)
    print(f"profile {chosen}: {why}")
    if bool(provider) != bool(model):
        raise DataError("HOSTED_PROVIDER and HOSTED_MODEL go together; give both or neither.")
    overrides = {
        "data.source": bring_file() if upload else source,
        "data.title_field": title_field,
        "data.content_field": content_field,
        "budget_usd": budget_usd,
        "drive": second_place(drive),
    }
    if provider:
        overrides["+contestants"] = {"name": "hosted", "trainer": "hosted", "provider": provider, "model": model}
    folder = Path(run) if run else project_folder() / "results" / chosen
    return open_run(chosen, str(folder), "00_quickstart", overrides)


def take_home(run: Run) -> list[Path]:
    """The files worth keeping (page, workbook, adapters as archives); in Colab the browser is offered each."""
    import shutil

    kept = [run.path / "report.html", run.path / "comparison.xlsx"]
    for contestant in run.profile.contestants:
        adapter = run.folder(contestant) / "adapter"
        if adapter.is_dir():
            kept.append(Path(shutil.make_archive(str(run.path / f"{contestant.name}-adapter"), "zip", adapter)))
    if on_colab():
        from google.colab import files

        for path in kept:
            files.download(str(path))
    return kept
