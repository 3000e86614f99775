"""The two creations of a hosted training: the files, then the job, each exactly once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ftlib.errors import TrainingFailed
from ftlib.training.hosted.creation import Intent, create_once
from ftlib.training.hosted.link import Link
from ftlib.training.hosted.provider import Provider
from ftlib.training.hosted.service import Json

FILE_WAIT_S = 1800.0
SLOW_BYTES_PER_S = 50_000  # an upload may take this long over its bytes before it counts as lost


def upload(link: Link, intent: Intent, role: str, path: Path, *, purpose: str = "fine-tune") -> str:
    """The id of an uploaded file; its name carries the key, by which it is found again, and how many before it were deleted."""
    gone = intent.part(role).get("gone", [])
    name = "-".join([intent.key, *([str(len(gone))] if gone else []), f"{role}.jsonl"])

    def look() -> str | None:
        files = link.pages("its list of files", link.service.files)
        return next((str(file["id"]) for file in files if file.get("filename") == name), None)

    file_id = create_once(
        link,
        intent,
        role,
        what=f"the upload of {path.name}",
        request=path.read_bytes,
        call=lambda data: link.service.upload(name, data, purpose),
        look=look if link.provider.can.files_list else None,
        seconds=link.provider.attempt_s + path.stat().st_size / SLOW_BYTES_PER_S,
    )
    if link.provider.can.file_status:
        wait_for_file(link, file_id)
    return file_id


def wait_for_file(link: Link, file_id: str) -> None:
    """Wait until a file is processed. Raises TrainingFailed where the service says that it is bad, or takes too long over it."""
    until = link.clock.elapsed() + FILE_WAIT_S
    while True:
        file = link.patiently("the state of a file", lambda: link.service.file(file_id))
        if file.get("status") == "error":
            raise TrainingFailed(f"{link.provider.name} cannot use the uploaded file: {file.get('status_details') or 'no reason given'}.")
        if file.get("status") in ("processed", None):
            return
        if link.clock.elapsed() > until:
            raise TrainingFailed(f"{link.provider.name} has been at the uploaded file {file_id} for {FILE_WAIT_S / 60:.0f} minutes; run again later.")
        link.clock.sleep(link.provider.poll_s)


def start(link: Link, intent: Intent, files: Mapping[str, Path], settings: Json, name: str) -> str:
    """The id of the job that a contestant's files and settings make; found again by its key (see ``is_ours``)."""
    suffix = link.provider.suffix(name, intent.key)

    def request() -> Json:
        ids = {role: upload(link, intent, role, path) for role, path in files.items()}
        return job_request(link.provider, settings, intent.key, name, ids)

    def look() -> str | None:
        key = intent.key if link.provider.can.metadata else None
        jobs = link.pages("its list of jobs", lambda after: link.service.jobs(after, key))
        file_id = intent.part("train").get("id")
        return next((str(job["id"]) for job in jobs if is_ours(link.provider, job, intent.key, suffix, file_id)), None)

    return create_once(
        link,
        intent,
        "job",
        what="the creation of the job",
        request=request,
        call=link.service.start,
        look=look if link.provider.can.jobs_list else None,
        fence="train",
    )


def is_ours(provider: Provider, job: Json, key: str, suffix: str, file_id: str | None) -> bool:
    """Whether a listed job is the one that an intent made: by the key in its metadata, by the key's part in its suffix, or
    by its training file, which was uploaded for this intent alone.
    """
    metadata = job.get("metadata")
    if isinstance(metadata, dict) and metadata.get("ftlib_key") == key:
        return True
    named = [job.get(field) for field in ("user_provided_suffix", "suffix", "fine_tuned_model")]
    if any(isinstance(told, str) and suffix in told for told in named):
        return True
    return provider.can.files_unique and file_id is not None and job.get("training_file") == file_id


def job_request(provider: Provider, settings: Json, key: str, name: str, files: dict[str, str]) -> Json:
    """What is sent to create a job, in the provider's spelling.

    Args:
        settings: {model, epochs, batch, lr_multiplier, seed} of the contestant; None leaves one to the provider.
        files: role -> id of the uploaded file.
    """
    hyper = {"n_epochs": settings["epochs"], "batch_size": settings["batch"], "learning_rate_multiplier": settings["lr_multiplier"]}
    hyper = {field: value for field, value in hyper.items() if value is not None} | provider.hyperparameters_extra
    request: Json = {"model": settings["model"], "training_file": files["train"], "suffix": provider.suffix(name, key), "seed": settings["seed"]}
    if "valid" in files:
        request["validation_file"] = files["valid"]
    if provider.hyperparameters == "flat":
        request["hyperparameters"] = hyper
    else:
        request["method"] = {"type": "supervised", "supervised": {"hyperparameters": hyper}}
    if provider.can.metadata:
        request["metadata"] = {"ftlib_key": key}
    if provider.job_body:
        request["extra_body"] = dict(provider.job_body)
    return request
