"""Weights that other projects trained."""
