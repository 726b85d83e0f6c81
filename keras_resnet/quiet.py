"""Commands import TensorFlow without its INFO lines.

TensorFlow 2.21 writes six such lines to the file descriptor of stderr while it is imported. None of these
environment variables stops them: TF_CPP_MIN_LOG_LEVEL, TF_CPP_MAX_VLOG_LEVEL, ABSL_MIN_LOG_LEVEL, GLOG_minloglevel.
"""

import os
import re
import sys
import tempfile
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.util import find_spec

INFORMATION = re.compile(rb"I\d{4} |WARNING: All log messages before absl::InitializeLog")


@contextmanager
def without_information():
    """Holds back what is written to file descriptor 2; in the end writes it there, less the INFO lines of absl."""
    with tempfile.TemporaryFile() as held:
        stderr = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            os.write(2, b"".join(line for line in held if not INFORMATION.match(line)))


class QuietTensorFlow(MetaPathFinder):
    """Finds tensorflow once, with a loader that runs it `without_information`."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec and spec.loader:
            execute = spec.loader.exec_module

            def exec_module(module):
                with without_information():
                    execute(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def quiet_tensorflow() -> None:
    """For commands, before anything imports TensorFlow. `TF_CPP_MIN_LOG_LEVEL=0` keeps every line."""
    wanted = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") != "0"
    if wanted and sys.stderr and "tensorflow" not in sys.modules:  # no sys.stderr: the descriptor is closed
        sys.meta_path.insert(0, QuietTensorFlow())
