"""`python3 -I /usr/lib/rtu-bridge/appliance PROGRAM`: repair, firstboot, update, ...: see `_PROGRAMS`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

_PROGRAMS = {
    "repair": "repair",
    "firstboot": "firstboot",
    "update": "update_command",
    "commit": "commit_command",
    "host-key": "host_key",
    "make-update": "make_update",
}


def main() -> int:
    """Run the program that the first argument names, with the others; return its exit status."""
    name, *arguments = sys.argv[1:] or [""]
    if name not in _PROGRAMS:
        print(f"appliance: {name!r} is none of {', '.join(_PROGRAMS)}", file=sys.stderr)
        return 2
    package = Path(__file__).resolve().parent
    # Beside it, where it is installed, is what it checks configurations with.
    sys.path.insert(0, str(package.parent))
    module = importlib.import_module(f"{package.name}.{_PROGRAMS[name]}")
    return int(module.main(arguments))


sys.exit(main())
