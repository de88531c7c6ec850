"""Signatures of updates: Ed25519, by the ssh-keygen that every image with an SSH server has."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Final

from .bundle import UpdateError

NAMESPACE: Final = "rtu-bridge-update"
SIGNER: Final = "rtu-bridge"
_LIMIT_S: Final = 60


def signer_line(public_key: str) -> str:
    """Return the line of the file of signers for a public key as ssh-keygen writes it."""
    kind, key = public_key.split()[:2]
    return f'{SIGNER} namespaces="{NAMESPACE}" {kind} {key}\n'


def verify(manifest: bytes, signature: bytes, signers: Path) -> None:
    """Raise `UpdateError` unless one of the image's signers signed the manifest."""
    if not signers.is_file():
        raise UpdateError("cannot be checked: this image has no key of a signer")
    with tempfile.TemporaryDirectory(prefix="rtu-bridge-update-") as folder:
        path = Path(folder) / "signature"
        path.write_bytes(signature)
        command = ["ssh-keygen", "-Y", "verify", "-q", "-f", str(signers)]
        command += ["-I", SIGNER, "-n", NAMESPACE, "-s", str(path)]
        try:
            done = subprocess.run(command, input=manifest, check=False, capture_output=True, timeout=_LIMIT_S)
        except (OSError, subprocess.SubprocessError) as error:
            raise UpdateError(f"cannot be checked: {error}") from None
    if done.returncode != 0:
        raise UpdateError("is not signed with a key of this image; get it from where the image came from")


def sign(manifest: bytes, key: Path) -> bytes:
    """Return the signature of a manifest. Raises OSError, `subprocess.SubprocessError`."""
    command = ["ssh-keygen", "-Y", "sign", "-q", "-f", str(key), "-n", NAMESPACE]
    return subprocess.run(command, input=manifest, check=True, capture_output=True, timeout=_LIMIT_S).stdout
