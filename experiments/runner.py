"""Executes many runs: one after the other on this machine, or on a Ray cluster.

A runner knows nothing of search or of papers. All state is in the directories of the runs, which the driver (the
process that submits them) can reach: a run that is interrupted is submitted again and resumes.
"""

import argparse
import errno
import math
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, NamedTuple

from experiments.flags import not_negative_float, positive
from keras_resnet.files import NO_SPACE, DirectoryInUse, is_full, whole, write_text

ATTEMPTS = 10  # a run that kills its process so often is a failure
PATIENCE = 60  # seconds that a run waits for a directory that a dying process still holds
CHECKOUT = Path(__file__).parent.parent


class Task(NamedTuple):
    """A run: `run(directory, report=...)` returns its result, as `keras_resnet.training.Run` does."""

    name: str
    run: Callable[..., dict]
    directory: Path


class Done(NamedTuple):
    """A task that has ended, with its result or with the text of an error."""

    task: Task
    result: dict | None
    error: str | None
    attempts: int


# (task, number of epochs, figures of the last one) -> whether to stop the run
OnEpoch = Callable[[Task, int, dict], bool]


def never(task: Task, epoch: int, figures: dict) -> bool:
    return False


def execute(run: Callable[..., dict], directory: Path, report: Callable) -> tuple[dict | None, str | None]:
    """Calls a run; returns its result, or the text of its error. A full disk is the only error that is raised.

    Waits for a while if another process, such as one that was just killed, uses the directory.
    """
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return run(directory, report=report), None
        except DirectoryInUse:
            if time.monotonic() > end:
                return None, f"another process uses {directory}"
            time.sleep(0.5)
        except Exception as error:
            if is_full(error):
                place = f"{directory} on {socket.gethostname()}"
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), place) from error
            return None, traceback.format_exc()


def end_on_full_disk(error: OSError, directory: Path) -> int:
    """Says where the disk is full, and returns the exit code. Other errors are raised."""
    if not is_full(error):
        raise error
    print(f"{error.strerror}: {error.filename or directory}. Free some, and run the same command.", file=sys.stderr)
    return NO_SPACE


# ------------------------------------------------------------------------------------------------------ this machine


