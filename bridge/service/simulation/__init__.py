"""Simulated RTUs, and the demonstration that polls some of them."""
