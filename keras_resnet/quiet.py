"""Removes the INFO lines that TensorFlow prints during its import, for shell commands.

TensorFlow 2.21 writes six INFO lines to the file descriptor of stderr during its import. None of these environment
variables disables them: TF_CPP_MIN_LOG_LEVEL, TF_CPP_MAX_VLOG_LEVEL, ABSL_MIN_LOG_LEVEL, GLOG_minloglevel.
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
    """Buffers the output to file descriptor 2. At the end, writes it there without the INFO lines of absl."""
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
    """Import finder for tensorflow. Its loader imports the module in the context `without_information`.

    The finder removes itself after its first use.
    """

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
    """Suppresses log lines of TensorFlow. Call it before TensorFlow is imported.

    With `TF_CPP_MIN_LOG_LEVEL=0`, all lines are printed.
    """
    wanted = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") != "0"
    if wanted and sys.stderr and "tensorflow" not in sys.modules:  # sys.stderr is None if its descriptor is closed
        sys.meta_path.insert(0, QuietTensorFlow())