def worker(pipe) -> None:
    """A process that executes the runs that it receives, and ends when its parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the driver ends this process
    parent = multiprocessing.parent_process()

    def end_with_parent():
        wait([parent.sentinel])  # type: ignore[union-attr]
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()

    def report(epoch, figures):
        pipe.send(("epoch", epoch, figures))
        return pipe.recv()

    while True:
        try:
            run, directory = pipe.recv()
        except EOFError:  # the driver has closed the pipe
            return
        try:
            pipe.send(("done", *execute(run, directory, report)))
        except OSError as error:
            pipe.send(("full", error))


class Local:
    """One worker process at a time, a fresh one after a number of runs: TensorFlow keeps some memory of every network.

    Python's ProcessPoolExecutor(max_tasks_per_child=...) can deadlock in 3.11 to 3.13 (python/cpython#115634).
    """

    def __init__(self, on_epoch: OnEpoch = never, runs_per_process: int = 25, attempts: int = ATTEMPTS):
        self.on_epoch, self.runs_per_process, self.attempts = on_epoch, runs_per_process, attempts
        self.tasks: list[Task] = []
        self.process: Any = None
        self.busy = False

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.end()

    @property
    def free(self) -> int:
        """The number of tasks that would start at once."""
        return 1 - len(self.tasks)

    def call(self, function: Callable, *arguments):
        """Returns what a function returns where the runs are executed."""
        return function(*arguments)

    def submit(self, task: Task) -> None:
        self.tasks.append(task)

    def next(self) -> Done:
        """Executes the first task that was submitted."""
        task, attempts = self.tasks.pop(0), 0
        while attempts < self.attempts:
            attempts += 1
            try:
                return Done(task, *self.execute(task), attempts)
            except (EOFError, ConnectionError):
                self.process.join()
                code = self.process.exitcode
                self.end()
        error = f"the process died {attempts} times, the last time with exit code {code}"
        return Done(task, None, error, attempts)

    def execute(self, task: Task) -> tuple[dict | None, str | None]:
        """Returns the result or the error. EOFError or ConnectionError if the process dies."""
        if self.process is None:
            self.start()
        self.busy = True
        self.pipe.send((task.run, task.directory))
        while True:
            kind, *content = self.pipe.recv()
            if kind == "epoch":
                self.pipe.send(self.on_epoch(task, *content))
                continue
            if kind == "full":
                raise content[0]
            self.busy = False
            self.executed += 1
            if self.executed == self.runs_per_process:
                self.end()
            return content[0], content[1]

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process, self.executed = context.Process(target=worker, args=(theirs,), daemon=True), 0
        self.process.start()
        theirs.close()

    def end(self) -> None:
        """Ends the worker process: an idle one by closing its pipe, so that it cleans up, a busy one by a kill."""
        if self.process is not None:
            self.pipe.close()
            if not self.busy:
                self.process.join(10)  # seconds
            self.process.kill()
            self.process.join()
            self.process, self.busy = None, False


# -------------------------------------------------------------------------------------------------------- Ray cluster

RETURNED = ("settings.json", "history.json", "model.keras", "result.json")  # result.json last


def train(name: str, run: Callable, directory: str, token: str, progress) -> tuple[dict | None, str | None, dict]:
    """The task on a node: result, error, and the files of the run if the driver cannot see them there."""
    import ray

    def report(epoch, figures):
        return ray.get(progress.report.remote(name, epoch, figures))

    place, shared = Path(directory), Path(directory, ".driver")
    reachable = shared.exists() and shared.read_text() == token
    scratch = place if reachable else Path(tempfile.mkdtemp(prefix="keras_resnet-"))
    backups = sorted(place.glob("backup/*.weights.h5")) if reachable else []
    start = f"after epoch {int(backups[-1].name.partition('.')[0])}" if backups else "from the start"
    ray.get(progress.begin.remote(name, f"on {socket.gethostname()}, {start}"))
    try:
        result, error = execute(run, scratch, report)
        sent = () if reachable or error else [file for file in RETURNED if (scratch / file).exists()]
        return result, error, {file: (scratch / file).read_bytes() for file in sent}
    finally:
        if not reachable:
            shutil.rmtree(scratch, ignore_errors=True)


class ProgressActor:
    """An actor between tasks and driver: what has begun, the figures of epochs, and which runs to stop."""

    def __init__(self):
        self.events: list[tuple] = []
        self.stopped: set[str] = set()

    def begin(self, name, text):
        self.events.append(("begin", name, text, None))

    def report(self, name, epoch, figures):
        self.events.append(("epoch", name, epoch, figures))
        return name in self.stopped

    def stop(self, name):
        self.stopped.add(name)

    def take(self):
        events, self.events = self.events, []
        return events


class OnRay:
    """Tasks on a Ray cluster. A run whose process or node dies is executed again, on any node.

    Results and networks return through Ray: nodes need no shared disk. If a node reaches the directory of the driver,
    an interrupted run resumes there at its last epoch.
    """

    def __init__(
        self,
        on_epoch: OnEpoch = never,
        *,
        address: str | None = None,
        workers: int | None = None,
        cpus: float = 1,
        gpus: float = 0,
        runs_per_process: int = 25,
        print_line: Callable[[str], None] = print,
    ):
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            import ray
            from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
        except ImportError as error:
            raise ValueError(f"{error}. Run: pip install 'keras-resnet-family[distributed]'") from error
        self.ray, self.on_epoch, self.print_line, self.workers = ray, on_epoch, print_line, workers
        threads = {name: str(max(1, int(cpus))) for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")}
        ours = {name: value for name, value in os.environ.items() if name in ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL")}
        environment: dict[str, Any] = {"env_vars": threads | ours}
        settings: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False, "include_dashboard": False}
        if address is None:
            environment["env_vars"]["PYTHONPATH"] = os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])
            settings |= {"num_cpus": max(1, math.ceil((workers or 1) * cpus)), "object_store_memory": 200 * 2**20}
            settings |= {"address": "local"}  # a new one, also beside a Ray that runs here or that RAY_ADDRESS names
        else:
            environment |= {"working_dir": str(CHECKOUT), "excludes": EXCLUDED}
            settings |= {"address": address}
            settings.pop("include_dashboard")
        try:
            if address not in (None, "auto"):  # Ray itself would try for minutes
                host, _, port = address.rpartition(":")
                socket.create_connection((host, int(port)), timeout=10).close()
            ray.init(runtime_env=environment, **settings)
        except Exception as error:
            if address is None:
                raise
            message = f"--address: no Ray cluster answers at {address}, or it has another token ({error}). {TOKEN_HELP}"
            raise ValueError(message) from error
        if address is not None:
            mode = ray.get(ray.remote(num_cpus=0)(lambda: os.environ.get("RAY_AUTH_MODE")).remote())
            if mode != "token":
                ray.shutdown()
                raise ValueError(f"--address: the cluster at {address} accepts commands without a token. {TOKEN_HELP}")
        elif ray.cluster_resources().get("GPU", 0) < gpus:
            ray.shutdown()
            raise ValueError(f"--gpus-per-trial must be at most the number of GPUs of this machine. Received: {gpus}")
        self.resources = dict(num_cpus=cpus, num_gpus=gpus)
        self.train = ray.remote(**self.resources, max_calls=runs_per_process, max_retries=ATTEMPTS - 1)(train)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)(ProgressActor)
        self.progress: Any = actor.remote()  # beside the driver: another node may end
        self.cpus, self.gpus = cpus, gpus
        self.running: dict[Any, Task] = {}
        self.begun: dict[str, int] = {}

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.ray.shutdown()

    @property
    def free(self) -> int:
        """The number of tasks that would start at once."""
        there = self.ray.cluster_resources()
        asked = {"CPU": self.cpus, "GPU": self.gpus}
        slots = min(int(there.get(name, 0) // count) for name, count in asked.items() if count)
        return max(1, slots if self.workers is None else min(slots, self.workers)) - len(self.running)

    def call(self, function: Callable, *arguments):
        """Returns what a function returns where the runs are executed."""
        return self.ray.get(self.ray.remote(**self.resources)(function).remote(*arguments))

    def submit(self, task: Task) -> None:
        token = f"{os.getpid()}-{time.time_ns()}"
        task.directory.mkdir(parents=True, exist_ok=True)
        write_text(task.directory / ".driver", token)
        reference = self.train.remote(task.name, task.run, str(task.directory.resolve()), token, self.progress)
        self.running[reference] = task

    def next(self) -> Done:
        """Waits for a task to end."""
        while True:
            ready, _ = self.ray.wait(list(self.running), timeout=1.0)
            self.read_progress()
            if ready:
                return self.done(ready[0])

    def done(self, reference) -> Done:
        task = self.running.pop(reference)
        attempts = self.begun.pop(task.name, 1)
        (task.directory / ".driver").unlink(missing_ok=True)
        try:
            result, error, files = self.ray.get(reference)
        except self.ray.exceptions.RayError as failure:
            cause = getattr(failure, "cause", None)  # what a task raised
            if isinstance(cause, OSError) and is_full(cause):
                raise cause from None
            return Done(task, None, f"the process died {attempts} times: {type(failure).__name__}", attempts)
        for name, content in files.items():
            with whole(task.directory / name) as unfinished:
                unfinished.write_bytes(content)
        return Done(task, result, error, attempts)

    def read_progress(self) -> None:
        tasks = {task.name: task for task in self.running.values()}
        for kind, name, what, figures in self.ray.get(self.progress.take.remote()):
            if name not in tasks:
                continue
            if kind == "begin":
                self.begun[name] = self.begun.get(name, 0) + 1
                again = f"begins again (attempt {self.begun[name]})" if self.begun[name] > 1 else "begins"
                self.print_line(f"  {name} {again} {what}")
            elif self.on_epoch(tasks[name], what, figures):
                self.progress.stop.remote(name)


EXCLUDED = [".git", ".venv", "runs", "experiments/results", "build", "dist", "**/__pycache__"]
TOKEN_HELP = (
    "Start every node with the same token: run `ray get-auth-token --generate` once, copy ~/.ray/auth_token to each "
    "machine, and run `RAY_AUTH_MODE=token ray start ...`."
)


# ------------------------------------------------------------------------------------------------- lists of tasks


def run_all(runner, tasks: Iterable[Task], begin: Callable[[Task], None] = lambda task: None) -> Iterator[Done]:
    """Executes all tasks and yields them as they end; `begin` is called with each before it is submitted."""
    left, running = list(tasks), 0
    with runner:
        while left or running:
            while left and runner.free > 0:
                begin(left[0])
                runner.submit(left.pop(0))
                running += 1
            yield runner.next()
            running -= 1


# ------------------------------------------------------------------------------------------------------------- flags


def add_runner_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where the runs are executed (default: one at a time, on this machine)")
    group.add_argument("--workers", type=positive, metavar="N", help="N at a time on this machine, with Ray")
    group.add_argument("--address", help="of a Ray cluster; auto: the one that this machine belongs to")
    group.add_argument(
        "--cpus-per-trial", type=not_negative_float, default=1, metavar="N",
        help="with Ray: CPUs and threads of a run; default: 1. The number of threads changes the last digits of sums",
    )  # fmt: skip
    group.add_argument("--gpus-per-trial", type=not_negative_float, default=0, metavar="N", help="with Ray; default: 0")
    group.add_argument(
        "--trials-per-process", type=positive, default=25, metavar="N",
        help="a fresh process after so many runs: TensorFlow keeps some memory of every network",
    )  # fmt: skip


def make_runner(options: argparse.Namespace, on_epoch: OnEpoch = never, print_line: Callable[[str], None] = print):
    """Returns the runner that the flags of `add_runner_flags` describe. ValueError if there can be none."""
    cpus, gpus = options.cpus_per_trial, options.gpus_per_trial
    if options.workers is None and options.address is None:
        if cpus != 1 or gpus:
            raise ValueError("--cpus-per-trial and --gpus-per-trial need --workers or --address")
        return Local(on_epoch, options.trials_per_process)
    if not cpus and not gpus:
        raise ValueError("--cpus-per-trial must be more than 0 without --gpus-per-trial. Received: 0")
    return OnRay(
        on_epoch,
        address=options.address,
        workers=options.workers,
        cpus=cpus,
        gpus=gpus,
        runs_per_process=options.trials_per_process,
        print_line=print_line,
    )
