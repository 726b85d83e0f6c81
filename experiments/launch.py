r"""A sweep on several processes: a chief hands out the trials, workers run them, and here they are started again.

    python -m experiments.launch --workers 2 --dataset cifar10 --depths 8 14 20      # and any flag of experiments.sweep
    python -m experiments.launch --render kubernetes --workers 4 --dataset cifar10 > sweep.yaml

Each worker has a name that it keeps, a share of the cores and, where there are GPUs, one of its own. Whoever is killed
is started again under its name and goes on; at most the trials in flight are run again. When the workers are through,
the chief is ended by its pid, and experiments.sweep does what is left: trials of a worker that was given up, the
report, the best net. Kill everything, and the same command goes on. It needs Linux; the files are for any cluster.

The port on which the chief hands out trials asks nobody who he is: whoever reaches it can end or falsify trials. So it
is on the loopback interface; on a cluster keep it within a private network.
"""

import argparse
import ctypes
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from keras_resnet.files import NO_SPACE

FOLDER = Path(__file__).parent / "cluster"  # what is rendered there: render(name, EXAMPLE_WORKERS, EXAMPLE)
EXAMPLE_WORKERS = 4
EXAMPLE = shlex.split(
    "--dataset cifar10 --tuner random --max-trials 100 --widths 1 2 --learning-rates 0.05 0.1 0.2 0.4 "
    "--weight-decays 1e-4 5e-4"
)
FILES = {"slurm": "sweep.sbatch", "kubernetes": "sweep.yaml"}
PORT = 8017


def command(flags: list[str], python: str = sys.executable) -> list[str]:
    return [python, "-m", "experiments.sweep", *flags]


def known(flags: list[str]) -> argparse.Namespace:
    """What the launcher itself has to know of the sweep's flags."""
    parser = argparse.ArgumentParser(prog="python -m experiments.launch", allow_abbrev=False, add_help=False)
    for name, default in (("dataset", "cifar10"), ("name", "sweep"), ("precision", "float32")):
        parser.add_argument(f"--{name}", default=default)
    parser.add_argument("--directory")
    parser.add_argument("--data-dir")
    return parser.parse_known_args(flags)[0]


def prepare(flags: list[str]) -> list[str]:
    """What has the data ready once, before all want it."""
    sweep = known(flags)
    place = [] if sweep.data_dir is None else [f"--data-dir={sweep.data_dir}"]
    return ["python", "-m", "experiments.data", sweep.dataset, *place]


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
        """False where that was too often; SystemExit where the disk is full."""
        if code == NO_SPACE:
            say(f"{self.name} found the disk full: free some, and the same command goes on")
            sys.exit(NO_SPACE)
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
            if code == 0:  # no trial is left
                return subprocess.run(command(later), preexec_fn=die_with_parent).returncode
            if code is not None and (code > 0 or not chief.restart(code)):
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
        if code == 0:  # all trials have ended; a worker that is started again now would ask nobody
            for member in working:
                member.end(signal.SIGKILL)
            break
        for member in list(working):
            code = member.process.poll()
            if code is not None and (code == 0 or not member.restart(code)):
                working.remove(member)
                given_up += code != 0
    return given_up


def render(name: str, workers: int, flags: list[str]) -> str:
    """The sweep of `flags` as a file for a cluster: a row of FILES."""
    return {"slurm": slurm, "kubernetes": kubernetes}[name](workers, flags)


def slurm(workers: int, flags: list[str]) -> str:
    sweep = shlex.join(command(flags, "python"))

    def persists(who: str) -> str:
        """Starts the sweep again, under that name, until it is through or the disk is full."""
        again = f"for _ in {{1..20}}; do {sweep} && break; [ $? = {NO_SPACE} ] && break; sleep 1; done"
        return f"export KERASTUNER_TUNER_ID={who}\n  {again}"

    return f"""\
#!/bin/bash
# Rendered by `python -m experiments.launch --render slurm`: submit it from this checkout, with its environment active
# and --directory on a shared file system; after an end that came too early submit it again. Where there are GPUs, add
# --gpus-per-task=1. The chief's port has no authentication: it belongs in a private network.
#SBATCH --job-name=sweep
#SBATCH --ntasks={workers}
#SBATCH --cpus-per-task=4
#SBATCH --time=24:00:00
set -m  # a process group for each of the two below, which can be ended as a whole

{shlex.join(prepare(flags))} || exit  # once, before all want it
export KERASTUNER_ORACLE_IP=$(hostname) KERASTUNER_ORACLE_PORT=$(({PORT} + SLURM_JOB_ID % 1000))
export no_grpc_proxy=$KERASTUNER_ORACLE_IP OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK  # which srun does not take over since 22.05
(
  export CUDA_VISIBLE_DEVICES=-1
  {persists("chief")}
) &
chief=$!
srun --kill-on-bad-exit=0 bash -c {shlex.quote(persists("worker$SLURM_PROCID"))} &
workers=$!
wait -n  # a chief would wait for a worker that does not come back, and workers for a chief that is gone
kill -KILL -- -$chief
kill -TERM -- -$workers
wait
# what is left, the report and the best net
env -u KERASTUNER_ORACLE_IP {sweep}
"""


