"""Many runs: what the runner and the search cost beside the training, on this machine.

    python -m benchmarks.runner trials        # 1,000 simulated trials on two local Ray nodes: trials/s, driver's memory
    python -m benchmarks.runner overhead      # seconds beyond training per trial of a sweep, in a process and with Ray
    python -m benchmarks.runner workers       # two workers with a thread each against one worker with two threads

A simulated trial writes a result without training. Results: benchmarks/NOTES.md.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.nodes import two_nodes
from experiments import sweep
from experiments.report import read_trials
from experiments.runner import OnRay, Task, make_runner, run_all
from keras_resnet.files import write_json
from keras_resnet.training import Run


class Simulated:
    """In place of `Run`: an epoch without training."""

    def __init__(self, *_, seed=0, **__):
        self.seed = seed

    def __call__(self, directory, *, report, **_):
        Path(directory).mkdir(parents=True, exist_ok=True)
        figures = {"accuracy": 0.5, "validation_accuracy": time.time() % 1, "loss": 1.0, "seconds": 0.0}
        report(1, figures)
        numbers = dict(parameters=1, multiply_adds=1, epochs=1, seconds=0.0, overhead=0.0, train_accuracy=0.5)
        result = numbers | figures | {"seed": self.seed, "history": [figures], "ended": time.time()}
        write_json(Path(directory) / "result.json", result)
        return result


def print_result(title: str, count: int, start: float, ended: Counter) -> None:
    seconds = time.monotonic() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    lost = count - len(ended)
    print(f"{title}: {count} in {seconds:.0f} s, {count / seconds:.1f} trials/s; {lost} lost, ", end="")
    print(f"{sum(ended.values()) - len(ended)} twice; peak memory of the driver {memory:.0f} MB", flush=True)


def trials(count: int, directory: Path) -> None:
    with two_nodes(PYTHONPATH=os.getcwd()) as (address, _):
        start = time.monotonic()
        tasks = [Task(str(i), Simulated(), directory / "alone" / str(i)) for i in range(count)]
        runner = OnRay(address=address, runs_per_process=count, print_line=lambda text: None)
        print_result("runner", count, start, Counter(done.task.name for done in run_all(runner, tasks) if done.result))
        values = [str((i + 1) / 1000) for i in range(25)]  # 2 x 2 x 25 x 25 combinations
        flags = ["--dataset", "digits", "--depths", "8", "14", "--shortcuts", "none", "A"]
        flags += ["--learning-rates", *values, "--weight-decays", *values]
        flags += ["--epochs", "1", "--tuner", "random", "--precision", "float32", "--max-trials", str(count)]
        flags += ["--address", address, "--directory", str(directory), "--trials-per-process", str(count)]
        options = sweep.parse(flags)
        (directory / "sweep").mkdir()
        sweep.Run, sweep.print_line = Simulated, lambda text: None  # type: ignore[misc, assignment]
        start = time.monotonic()
        with make_runner(options, print_line=lambda text: None) as runner:
            data = sweep.load_data("digits")
            sweep.Sweep(options, sweep.settings_of(options, data.train.size), count, data, runner).run()
        rows = read_trials(directory / "sweep")
        print_result("sweep", count, start, Counter(row["trial"] for row in rows if row["status"] == "COMPLETED"))


def overhead(count: int, directory: Path) -> None:
    os.environ.update(RAY_worker_niceness="0")  # Ray's default is 15: other processes of the machine would be measured
    command = [sys.executable, "-m", "experiments.sweep", "--dataset", "digits", "--depths", "8", "--epochs", "3"]
    command += ["--shortcuts", "none", "A", "B", "--directory", str(directory), "--name"]
    for name, flags in {"local": [], "ray": ["--workers", "1"]}.items():
        start = time.monotonic()
        subprocess.run([*command, name, *flags], check=True, stdout=subprocess.DEVNULL)
        seconds, rows = time.monotonic() - start, read_trials(directory / name)
        inside = sum(row["overhead"] for row in rows) / len(rows)
        all_in_all = (seconds - sum(row["seconds"] for row in rows)) / len(rows)
        print(f"{name}: {len(rows)} trials; beyond training {inside:.1f} s per trial, ", end="")
        print(f"{all_in_all:.1f} s with the start, the reports and the export of the sweep", flush=True)


def workers(count: int, directory: Path) -> None:
    rates = {}
    os.environ.update(RAY_worker_niceness="0")
    for number, cpus in ((1, 2), (2, 1)):
        place = Path(tempfile.mkdtemp(dir=directory))
        tasks = [Task(str(i), Run("resnet20", "digits", epochs=3, seed=i), place / str(i)) for i in range(2)]
        runner, start = OnRay(workers=number, cpus=cpus, print_line=lambda text: None), time.monotonic()
        results = [done.result for done in run_all(runner, tasks) if done.result]
        images = sum(result["examples"] * result["epochs"] for result in results)
        rates[number] = number * images / sum(result["seconds"] for result in results)
        seconds = time.monotonic() - start
        print(f"{number} x {cpus} threads: {rates[number]:.0f} images/s in training, 2 runs in {seconds:.0f} s")
    print(f"two workers / one: {rates[2] / rates[1]:.2f}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runner", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    measures = {function.__name__: function for function in (trials, overhead, workers)}
    parser.add_argument("measure", choices=measures)
    parser.add_argument("--trials", type=int, default=1000, help="simulated; default: %(default)s")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        measures[options.measure](options.trials, Path(directory))
    return 0


if __name__ == "__main__":
    sys.exit(main())
