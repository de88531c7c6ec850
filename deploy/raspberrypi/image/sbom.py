"""The bill of materials of an image (CycloneDX 1.5): Debian's packages, and what the package has vendored."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parent.parent / "package"))

from build_deb import package_version  # a folder of scripts, not a package
from wheels import LOCK

Component = Mapping[str, str]


def bill_of_materials(status: str, name: str, epoch_s: int) -> dict[str, Any]:
    """Return the document. `status` is dpkg's file of that name, without RTU Bridge itself."""
    version = package_version()
    own = {"type": "application", "name": "rtu-bridge", "version": version}
    components = [own, *_debian(status), *_vendored(LOCK.read_text(encoding="utf-8"))]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch_s)),
            "component": {"type": "operating-system", "name": name, "version": version},
        },
        "components": components,
    }


def _debian(status: str) -> Iterator[Component]:
    for paragraph in status.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if re.match(r"[\w-]+: ", line))
        if fields.get("Status", "").endswith(" installed"):
            package, version = fields["Package"], fields["Version"]
            purl = f"pkg:deb/debian/{quote(package)}@{quote(version, safe='')}?arch={fields['Architecture']}"
            yield {"type": "library", "name": package, "version": version, "purl": purl}


def _vendored(lock: str) -> Iterator[Component]:
    for name, version in re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", lock, re.MULTILINE):
        purl = f"pkg:pypi/{quote(name.lower())}@{quote(version)}"
        yield {"type": "library", "name": name, "version": version, "purl": purl}
