r"""A sweep on several processes: a chief hands out the trials, workers run them, and here they are started again.

    python -m experiments.launch --workers 2 --dataset cifar10 --depths 8 14 20      # and any flag of experiments.sweep
    python -m experiments.launch --render kubernetes --workers 4 --dataset cifar10 > sweep.yaml

Each worker has a name that it keeps, a share of the cores and, where there are GPUs, one of its own. Whoever is killed is
started again under its name and goes on; at most the trials in flight are run again. When the workers are through, the
chief is ended by its pid, and experiments.sweep does what is left: trials of a worker that was given up, the report, the
best net. Kill everything, and the same command goes on.

The port on which the chief hands out trials asks nobody who he is: whoever reaches it can end or falsify trials. So it is
on the loopback interface; on a cluster keep it within a private network.
"""

import argparse
import ctypes
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent / "cluster"  # what is rendered there: render(name, EXAMPLE_WORKERS, EXAMPLE)
EXAMPLE_WORKERS, EXAMPLE = 4, ["--dataset", "cifar10", "--tuner", "random", "--max-trials", "100"]
FILES = {"slurm": "sweep.sbatch", "kubernetes": "sweep.yaml"}
PORT = 8017


def command(flags: list[str], python: str = sys.executable) -> list[str]:
    return [python, "-m", "experiments.sweep", *flags]


def environment(who: str, address: str, port: int | str) -> dict[str, str]:
    """What makes a process of Keras Tuner the chief, or the worker of that name; the chief trains nothing."""
    names = {"KERASTUNER_TUNER_ID": who, "KERASTUNER_ORACLE_IP": address, "KERASTUNER_ORACLE_PORT": str(port)}
    return names | ({"CUDA_VISIBLE_DEVICES": "-1"} if who == "chief" else {})


def gpus(variables: Mapping[str, str]) -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    if "CUDA_VISIBLE_DEVICES" in variables:
        return [name for name in variables["CUDA_VISIBLE_DEVICES"].split(",") if name.strip() not in ("", "-1")]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return []
    found = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return [str(i) for i in range(len(found))]


