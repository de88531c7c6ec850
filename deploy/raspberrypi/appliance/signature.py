"""Signatures of updates: Ed25519, by the ssh-keygen that every image with an SSH server has."""

from __future__ import annotations

import base64
import binascii
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from .bundle import UpdateError

NAMESPACE: Final = "rtu-bridge-update"
SIGNER: Final = "rtu-bridge"
_LIMIT_S: Final = 60
_KIND: Final = "ssh-ed25519"
_KEY_OCTETS: Final = 32
_BEGIN: Final = len(_KIND).to_bytes(4, "big") + _KIND.encode() + _KEY_OCTETS.to_bytes(4, "big")


def signers_of(public_keys: str) -> str:
    """Return an image's file of signers for public keys, each a line as ssh-keygen writes it to a .pub file.

    Raises `UpdateError` for anything else: nobody is trusted by mistake, and no private key is published.
    """
    lines = [line.strip() for line in public_keys.splitlines()]
    signers = [_signer_line(line) for line in lines if line and not line.startswith("#")]
    if not signers:
        raise UpdateError("has no public key; give the .pub file that ssh-keygen wrote")
    return "".join(signers)


def _signer_line(line: str) -> str:
    kind, _, rest = line.partition(" ")
    key = rest.split(" ")[0]
    try:
        octets = base64.b64decode(key, validate=True)
    except binascii.Error:
        octets = b""
    if kind != _KIND or not octets.startswith(_BEGIN) or len(octets) != len(_BEGIN) + _KEY_OCTETS:
        raise UpdateError("is no public key of Ed25519; give the .pub file that ssh-keygen -t ed25519 wrote")
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
