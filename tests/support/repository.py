"""Where things lie in this repository, and what its README says."""

from __future__ import annotations

from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONFIGURATIONS = ROOT / "tests/config"
"""Files that must load, in `good`, and files that must be refused, in `bad`."""


@cache
def readme() -> str:
    """Return the text of README.md."""
    return (ROOT / "README.md").read_text(encoding="utf-8")


def readme_section(title: str) -> str:
    """Return what README.md says under a heading of the second level."""
    _, found, rest = readme().partition(f"\n## {title}\n")
    assert found, f"the README has no section {title!r}"
    return rest.partition("\n## ")[0]


def readme_toml(after: str) -> str:
    """Return the first TOML that README.md shows after a text."""
    _, found, rest = readme().partition(after)
    _, fence, block = rest.partition("\n```toml\n")
    assert found, f"the README does not say {after!r}"
    assert fence, f"the README shows no TOML after {after!r}"
    return block.partition("```")[0]
