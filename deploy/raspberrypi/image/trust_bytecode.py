"""Have Python take the compiled modules of a root file system as they are: that never changes.

Compiled with SOURCE_DATE_EPOCH they have a hash of their source, for which every start reads all sources. See
PEP 552: the lowest bit says that there is a hash, the second one that it is to be checked.
"""

from __future__ import annotations

import sys
from pathlib import Path

_FLAGS_AT = 4
_HASHED, _CHECKED = 1, 2


def trust_bytecode(root: Path) -> int:
    """Return how many modules were changed."""
    changed = 0
    for path in root.rglob("*.pyc"):
        with path.open("r+b") as file:
            file.seek(_FLAGS_AT)
            if int.from_bytes(file.read(4), "little") == _HASHED | _CHECKED:
                file.seek(_FLAGS_AT)
                file.write(_HASHED.to_bytes(4, "little"))
                changed += 1
    return changed


if __name__ == "__main__":
    sys.exit(trust_bytecode(Path(sys.argv[1])) == 0)
