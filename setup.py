"""The installable package. What it is called and what it needs stands in pyproject.toml."""

from setuptools import setup

setup()
