"""Tests of the runner: every task ends exactly once, even if processes are killed."""

import contextlib
import functools
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from argparse import ArgumentParser
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks import nodes
from experiments.runner import ATTEMPTS, Local, OnRay, Task, add_runner_flags, make_runner, run_all
from keras_resnet.files import is_full, only_one, read_json, write_json

ROOT = Path(__file__).parent.parent


def work(directory, report, *, value=0, seconds=0.0, epochs=1):
    """Simulates a run without a network. It resumes at its last epoch. A second end leaves the file `twice`."""
    directory = Path(directory)
    with only_one(directory):
        if result := read_json(directory / "result.json"):
            return result
        for epoch in range(read_json(directory / "epoch.json") or 0, epochs):
            time.sleep(seconds / epochs)
            write_json(directory / "epoch.json", epoch + 1)
            if report(epoch + 1, {"validation_accuracy": value}):
                break
        unfinished = directory / f"unfinished-{os.getpid()}.json"
        write_json(unfinished, {"value": value, "epochs": epoch + 1, "process": os.getpid()})
        try:
            os.link(unfinished, directory / "result.json")
        except FileExistsError:
            (directory / "twice").touch()
    return read_json(directory / "result.json")


def fail(directory, report):
    raise ValueError("no such network")


def die(directory, report, *, times=10**6):
    """Kills its own process `times` times."""
    directory = Path(directory)
    directory.mkdir(exist_ok=True, parents=True)
    count = (read_json(directory / "deaths.json") or 0) + 1
    write_json(directory / "deaths.json", count)
    if count <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"deaths": times}


def fill_the_disk(directory, report):
    Path("/dev/full").write_text("x")


@pytest.fixture(autouse=True)
def no_ray_afterwards():
    """Ends what a failed test has left: Ray's processes would outlive it."""
    yield
    if ray := sys.modules.get("ray"):
        ray.shutdown()


def needs_ray():
    """Skips the test if Ray is not installed. Ray is not imported, because its import reads RAY_AUTH_MODE."""
    if find_spec("ray") is None:
        pytest.skip("ray is not installed")


def all_of(runner, tasks):
    return list(run_all(runner, tasks))


def test_tasks_in_worker_processes(tmp_path):
    tasks = [Task(str(i), functools.partial(work, value=i), tmp_path / str(i)) for i in range(5)]
    done = all_of(Local(runs_per_process=2), tasks)
    assert [one.result["value"] for one in done] == [0, 1, 2, 3, 4]
    processes = [one.result["process"] for one in done]
    assert len(set(processes)) == 3 and os.getpid() not in processes
    assert processes[0] == processes[1] != processes[2]


def test_a_task_that_fails_has_its_traceback(tmp_path):
    tasks = [Task("a", fail, tmp_path / "a"), Task("b", work, tmp_path / "b")]
    failed, done = all_of(Local(), tasks)
    assert failed.error.endswith("ValueError: no such network\n") and failed.result is None
    assert done.error is None


@pytest.mark.slow
def test_a_process_that_dies_is_replaced_until_it_has_died_too_often(tmp_path):
    often, twice = (Task(name, functools.partial(die, times=n), tmp_path / name) for name, n in (("a", 99), ("b", 1)))
    failed, done = all_of(Local(attempts=2), [often, twice])
    assert failed.error == "the process died 2 times, the last time with exit code -9"
    assert (done.result, done.attempts) == ({"deaths": 1}, 2)
    assert ATTEMPTS == 10


@pytest.mark.slow
def test_epochs_are_reported_and_a_run_can_be_stopped(tmp_path):
    seen = []

    def on_epoch(task, epoch, figures):
        seen.append((task.name, epoch, figures["validation_accuracy"]))
        return epoch == 2

    (done,) = all_of(Local(on_epoch), [Task("a", functools.partial(work, value=7, epochs=5), tmp_path / "a")])
    assert seen == [("a", 1, 7), ("a", 2, 7)]
    assert done.result["epochs"] == 2


@pytest.mark.slow
def test_a_full_disk_ends_everything(tmp_path):
    with pytest.raises(OSError, match="No space left on device"):
        all_of(Local(), [Task("a", fill_the_disk, tmp_path / "a")])


