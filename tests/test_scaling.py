"""The arithmetic of `python -m experiments.scaling`."""

import pytest

from experiments import scaling
from experiments.scaling import Link, Net

NET = Net(parameters=1_000_000, norms=10, channels=1000)


def test_gradients_go_round_a_ring():
    """Two devices send all gradients once; many send them nearly twice, in as many messages as there are devices."""
    free = Link(gigabytes=1, microseconds=0)
    assert scaling.gradient_seconds(NET, 2, free) == pytest.approx(4e6 / 1e9)
    assert scaling.gradient_seconds(NET, 1000, free) == pytest.approx(2 * 4e6 / 1e9, rel=2e-3)
    slow = Link(gigabytes=1e9, microseconds=5)
    assert scaling.gradient_seconds(NET, 9, slow) == pytest.approx(16 * 5e-6, rel=1e-3)


def test_synchronized_norms_wait_for_messages():
    slow = Link(gigabytes=1e9, microseconds=5)
    assert scaling.norm_seconds(NET, 8, slow) == pytest.approx(2 * 10 * 2 * 3 * 5e-6)


def test_the_table(capsys):
    """ResNet-50 has 53 BN of 26,560 channels."""
    assert scaling.resnet50() == Net(25_557_032, 53, 26_560)
    assert scaling.main([]) == 0
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()]
    assert [row[0].strip() for row in rows[2:]] == ["1", "8", "64", "1024"]
    shares = [float(row[6].strip(" %")) for row in rows[2:]]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 100


@pytest.mark.slow
def test_it_measures(capsys):
    assert scaling.main(["--measure", "1", "2", "--rounds", "1"]) == 0
    assert "| 1 | " in capsys.readouterr().out
