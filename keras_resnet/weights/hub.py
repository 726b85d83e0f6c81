"""Download of weights and `config.json` from repositories of the Hugging Face hub."""

import json
import re
from pathlib import Path
from typing import Any

REPOSITORY = re.compile(r"(?:hf://)?([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
WEIGHTS = ("model.safetensors", "pytorch_model.bin", "task.weights.h5", "model.weights.h5")  # the last two: keras-hub
PROBE_SECONDS = 5


def huggingface_hub():
    """Returns the package huggingface_hub. If it is missing, the ImportError states the command to install it."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError("The hub needs huggingface_hub: pip install 'keras-resnet-family[weights]'") from error
    return huggingface_hub


def weights_file(repository: str, revision: str | None) -> Path:
    """Returns the path of the weights of a repository, in the cache of huggingface_hub.

    Raises:
        ImportError: If huggingface_hub is not installed.
        ValueError: If the repository or the revision does not exist, or if it contains none of the files WEIGHTS.
        OSError: If the repository is gated, if the download fails, or if the weights are not in the cache and the hub
            cannot be reached.
    """
    path = _fetch(repository, revision, WEIGHTS)
    if path is None:
        raise ValueError(f"{_describe(repository, revision)} holds none of {list(WEIGHTS)}")
    return path


def read_config(repository: str, revision: str | None) -> dict[str, Any]:
    """Returns the content of `config.json`, or {} if there is no such file.

    Raises the errors of `weights_file`, and OSError if the file is damaged.
    """
    path = _fetch(repository, revision, ("config.json",))
    try:
        return {} if path is None else dict(json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise OSError(f"config.json of {_describe(repository, revision)} cannot be read: {error}") from error


def hub_error() -> Exception | None:
    """Tries once to reach the hub. Returns the error, or None if the hub can be reached.

    Without this check, huggingface_hub would try to download each file six times in 20 s.
    """
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=PROBE_SECONDS)
    except Exception as error:  # an error of the HTTP client, or offline mode
        return error
    return None


def _fetch(repository: str, revision: str | None, names: tuple[str, ...]) -> Path | None:
    """Returns the path of the first file in `names` that the repository contains, or None if it contains none."""
    hub = huggingface_hub()
    from huggingface_hub import errors

    what = _describe(repository, revision)
    cached = [hub.try_to_load_from_cache(repository, name, revision=revision) for name in names]
    found = [Path(path) for path in cached if isinstance(path, str)]
    # In `cached`, None means that nothing is known about a file. Another value means that the file does not exist.
    is_known = bool(found) or None not in cached
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
        except Exception as error:  # huggingface_hub and its HTTP client raise many types of errors
            raise OSError(f"{name} of {what} could not be downloaded: {error}") from error
    return None


def _describe(repository: str, revision: str | None) -> str:
    return f"{repository!r}" + (f" at {revision!r}" if revision else "")
