"""For what the package is built: Debian architectures, and the Pythons of the Debian releases."""

from __future__ import annotations

from typing import Final

PYTHONS: Final = {"bookworm": "3.11", "trixie": "3.13"}
"""One package serves both: an extension module's file name says for which Python it is."""

MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
"""Debian's name of an architecture to that of the wheels."""

_MANYLINUX: Final = ("manylinux2014", "manylinux_2_17", "manylinux_2_28", "manylinux_2_34")


def pip_options(architecture: str, python: str) -> list[str]:
    """Return the options that make `pip download` fetch wheels for another machine than this one."""
    tag = f"cp{python.replace('.', '')}"
    platforms = [f"--platform={glibc}_{MACHINES[architecture]}" for glibc in _MANYLINUX]
    abis = [f"--abi={abi}" for abi in (tag, "abi3", "none")]
    options = ["--no-deps", "--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
    return [*options, *abis, *platforms]
