"""Repositories of the Hugging Face hub: their weights and their `config.json`."""

import json
import re
from pathlib import Path
from typing import Any

REPOSITORY = re.compile(r"(?:hf://)?([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
WEIGHTS = ("model.safetensors", "pytorch_model.bin", "task.weights.h5", "model.weights.h5")  # the last two: keras-hub
PROBE_SECONDS = 5


def huggingface_hub():
    """Returns the package; ImportError with the command that installs it."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError("The hub needs huggingface_hub: pip install 'keras-resnet-family[weights]'") from error
    return huggingface_hub


def weights_file(repository: str, revision: str | None) -> Path:
    """Returns the path of the weights of a repository, in the cache of huggingface_hub.

    Raises:
        ImportError: If huggingface_hub is not installed.
        ValueError: If the hub has no such repository or revision, or if it holds none of WEIGHTS.
        OSError: If the repository is gated, if the download fails, or if the weights are not in the cache and the hub
            cannot be reached.
    """
    path = _fetch(repository, revision, WEIGHTS)
    if path is None:
        raise ValueError(f"{_describe(repository, revision)} holds none of {list(WEIGHTS)}")
    return path


def read_config(repository: str, revision: str | None) -> dict[str, Any]:
    """Returns the content of `config.json`, {} if there is none. Raises as `weights_file`; OSError if it is damaged."""
    path = _fetch(repository, revision, ("config.json",))
    try:
        return {} if path is None else dict(json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise OSError(f"config.json of {_describe(repository, revision)} cannot be read: {error}") from error


def hub_error() -> Exception | None:
    """Returns why the hub cannot be reached, after one attempt. huggingface_hub tries each file six times in 20 s."""
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=PROBE_SECONDS)
    except Exception as error:  # of its HTTP client, or offline mode
        return error
    return None


def _fetch(repository: str, revision: str | None, names: tuple[str, ...]) -> Path | None:
    """Returns the first of the files `names` that the repository has; None if it has none of them."""
    hub = huggingface_hub()
    from huggingface_hub import errors

    what = _describe(repository, revision)
    cached = [hub.try_to_load_from_cache(repository, name, revision=revision) for name in names]
    found = [Path(path) for path in cached if isinstance(path, str)]
    is_known = bool(found) or None not in cached  # the other value says that the repository has no such file
    is_commit = re.fullmatch("[0-9a-f]{40}", revision or "")
    connection_error = None if is_commit and is_known else hub_error()
    if is_known and (is_commit or connection_error):
        return found[0] if found else None
    if connection_error:
        raise OSError(f"{names[0]} of {what} is not in the cache, and the hub could not be reached: {connection_error}")
    for name in names:
        try:
            return Path(hub.hf_hub_download(repository, name, revision=revision))
        except errors.RemoteEntryNotFoundError:
            continue
        except errors.GatedRepoError as error:
            raise OSError(f"{what} is gated: accept its terms on the hub, and `hf auth login`. {error}") from error
        except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
            raise ValueError(f"The hub has no {what}, or it is private and you are not logged in. {error}") from error
        except Exception as error:  # huggingface_hub and its HTTP client have many errors of their own
            raise OSError(f"{name} of {what} could not be downloaded: {error}") from error
    return None


def _describe(repository: str, revision: str | None) -> str:
    return f"{repository!r}" + (f" at {revision!r}" if revision else "")
