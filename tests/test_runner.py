"""Tests of the runner: every task ends exactly once, even if processes are killed."""

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
from importlib.util import find_spec
from pathlib import Path

import pytest

from experiments.runner import ATTEMPTS, Local, OnRay, Task, add_runner_flags, make_runner, run_all
from keras_resnet.files import only_one, read_json, write_json

ROOT = Path(__file__).parent.parent


def work(directory, report, *, value=0, seconds=0.0, epochs=1):
    """Simulates a run without a network. It resumes at its last epoch and writes result.json last."""
    directory = Path(directory)
    with only_one(directory):
        if result := read_json(directory / "result.json"):
            return result
        for epoch in range(read_json(directory / "epoch.json") or 0, epochs):
            time.sleep(seconds / epochs)
            write_json(directory / "epoch.json", epoch + 1)
            if report(epoch + 1, {"validation_accuracy": value}):
                break
        with (directory / "ends.txt").open("a") as ends:
            ends.write("end\n")
        write_json(directory / "result.json", {"value": value, "epochs": epoch + 1, "process": os.getpid()})
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


def test_a_process_that_dies_is_replaced_until_it_has_died_too_often(tmp_path):
    often, twice = (Task(name, functools.partial(die, times=n), tmp_path / name) for name, n in (("a", 99), ("b", 1)))
    failed, done = all_of(Local(attempts=2), [often, twice])
    assert failed.error == "the process died 2 times, the last time with exit code -9"
    assert (done.result, done.attempts) == ({"deaths": 1}, 2)
    assert ATTEMPTS == 10


def test_epochs_are_reported_and_a_run_can_be_stopped(tmp_path):
    seen = []

    def on_epoch(task, epoch, figures):
        seen.append((task.name, epoch, figures["validation_accuracy"]))
        return epoch == 2

    (done,) = all_of(Local(on_epoch), [Task("a", functools.partial(work, value=7, epochs=5), tmp_path / "a")])
    assert seen == [("a", 1, 7), ("a", 2, 7)]
    assert done.result["epochs"] == 2


def test_a_full_disk_ends_everything(tmp_path):
    with pytest.raises(OSError, match="No space left on device"):
        all_of(Local(), [Task("a", fill_the_disk, tmp_path / "a")])


def test_flags():
    parser = ArgumentParser()
    add_runner_flags(parser)
    runner = make_runner(parser.parse_args(["--trials-per-process", "3"]))
    assert isinstance(runner, Local) and runner.runs_per_process == 3


DRIVER = """
    import functools, sys
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from test_runner import all_of, work
    from experiments.runner import Local, OnRay, Task
    if __name__ == "__main__":
        place = Path(sys.argv[1])
        run = functools.partial(work, seconds=1.0, epochs=4)
        tasks = [Task(str(i), run, place / str(i)) for i in range(20)]
        tasks = [task for task in tasks if not (task.directory / "result.json").exists()]
        runner = {runner}
        for done in all_of(runner, tasks):
            assert done.error is None, done.error
"""


def driver(tmp_path, runner):
    program = tmp_path / "driver.py"
    program.write_text(textwrap.dedent(DRIVER).format(tests=str(ROOT / "tests"), runner=runner))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    return functools.partial(
        subprocess.Popen,
        [sys.executable, str(program), str(tmp_path / "runs")],
        env=environment,
        start_new_session=True,
    )


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


def ends(directory):
    return {path.parent.name: len(path.read_text().splitlines()) for path in Path(directory).glob("*/ends.txt")}


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


def kill_at_random(start, directory, kinds, number, rng, pattern):
    """Kills the driver or one of its processes at random times. A killed driver is started again."""
    process, kills = start(), 0
    while kills < number:
        time.sleep(rng.uniform(0.3, 2.0))
        if process.poll() is not None:
            if process.returncode == 0:
                break
            process = start()
            continue
        victims = [process.pid] if rng.choice(kinds) == "driver" else children(process.pid, pattern)
        if victims:
            os.kill(rng.choice(victims), signal.SIGKILL)
            kills += 1
    process.wait()
    for _ in range(20):
        if process.returncode == 0:
            break
        process = start()
        process.wait()
    assert process.returncode == 0
    return kills


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fifty_kills_on_this_machine(tmp_path):
    """Workers and drivers of 20 resumable runs are killed. Each run ends exactly once."""
    start = driver(tmp_path, "Local()")
    kills = kill_at_random(start, tmp_path, ["driver", "worker"], 50, random.Random(0), "spawn_main")
    assert kills > 10
    assert ends(tmp_path / "runs") == {str(i): 1 for i in range(20)}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kills_of_ray_workers(tmp_path):
    needs_ray()
    start = driver(tmp_path, "OnRay(workers=2)")
    kills = kill_at_random(start, tmp_path, ["driver", "worker", "worker"], 12, random.Random(1), "ray::train")
    assert kills > 3
    assert ends(tmp_path / "runs") == {str(i): 1 for i in range(20)}


@pytest.mark.slow
def test_ray_on_this_machine(tmp_path):
    """Results, failures, killed processes and stopping are handled as with one local worker."""
    needs_ray()
    tasks = [Task(str(i), functools.partial(work, value=i), tmp_path / str(i)) for i in range(4)]
    tasks += [Task("fails", fail, tmp_path / "fails"), Task("dies", functools.partial(die, times=1), tmp_path / "dies")]
    environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    os.environ.update(environment)
    said = []
    done = {one.task.name: one for one in all_of(OnRay(workers=2, print_line=said.append), tasks)}
    assert [done[str(i)].result["value"] for i in range(4)] == [0, 1, 2, 3]
    assert "ValueError: no such network" in done["fails"].error
    assert done["dies"].result == {"deaths": 1} and done["dies"].attempts == 2
    assert any("dies begins again (attempt 2)" in line for line in said)
    assert json.loads((tmp_path / "3" / "result.json").read_text())["value"] == 3
