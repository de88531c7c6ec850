"""Third-party programs and packages that some tests need.

A test whose peer is missing is skipped. With RTU_BRIDGE_REQUIRE_PEERS=1 in the environment it fails instead:
where they ought to be installed, a missing peer must not look like a passed suite.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

REQUIRE = "RTU_BRIDGE_REQUIRE_PEERS"

_REMEDIES = {
    "opendnp3": "pip install yadnp3; there are wheels for x86_64 only",
    "tshark": "apt-get install tshark",
    "socat": "apt-get install socat",
    "ser2net": "apt-get install ser2net",
    "promtool": "make promtool, or apt-get install prometheus",
    "mkfs.vfat": "apt-get install dosfstools",
    "mcopy": "apt-get install mtools",
    "sfdisk": "apt-get install fdisk",
}
_SYSTEM_PROGRAMS = "/usr/local/sbin:/usr/sbin:/sbin"


def require(program: str) -> str:
    """Return the path of a program, or skip (or fail) the test or module that asks."""
    ours = str(Path(sys.executable).parent)
    places = os.pathsep.join((os.environ.get("PATH", os.defpath), _SYSTEM_PROGRAMS, ours))
    path = shutil.which(program, path=places)
    if path is None:
        _missing(program, "is not installed")
    return path


def require_module(name: str) -> ModuleType:
    """Return an imported module, or skip (or fail) the test or module that asks."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        _missing(name, f"cannot be imported ({error})")


def _missing(peer: str, problem: str) -> NoReturn:
    remedy = _REMEDIES.get(peer)
    reason = f"{peer} {problem}" + (f"; {remedy}" if remedy else "")
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(f"{reason} ({REQUIRE}=1)", pytrace=False)
    pytest.skip(reason, allow_module_level=True)