def test_flags():
    parser = ArgumentParser()
    add_runner_flags(parser)
    runner = make_runner(parser.parse_args(["--trials-per-process", "3"]))
    assert isinstance(runner, Local) and runner.runs_per_process == 3


@pytest.mark.slow
def test_a_full_disk_ends_everything_on_ray(tmp_path, monkeypatch):
    needs_ray()
    monkeypatch.setenv("PYTHONPATH", ENVIRONMENT["PYTHONPATH"])
    with pytest.raises(OSError, match="No space left on device") as caught:
        all_of(OnRay(), [Task("a", fill_the_disk, tmp_path / "a")])
    assert is_full(caught.value) and str(tmp_path / "a") in caught.value.filename


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--gpus-per-trial", "1"], "need --workers or --address"),
        (["--cpus-per-trial", "2"], "need --workers or --address"),
        (["--workers", "2", "--cpus-per-trial", "0"], "--cpus-per-trial must be more than 0 without --gpus-per-trial"),
    ],
)
def test_flags_that_would_do_nothing(flags, says):
    parser = ArgumentParser()
    add_runner_flags(parser)
    with pytest.raises(ValueError, match=says):
        make_runner(parser.parse_args(flags))


@pytest.mark.slow
def test_an_address_without_a_cluster():
    needs_ray()
    with pytest.raises(ValueError, match="--address: no Ray cluster answers at 127.0.0.1:9"):
        OnRay(address="127.0.0.1:9")


DRIVER = """
    import functools, sys
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from test_runner import all_of, work
    from experiments.runner import Local, OnRay, Task
    if __name__ == "__main__":
        place = Path(sys.argv[1])
        run = functools.partial(work, seconds=3.0, epochs=6)
        tasks = [Task(str(i), run, place / str(i)) for i in range(20)]
        tasks = [task for task in tasks if not (task.directory / "result.json").exists()]
        runner = {runner}
        for done in all_of(runner, tasks):
            assert done.error is None, done.error
"""


ENVIRONMENT = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]), "RAY_AUTH_MODE": "token"}


def driver(tmp_path, runner):
    program = tmp_path / "driver.py"
    program.write_text(textwrap.dedent(DRIVER).format(tests=str(ROOT / "tests"), runner=runner))
    command = [sys.executable, str(program), str(tmp_path / "runs")]
    return functools.partial(subprocess.Popen, command, env={**os.environ, **ENVIRONMENT}, start_new_session=True)


def children(pid, pattern):
    """Returns the descendants of a process whose command contains a pattern."""
    found, waiting = [], [pid]
    while waiting:
        out = subprocess.run(["pgrep", "-P", str(waiting.pop())], capture_output=True, text=True).stdout
        for child in map(int, out.split()):
            waiting.append(child)
            try:
                if pattern in Path(f"/proc/{child}/cmdline").read_text():
                    found.append(child)
            except OSError:
                pass
    return found


def each_ended_once(runs):
    names = {str(i) for i in range(20)}
    return {path.parent.name for path in runs.glob("*/result.json")} == names and not list(runs.glob("*/twice"))


@pytest.mark.slow
def test_a_worker_ends_with_its_driver(tmp_path):
    process = driver(tmp_path, "Local()")()
    while not list((tmp_path / "runs").glob("*/epoch.json")):
        time.sleep(0.1)
    (worker,) = children(process.pid, "spawn_main")
    process.kill()
    process.wait()
    for _ in range(50):
        if not Path(f"/proc/{worker}").exists():
            break
        time.sleep(0.1)
    assert not Path(f"/proc/{worker}").exists()