def kubernetes(workers: int, flags: list[str]) -> str:
    import yaml

    def job(name: str, words: list[str], *, pods: int = 1, after: dict | None = None, env=(), **container) -> dict:
        shared = {"name": "shared", "persistentVolumeClaim": {"claimName": "sweep"}}
        data = {"name": "TFDS_DATA_DIR", "value": "/shared/tensorflow_datasets"}  # where no --data-dir is given
        image = {"name": "sweep", "image": "keras-resnet-experiments", "command": words, "env": [*env, data]}
        mounts = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}
        pod = {"restartPolicy": "OnFailure", "containers": [image | container | mounts], "volumes": [shared]}
        counts = {"completionMode": "Indexed", "completions": pods, "parallelism": pods, "backoffLimit": 20 * pods}
        order = {"dependsOn": [after]} if after else {}
        return {"name": name, **order, "template": {"spec": {**counts, "template": {"spec": pod}}}}

    def variables(who: str, address: str, name: str, path: str) -> list[dict]:
        """What Kubernetes knows under `path`, as the variable `name`, and what is made of it."""
        source = {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
        return [source, *({"name": key, "value": value} for key, value in environment(who, address, PORT).items())]

    runs = ["--directory", "/shared/runs"] if known(flags).directory is None else []
    sweep = command([*flags, *runs], "python")
    chief = variables("chief", "$(ADDRESS)", "ADDRESS", "status.podIP")  # it listens nowhere else
    index = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    worker = variables("worker$(INDEX)", "sweep-chief-0-0.sweep", "INDEX", index)
    ready = {"tcpSocket": {"port": PORT}}
    jobs = [
        job("data", prepare(flags)),
        job("chief", sweep, after={"name": "data", "status": "Complete"}, env=chief, readinessProbe=ready),
        job("workers", sweep, pods=workers, after={"name": "chief", "status": "Ready"}, env=worker),
    ]
    jobset = {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": "sweep"},
        "spec": {"failurePolicy": {"maxRestarts": 3}, "replicatedJobs": jobs},
    }
    ours = {"matchLabels": {"jobset.sigs.k8s.io/jobset-name": "sweep"}}
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "sweep"},
        "spec": {
            "podSelector": ours,
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": dict(ours)}], "ports": [{"port": PORT}]}],
        },
    }

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data):
            return True

    # kubectl reads YAML 1.2, to which 1e-4 is a number, too: with this such words are quoted
    number = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
    Plain.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+.0123456789"))

    head = """\
# Rendered by `python -m experiments.launch --render kubernetes`. It needs JobSet, a claim `sweep` to a volume that many
# can write, and an image of this checkout with its environment. Where there are GPUs, give the workers' container
# resources: {limits: {nvidia.com/gpu: 1}}. An index, and with it the name of a worker, outlives its pod. The chief's
# port has no authentication: only the pods of the sweep reach it, where the network heeds policies.
"""
    return head + yaml.dump_all([jobset, policy], Dumper=Plain, sort_keys=False, width=1000)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.launch", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--workers", type=int, help="how many; where there are GPUs at most as many as those")
    parser.add_argument("--max-restarts", type=int, default=50, help="of a process in a row while no trial ends")
    parser.add_argument("--address", default="127.0.0.1", help="where the chief listens, unprotected")
    parser.add_argument("--render", choices=FILES, help="print the sweep as a file for that instead")
    options, flags = parser.parse_known_args(arguments)
    sweep = known(flags)
    if sweep.precision == "auto" and (options.render or gpus(os.environ)):
        parser.error(
            "--precision must be float32, bfloat16 or float16 with --render and where there are GPUs: the chief sees "
            "none, and would choose otherwise than the workers. Received: auto"
        )
    if options.render:
        if "--overwrite" in flags:
            parser.error("--overwrite would begin anew at each restart: remove the sweep yourself")
        for flag, place in (("--directory", sweep.directory), ("--data-dir", sweep.data_dir)):
            if options.render == "kubernetes" and place and not place.startswith("/shared/"):
                parser.error(f"{flag} must begin with /shared/: pods share nothing else. Received: {place}")
        from experiments.sweep import parse  # which takes Keras, and seconds

        parse(flags)
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
    directory = Path(sweep.directory or "runs", sweep.name)
    return supervise(workers, flags, directory, address=options.address, limit=options.max_restarts)


if __name__ == "__main__":
    sys.exit(main())