def shares(workers: int, devices: list[str], cores: int) -> list[dict[str, str]]:
    """The variables that give each worker its part of the machine. ValueError where the GPUs are too few."""
    if devices and workers > len(devices):
        raise ValueError(f"--workers must be at most {len(devices)}, one a GPU. Received: {workers}")
    threads = str(max(1, cores // workers))
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    share = dict.fromkeys(names, threads)
    return [share | ({"CUDA_VISIBLE_DEVICES": devices[i]} if devices else {}) for i in range(workers)]


def free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def answers(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0


def die_with_parent() -> None:
    """Linux: SIGKILL when the launcher is gone, however it went. All that is worth keeping is in files."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


@dataclass
class Member:
    """A process that is started again, `limit` times in a row without the sweep's having got on."""

    name: str
    command: list[str]
    variables: dict[str, str]
    directory: Path
    limit: int
    restarts: int = 0
    trials: int = -1
    process: subprocess.Popen = field(init=False)

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, env=os.environ | self.variables, start_new_session=True, preexec_fn=die_with_parent
        )

    def restart(self, code: int) -> bool:
        """False where that was too often."""
        trials = len(list(self.directory.glob("trial_*/result.json")))
        self.restarts = 1 if trials > self.trials else self.restarts + 1
        self.trials = max(trials, self.trials)
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        if self.restarts > self.limit:
            say(f"{self.name} {how}; it is given up after {self.limit} restarts in which no trial came to an end")
            return False
        say(f"{self.name} {how}, and is started again")
        if code > 0:  # by its own doing: it may need a moment
            time.sleep(1)
        self.start()
        return True

    def end(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)


def say(text: str) -> None:
    print(f"launch: {text}", flush=True)


def supervise(workers: list[dict[str, str]], flags: list[str], directory: Path, *, address: str, limit: int) -> int:
    """Runs the sweep of `flags` with a worker for each of `workers`; the exit code of experiments.sweep at its end."""
    port = free_port(address)
    later = [flag for flag in flags if flag != "--overwrite"]  # once, not at each start
    chief = Member("chief", command(flags), environment("chief", address, port), directory, limit)
    team = [
        Member(f"worker{i}", command(later), environment(f"worker{i}", address, port) | share, directory, limit)
        for i, share in enumerate(workers)
    ]
    for member in (chief, *team):
        member.variables["no_grpc_proxy"] = address
    everyone = [chief]
    try:
        chief.start()
        while not answers(address, port):  # it has the data, then, and the lock on the directory
            code = chief.process.poll()
            if code is not None and (code >= 0 or not chief.restart(code)):
                return code if code > 0 else 1
            time.sleep(0.2)
        chief.command = command(later)
        for member in team:
            member.start()
        everyone += team
        say(f"chief {chief.process.pid}, " + ", ".join(f"{member.name} {member.process.pid}" for member in team))
        given_up = watch(chief, team)
        chief.end(signal.SIGKILL)  # it may be waiting for who does not come back
        chief.process.wait()
        if given_up == len(workers):
            say("no worker is left; the same command goes on from here")
            return 1
        return subprocess.run(command(later), preexec_fn=die_with_parent).returncode
    except KeyboardInterrupt:
        for member in everyone:
            member.end(signal.SIGTERM)
        until = time.monotonic() + 20
        while any(member.process.poll() is None for member in everyone) and time.monotonic() < until:
            time.sleep(0.1)
        return 130
    finally:
        for member in everyone:
            if hasattr(member, "process"):
                member.end(signal.SIGKILL)


def watch(chief: Member, team: list[Member]) -> int:
    """Starts again who dies, until all workers are through; the number of those that were given up."""
    given_up = 0
    working = list(team)
    while working:
        time.sleep(0.2)
        code = chief.process.poll()
        if code and not chief.restart(code):
            return len(team)
        for member in list(working):
            code = member.process.poll()
            if code is not None and (code == 0 or not member.restart(code)):
                working.remove(member)
                given_up += code != 0
    return given_up


def render(name: str, workers: int, flags: list[str]) -> str:
    """The sweep of `flags` as a file for a cluster: a row of FILES."""
    return {"slurm": slurm, "kubernetes": kubernetes}[name](workers, flags)


def exports(variables: dict[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in variables.items())


def slurm(workers: int, flags: list[str]) -> str:
    sweep = shlex.join(command(flags, "python"))
    data = flags[flags.index("--dataset") + 1] if "--dataset" in flags else "cifar10"
    return f"""\
#!/bin/bash
# Rendered by `python -m experiments.launch --render slurm`; submit it where experiments/ is, with the environment active.
# Where there are GPUs, add: #SBATCH --gpus-per-task=1
# The chief's port has no authentication: leave it to a private network. The directory must be on a shared file system.
# A job that was cut short is submitted again, and goes on.
#SBATCH --job-name=sweep
#SBATCH --ntasks={workers}
#SBATCH --cpus-per-task=4
#SBATCH --time=24:00:00

address=$(hostname)
port=$(({PORT} + SLURM_JOB_ID % 1000))
export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK TF_NUM_INTRAOP_THREADS=$SLURM_CPUS_PER_TASK

# starts a command again until it is through, 20 times at most
persist() {{
    trap 'kill -KILL $child 2>/dev/null; exit' TERM
    for _ in {{1..20}}; do
        "$@" & child=$!
        wait $child && return
        sleep 1
    done
    return 1
}}
export -f persist

python -m experiments.data {data} || exit  # once, before all want it
persist env {exports(environment("chief", "$address", "$port"))} {sweep} &
chief=$!
srun --kill-on-bad-exit=0 bash -c "persist env {exports(environment("worker$SLURM_PROCID", "$address", "$port")).replace("$SLURM", chr(92) + "$SLURM")} {sweep}"
kill $chief  # it may be waiting for a worker that does not come back
wait $chief
{sweep}  # what is left, the report and the best net
"""


def kubernetes(workers: int, flags: list[str]) -> str:
    sweep = command(flags, "python")
    data = flags[flags.index("--dataset") + 1] if "--dataset" in flags else "cifar10"

    def variables(who: str, address: str | None) -> str:
        lines = []
        for name, value in environment(who, address or "", PORT).items():
            if not value:  # the chief listens on its own address alone
                source = ["fieldRef:", "  fieldPath: status.podIP"]
                lines += [f"- name: {name}", "  valueFrom:", *(f"    {line}" for line in source)]
            else:
                lines += [f"- name: {name}", f'  value: "{value}"']
        return "".join(f"                  {line}\n" for line in lines)

    def job(name: str, words: list[str], after: str = "", env: str = "", extra: str = "", probe: str = "") -> str:
        variables = f"                env:\n{env}" if env else ""
        return f"""\
    - name: {name}
{after}      template:
        spec:
{extra}          backoffLimit: 20
          template:
            spec:
              restartPolicy: OnFailure
              containers:
              - name: sweep
                image: keras-resnet-experiments  # one with this checkout in its working directory
                command: [{", ".join(f'"{word}"' for word in words)}]
{variables}{probe}                volumeMounts:
                - name: shared
                  mountPath: /shared
              volumes:
              - name: shared
                persistentVolumeClaim:
                  claimName: sweep
"""

    def depends(name: str, status: str) -> str:
        return f"      dependsOn:\n      - name: {name}\n        status: {status}\n"

    indexed = f"          completionMode: Indexed\n          completions: {workers}\n          parallelism: {workers}\n"
    probe = f"                readinessProbe:\n                  tcpSocket:\n                    port: {PORT}\n"
    ours = [*sweep, "--directory", "/shared/runs", "--data-dir", "/shared/tensorflow_datasets"]
    worker = variables("worker$(JOB_COMPLETION_INDEX)", "sweep-chief-0-0.sweep")
    return f"""\
# Rendered by `python -m experiments.launch --render kubernetes`; it needs JobSet (jobset.sigs.k8s.io) 0.8 and a volume
# claim `sweep` that many can write (ReadWriteMany). Where there are GPUs, give the workers' container
# resources: {{limits: {{nvidia.com/gpu: 1}}}}. An index, and with it a name, outlives the death of its pod.
apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata:
  name: sweep
spec:
  failurePolicy:
    maxRestarts: 3
  replicatedJobs:
{job("data", ["python", "-m", "experiments.data", data, "--data-dir", "/shared/tensorflow_datasets"])}\
{job("chief", ours, depends("data", "Complete"), variables("chief", None), probe=probe)}\
{job("workers", ours, depends("chief", "Ready"), worker, indexed)}\
---
# The chief's port has no authentication: only the pods of the sweep reach it, where the network heeds policies.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: sweep
spec:
  podSelector:
    matchLabels:
      jobset.sigs.k8s.io/jobset-name: sweep
  policyTypes: [Ingress]
  ingress:
  - from:
    - podSelector:
        matchLabels:
          jobset.sigs.k8s.io/jobset-name: sweep
    ports:
    - port: {PORT}
"""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.launch", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--workers", type=int, help="how many; where there are GPUs at most as many as those")
    parser.add_argument("--max-restarts", type=int, default=20, help="of a process in a row while no trial ends")
    parser.add_argument("--address", default="127.0.0.1", help="where the chief listens, unprotected")
    parser.add_argument("--render", choices=FILES, help="print the sweep as a file for that instead")
    parser.add_argument("--directory", type=Path, default=Path("runs"), help="as of experiments.sweep")
    parser.add_argument("--name", default="sweep", help="as of experiments.sweep")
    options, flags = parser.parse_known_args(arguments)
    if options.render:
        if "--overwrite" in flags:
            parser.error("--overwrite would begin anew at each restart: remove the sweep yourself")
        workers = options.workers or EXAMPLE_WORKERS
        print(render(options.render, workers, flags), end="")
        return 0
    if options.workers is None or options.workers < 1:
        parser.error(f"--workers must be a positive integer. Received: {options.workers}")
    try:
        workers = shares(options.workers, gpus(os.environ), len(os.sched_getaffinity(0)))
    except ValueError as error:
        parser.error(str(error))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    flags = ["--directory", str(options.directory), "--name", options.name, *flags]
    directory = options.directory / options.name
    return supervise(workers, flags, directory, address=options.address, limit=options.max_restarts)


if __name__ == "__main__":
    sys.exit(main())
