"""Two Ray nodes on the loopback interface, for the benchmark of the runner and for its tests."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PATIENCE = 120  # seconds until both nodes answer


class Node:
    """A Ray node with one CPU, in a session of processes of its own."""

    def __init__(self, *flags: str):
        ray = Path(sys.executable).with_name("ray")
        self.command = [str(ray), "start", "--block", "--num-cpus=1", "--object-store-memory=100000000", *flags]
        self.start()

    def start(self) -> None:
        quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.process = subprocess.Popen([*self.command, "--disable-usage-stats"], start_new_session=True, **quiet)  # type: ignore[call-overload]

    def processes(self, pattern: str = ".") -> list[int]:
        """The processes of the session whose command matches a pattern, also after the first one has ended."""
        command = ["pgrep", "-s", str(self.process.pid), "-f", pattern]
        return [int(pid) for pid in subprocess.run(command, capture_output=True, text=True).stdout.split()]

    def end(self) -> None:
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def count_nodes(address: str) -> int:
    """The number of nodes of the cluster that are alive; 0 if nothing answers."""
    program = f"import ray; ray.init({address!r}, logging_level='ERROR'); print(sum(n['Alive'] for n in ray.nodes()))"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout
    return int(out.strip() or 0)


@contextlib.contextmanager
def two_nodes(**environment: str) -> Iterator[tuple[str, list[Node]]]:
    """A cluster of two nodes with a new token; yields its address and the nodes. Sets environment variables."""
    os.environ.update(environment, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with tempfile.TemporaryDirectory(prefix="ray") as temporary:  # a short path: it contains Ray's sockets
        flags = [f"--port={address.rpartition(':')[2]}", f"--temp-dir={temporary}", "--include-dashboard=false"]
        nodes = [Node("--head", "--node-ip-address=127.0.0.1", *flags)]
        try:
            time.sleep(5)  # the second node does not wait for the first
            nodes.append(Node(f"--address={address}", "--node-ip-address=127.0.0.2"))
            end = time.monotonic() + PATIENCE
            while count_nodes(address) < 2:
                if time.monotonic() > end:
                    raise TimeoutError(f"the two Ray nodes did not answer in {PATIENCE} s")
            yield address, nodes
        finally:
            for node in reversed(nodes):
                node.end()
