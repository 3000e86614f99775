"""What can go wrong between here and a model's files, each in one sentence."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ftlib.errors import MissingExtra, Refused


@contextmanager
def explained(source: str, revision: str | None) -> Iterator[None]:
    """Turn what loading a model raises into Refused or MissingExtra; anything else passes through unchanged."""
    try:
        yield
    except ImportError as error:
        raise MissingExtra(f"{source} needs a library that is not installed ({_line(error)}); pip install -r requirements-gpu.txt.") from error
    except network_errors() as error:
        raise Refused(_sentence(error, source, revision)) from error
    except ValueError as error:
        if Path(source).is_dir() and not (Path(source) / "config.json").exists():
            raise Refused(f"The folder {source} holds no whole model: it has no config.json.") from error
        if "model_type" in str(error) or "Unrecognized" in str(error):
            raise Refused(f"The installed transformers does not know the model type of {source}; upgrade it, or choose another model.") from error
        raise
    except (RuntimeError, MemoryError) as error:
        if out_of_memory(error):
            raise Refused(f"The weights of {source} do not fit into memory; set quant: 4 on a GPU, or choose a smaller model.") from error
        if any(isinstance(link, network_errors()) for link in _chain(error)):  # as Unsloth wraps them
            raise Refused(_sentence(error, source, revision)) from error
        raise


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on a GPU or in torch's CPU allocator."""
    import torch

    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error) or "out of memory" in str(error)


def network_errors() -> tuple[type[Exception], ...]:
    """What huggingface_hub lets through where the network fails: httpx's errors since 1.0, which are no OSError as requests' were."""
    from huggingface_hub.errors import HfHubHTTPError

    return (OSError, HfHubHTTPError.__bases__[0])


def _chain(error: BaseException) -> list[BaseException]:
    """An exception and those that it came from."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    return chain


def _sentence(error: BaseException, source: str, revision: str | None) -> str:
    """What an OSError while loading means. transformers wraps the hub's own errors, so the whole chain is looked at."""
    from huggingface_hub import errors as hub

    chain = _chain(error)

    def was(*kinds: type[BaseException]) -> bool:
        return any(isinstance(link, kinds) for link in chain)

    texts = " ".join(str(link) for link in chain)
    if any(isinstance(link, OSError) and link.errno == errno.ENOSPC for link in chain):
        return f"The disk is full while fetching {source}; free some space (HF_HOME says where models are kept) and run again."
    if was(hub.GatedRepoError) or "access a gated repo" in texts:
        return f"{source} is gated: ask for access on its page and set HF_TOKEN, or take an ungated mirror (unsloth/... in `ftlib models`)."
    if was(hub.RevisionNotFoundError) or "is not a valid git identifier" in texts:
        return f"{source} has no revision {revision!r}; give a branch, tag or commit of that repository, or leave revision out."
    if was(hub.RepositoryNotFoundError) or "is not a valid model identifier" in texts or "Repo id must" in texts:
        return f"There is no model {source!r} on the hub (or it is private and HF_TOKEN is not set); `ftlib models` lists known ones."
    if Path(source).is_dir():
        return f"The folder {source} holds no whole model ({_line(error)}); it needs config.json, tokenizer files and model.safetensors."
    cut = any(isinstance(link, network_errors()) and not isinstance(link, OSError) for link in chain)
    if cut or was(hub.LocalEntryNotFoundError, hub.OfflineModeIsEnabled, ConnectionError) or "couldn't connect" in texts or "offline mode" in texts:
        return f"The model hub cannot be reached for {source}, which is not in the cache; check the connection, or take tiny-llama, which needs none."
    return f"{source} could not be loaded: {_line(error)}."


def _line(error: BaseException) -> str:
    return next((line.strip().rstrip(".") for line in str(error).splitlines() if line.strip()), type(error).__name__)