def kill_at_random(start, kinds, number, rng, pause):
    """Kills processes at random moments, and starts the driver again when it is dead; returns what was killed.

    `kinds` are functions of the driver's process that return the ids of what may be killed, () to kill the driver.
    """
    process, kills = start(), []
    while len(kills) < number:
        time.sleep(rng.uniform(*pause))
        if process.poll() is not None:
            assert process.returncode in (0, -signal.SIGKILL)
            if process.returncode == 0:
                break
            process = start()
            continue
        kind = rng.choice(list(kinds))
        if victims := kinds[kind](process):
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(victims), signal.SIGKILL)
                kills.append(kind)
    if process.wait() != 0:
        assert process.returncode == -signal.SIGKILL
        assert start().wait() == 0
    return kills


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_fifty_kills_on_this_machine(tmp_path):
    """Of workers and drivers, over 20 runs that resume: each ends exactly once."""
    kinds = {"driver": lambda process: [process.pid], "worker": lambda process: children(process.pid, "spawn_main")}
    start = driver(tmp_path, "Local(attempts=50)")
    kills = kill_at_random(start, kinds, 50, random.Random(0), (1, 6))
    assert len(kills) > 30 and {*kills} == {*kinds}
    assert each_ended_once(tmp_path / "runs")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_kills_of_ray_workers(tmp_path):
    needs_ray()

    def workers(process):
        return children(process.pid, "ray::train")

    kinds = {"driver": lambda process: workers(process) and [process.pid], "worker": workers}
    kills = kill_at_random(driver(tmp_path, "OnRay(workers=2)"), kinds, 8, random.Random(1), (1, 8))
    assert {*kills} == {*kinds}
    assert each_ended_once(tmp_path / "runs")


@pytest.fixture
def two_nodes(monkeypatch):
    """The address of a cluster of two nodes with a token, and the nodes. The driver is on the first."""
    needs_ray()
    for name in ("PYTHONPATH", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, "")  # restored afterwards
    with nodes.two_nodes(**ENVIRONMENT) as cluster:
        yield cluster


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_kills_on_two_nodes(two_nodes, tmp_path):
    """25 kills of workers, drivers and the second node over 20 runs: each ends exactly once."""
    address, (first, second) = two_nodes

    def second_node(process):
        if second.process.poll() is None:
            return workers(process) and second.processes("raylet/raylet")
        second.end()
        second.start()
        return ()

    def workers(process):
        return [pid for node in (first, second) for pid in node.processes("ray::train")]

    kinds = {
        "driver": lambda process: workers(process) and [process.pid],
        "worker": workers,
        "second node": second_node,
    }
    start = driver(tmp_path, f"OnRay(address={address!r})")
    kills = kill_at_random(start, kinds, 25, random.Random(2), (1, 8))
    print(Counter(kills))
    assert len(kills) > 15 and {*kills} == {*kinds}
    assert each_ended_once(tmp_path / "runs")


@pytest.mark.slow
def test_ray_on_this_machine(tmp_path, monkeypatch):
    """Results, failures, deaths and stopping are as with one local worker."""
    needs_ray()
    tasks = [Task(str(i), functools.partial(work, value=i), tmp_path / str(i)) for i in range(4)]
    tasks += [Task("fails", fail, tmp_path / "fails"), Task("dies", functools.partial(die, times=1), tmp_path / "dies")]
    monkeypatch.setenv("PYTHONPATH", ENVIRONMENT["PYTHONPATH"])
    said = []
    done = {one.task.name: one for one in all_of(OnRay(workers=2, print_line=said.append), tasks)}
    assert [done[str(i)].result["value"] for i in range(4)] == [0, 1, 2, 3]
    assert "ValueError: no such network" in done["fails"].error
    assert done["dies"].result == {"deaths": 1} and done["dies"].attempts == 2
    assert any("dies begins again (attempt 2)" in line for line in said)
    assert json.loads((tmp_path / "3" / "result.json").read_text())["value"] == 3


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_sweep_has_the_same_accuracies_wherever_it_runs(two_nodes, tmp_path):
    """In a process, with two workers, and on two nodes, each with one thread: sums of several threads are rounded
    differently.
    """
    one_thread = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "experiments.sweep", "--dataset", "digits", "--depths", "8", "--epochs", "2"]
    command += ["--train-examples", "128", "--batch-size", "16", "--shortcuts", "none", "A", "--seed", "3"]
    found = {}
    for name, flags in {"process": [], "workers": ["--workers", "2"], "nodes": ["--address", two_nodes[0]]}.items():
        ended = subprocess.run(
            [*command, "--directory", str(tmp_path), "--name", name, *flags], cwd=ROOT, env=one_thread
        )
        assert ended.returncode == 0
        results = sorted((tmp_path / name).glob("trial_*/seed0/result.json"))
        found[name] = [json.loads(path.read_text())["validation_accuracy"] for path in results]
    assert len(set(found["process"])) > 1
    assert found["process"] == found["workers"] == found["nodes"]
