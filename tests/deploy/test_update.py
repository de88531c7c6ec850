"""Updates: what is refused before anything is written, and what a power cut leaves at every step.

The firmware is a model here: it boots the slot that autoboot.txt names, or once the other when it was asked.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.raspberrypi.appliance import make_update, signature, update_command
from deploy.raspberrypi.appliance.bundle import Bundle, UpdateError, version_numbers
from deploy.raspberrypi.appliance.commit_command import Committer
from deploy.raspberrypi.appliance.health import Verdict
from deploy.raspberrypi.appliance.media import BLOCK, SECTOR, Media
from deploy.raspberrypi.appliance.places import RESULT, Places
from deploy.raspberrypi.appliance.slots import Slot, autoboot_text, default_slot
from deploy.raspberrypi.appliance.trial import Expected, Note
from deploy.raspberrypi.appliance.update import Image, Installer, check_fits, read_note, slot_to_write

IMAGE = "raspberrypi-arm64"
BOOT_SIZE, ROOT_SIZE = BLOCK + 8 * SECTOR, 2 * BLOCK + 3 * SECTOR
ROOM = 64 * SECTOR

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


def pattern(seed: bytes, size: int) -> bytes:
    return (seed * (size // len(seed) + 1))[:size]


OLD = {"boot": pattern(b"old boot ", BOOT_SIZE), "root": pattern(b"old root ", ROOT_SIZE)}
NEW_ROOT = pattern(b"new root ", ROOT_SIZE)
NEW_BOOT_A = pattern(b"new boot ", BOOT_SIZE)
NEW_BOOT_B = NEW_BOOT_A[:SECTOR] + b"b" * SECTOR + NEW_BOOT_A[2 * SECTOR : -SECTOR] + b"B" * SECTOR
NEW = {Slot.A: {"boot": NEW_BOOT_A, "root": NEW_ROOT}, Slot.B: {"boot": NEW_BOOT_B, "root": NEW_ROOT}}


class PowerCutError(BaseException):
    """The power is off. No `except Exception` may catch it."""


@dataclass
class CutMedia(Media):
    """Media whose power is cut at a write: before it, or with half of it done."""

    cut_at: int | None = None
    half: bool = False
    writes: int = 0
    log: list[str] = field(default_factory=list)

    def _count(self, what: str, half: Callable[[], None] | None = None) -> None:
        self.writes += 1
        self.log.append(what)
        if self.writes == self.cut_at:
            if self.half and half is not None:
                half()
            raise PowerCutError

    def write_at(self, device: Path, offset: int, octets: bytes) -> None:
        torn = octets[: len(octets) // 2]
        self._count(f"{device.name} {offset}", lambda: super(CutMedia, self).write_at(device, offset, torn))
        super().write_at(device, offset, octets)

    def sync(self, device: Path) -> None:
        self._count(f"{device.name} sync")
        super().sync(device)

    def replace(self, path: Path, octets: bytes) -> None:
        # One sector: it is written or not.
        self._count(path.name, lambda: super(CutMedia, self).replace(path, octets))
        super().replace(path, octets)

    def note(self, path: Path, octets: bytes | None) -> None:
        self._count(path.name, lambda: super(CutMedia, self).note(path, octets))
        super().note(path, octets)


@dataclass
class Box:
    """A card with two slots, slot a running, and the firmware that boots it."""

    places: Places
    folder: Path
    is_asked: bool = False

    def device(self, number: int) -> Path:
        return self.folder / f"p{number}"

    def boot(self) -> Slot:
        """Return the slot that the firmware boots now; asking it is over then."""
        default = default_slot(self.places.autoboot.read_bytes())
        slot = default.other if self.is_asked else default
        self.is_asked = False
        return slot

    def holds(self, slot: Slot, content: dict[str, bytes]) -> bool:
        numbers = {"boot": slot.boot_partition, "root": slot.root_partition}
        return all(
            self.device(numbers[name]).read_bytes()[: len(octets)] == octets
            for name, octets in content.items()
        )

    def install(self, update: Path, media: Media) -> None:
        installer = Installer(media, self.device, self.places, lambda _text: None)
        with opened(update, self.places) as bundle:
            slot = slot_to_write(self.places.autoboot.read_bytes(), Slot.A)
            note = installer.install(bundle, slot, Expected(lines_up=frozenset({"bay1"})))
        installer.arm(note)

    def after_boot(self, slot: Slot, verdict: Verdict, media: Media | None = None) -> int:
        def decide(_note: Note | None) -> tuple[Verdict, str]:
            return verdict, "" if verdict is Verdict.COMMIT else "the network is not up"

        return Committer(self.places, media or Media(), writable).after_boot(slot, decide)

    def result(self) -> str:
        path = self.places.card / RESULT
        return path.read_text() if path.exists() else ""


@contextmanager
def writable(_folder: Path) -> Iterator[None]:
    yield


def opened(path: Path, places: Places) -> Bundle:
    return Bundle(path, lambda manifest, sign: signature.verify(manifest, sign, places.signers))


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "key"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


@pytest.fixture(scope="module")
def update(key: Path) -> Path:
    path = key.with_name("update")
    path.write_bytes(make_update.make(IMAGE, "1.10.0", (NEW_BOOT_A, NEW_BOOT_B), NEW_ROOT, key))
    return path


@pytest.fixture
def box(tmp_path: Path, key: Path) -> Box:
    return make_box(tmp_path, key)


def make_box(folder: Path, key: Path) -> Box:
    places = Places(
        card=folder / "card",
        kept=folder / "data",
        signers=folder / "signers",
        bootloader=folder / "bootloader",
        image=folder / "image.json",
        vcio=folder / "vcio",
        tryboot=folder / "answered",
    )
    places.card.mkdir(parents=True)
    places.kept.mkdir()
    places.autoboot.write_bytes(autoboot_text(Slot.A))
    places.signers.write_text(signature.signers_of(key.with_suffix(".pub").read_text()))
    box = Box(places, folder)
    for slot in Slot:
        box.device(slot.boot_partition).write_bytes(OLD["boot"] + bytes(ROOM))
        box.device(slot.root_partition).write_bytes(OLD["root"] + bytes(ROOM))
    return box


def test_an_update_is_tried_and_stays_when_all_is_well(box: Box, update: Path) -> None:
    box.install(update, Media())
    assert box.holds(Slot.B, NEW[Slot.B])
    assert box.holds(Slot.A, OLD)
    box.is_asked = True

    slot = box.boot()
    assert slot is Slot.B
    assert box.after_boot(slot, Verdict.COMMIT) == 0

    assert box.boot() is Slot.B
    assert read_note(box.places) is None
    assert "slot b is well" in box.result()


def test_the_next_update_goes_into_the_first_slot(box: Box, update: Path) -> None:
    box.places.autoboot.write_bytes(autoboot_text(Slot.B))
    installer = Installer(Media(), box.device, box.places, lambda _text: None)
    slot = slot_to_write(box.places.autoboot.read_bytes(), Slot.B)

    with opened(update, box.places) as bundle:
        installer.install(bundle, slot, Expected())

    assert slot is Slot.A
    assert box.holds(Slot.A, NEW[Slot.A])
    assert box.holds(Slot.B, OLD)


def test_an_update_that_is_not_well_is_gone_after_a_reboot(box: Box, update: Path) -> None:
    box.install(update, Media())
    box.is_asked = True
    assert box.after_boot(box.boot(), Verdict.REVERT) == 1

    slot = box.boot()
    assert slot is Slot.A
    assert box.after_boot(slot, Verdict.REVERT) == 0

    assert "1.10.0: the new system was not well: the network is not up" in box.result()
    assert read_note(box.places) is None
    assert box.holds(Slot.A, OLD)


def test_a_firmware_that_does_not_try_it_boots_the_old_one_and_that_is_told(box: Box, update: Path) -> None:
    box.install(update, Media())

    slot = box.boot()
    assert slot is Slot.A
    assert box.after_boot(slot, Verdict.COMMIT) == 0

    assert "did not start" in box.result()
    assert box.boot() is Slot.A


@pytest.mark.parametrize("half", [False, True], ids=["before", "half"])
def test_a_power_cut_at_any_step_of_an_installation_leaves_the_old_system(
    tmp_path: Path, key: Path, update: Path, half: bool
) -> None:
    counting = CutMedia()
    make_box(tmp_path / "counted", key).install(update, counting)
    assert counting.writes > 10

    for step in range(1, counting.writes + 1):
        box = make_box(tmp_path / f"cut-{step}", key)
        with pytest.raises(PowerCutError):
            box.install(update, CutMedia(cut_at=step, half=half))

        # Asked or not: after the power was off, the firmware knows of nothing.
        slot = box.boot()
        what = f"cut at {step}: {counting.log[step - 1]}"
        assert slot is Slot.A, what
        assert box.holds(Slot.A, OLD), what
        assert box.after_boot(slot, Verdict.REVERT) == 0, what
        assert read_note(box.places) is None, what
        # And it can be installed again.
        box.install(update, Media())
        assert box.holds(Slot.B, NEW[Slot.B]), what
        shutil.rmtree(box.folder)


@pytest.mark.parametrize("half", [False, True], ids=["before", "done"])
@pytest.mark.parametrize("verdict", [Verdict.COMMIT, Verdict.REVERT])
def test_a_power_cut_at_any_step_of_a_trial_leaves_a_whole_system(
    tmp_path: Path, key: Path, update: Path, verdict: Verdict, half: bool
) -> None:
    installed = make_box(tmp_path / "installed", key)
    installed.install(update, Media())
    counting = CutMedia()
    make_copy(installed, tmp_path / "counted").after_boot(Slot.B, verdict, counting)
    assert counting.writes >= 2

    for step in range(1, counting.writes + 1):
        box = make_copy(installed, tmp_path / f"cut-{step}")
        with pytest.raises(PowerCutError):
            box.after_boot(Slot.B, verdict, CutMedia(cut_at=step, half=half))

        slot = box.boot()
        assert box.holds(slot, OLD if slot is Slot.A else NEW[Slot.B])
        assert slot is Slot.A or verdict is Verdict.COMMIT
        assert box.after_boot(slot, Verdict.REVERT) == 0
        assert read_note(box.places) is None
        assert box.boot() is slot
        shutil.rmtree(box.folder)


def make_copy(box: Box, folder: Path) -> Box:
    shutil.copytree(box.folder, folder)
    places = Places(card=folder / "card", kept=folder / "data", bootloader=folder / "bootloader")
    return Box(places, folder)


def test_the_default_changes_in_one_write_in_place(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    written: list[bytes] = []
    real = os.pwrite

    def pwrite(descriptor: int, octets: bytes, offset: int) -> int:
        written.append(bytes(octets))
        return real(descriptor, octets, offset)

    before = box.places.autoboot.stat().st_ino
    monkeypatch.setattr(os, "pwrite", pwrite)

    Media().replace(box.places.autoboot, autoboot_text(Slot.B))

    assert written == [autoboot_text(Slot.B)]
    assert len(written[0]) < SECTOR
    assert box.places.autoboot.stat().st_ino == before
    assert default_slot(box.places.autoboot.read_bytes()) is Slot.B


def test_until_it_is_verified_the_slot_is_no_file_system(tmp_path: Path, key: Path, update: Path) -> None:
    class Watched(Media):
        firsts: list[bytes]

        def write_at(self, device: Path, offset: int, octets: bytes) -> None:
            super().write_at(device, offset, octets)
            self.firsts.append((tmp_path / "p3").read_bytes()[:SECTOR])

    box = make_box(tmp_path, key)
    media = Watched()
    media.firsts = []
    box.install(update, media)

    assert set(media.firsts[:-1]) == {bytes(SECTOR)}
    assert media.firsts[-1] == NEW_BOOT_B[:SECTOR]


def test_a_card_that_reads_differently_is_found(box: Box, update: Path) -> None:
    class Forgetful(Media):
        def sync(self, device: Path) -> None:
            super().sync(device)
            if device.name == "p6":
                Media.write_at(self, device, BLOCK, b"x")

    with pytest.raises(UpdateError, match="reads differently"):
        box.install(update, Forgetful())

    assert box.device(3).read_bytes()[:SECTOR] == bytes(SECTOR)
    assert box.boot() is Slot.A


def _flip(at: int) -> Callable[[bytes], bytes]:
    return lambda octets: octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda _octets: b"", "is no update"),
        (lambda octets: b"x" + octets, "is no update"),
        (lambda octets: octets.replace(b"update 1 ", b"update 2 ", 1), "is no update"),
        (lambda _octets: b"rtu-bridge-update 1 999999 1\n", "header is damaged"),
        (lambda octets: octets[:200], "is cut short"),
        (lambda octets: octets.replace(b"1.10.0", b"9.10.0", 1), "is not signed"),
        (lambda octets: octets.replace(b"SSH SIGNATURE", b"SSH SIGNATURF"), "is not signed"),
        (_flip(-1), "root partition is damaged"),
        (_flip(-ROOT_SIZE - 5), "boot partition is damaged"),
        (lambda octets: octets[:-1], "is cut short"),
    ],
)
def test_nothing_is_written_of_a_file_that_is_not_right(
    box: Box, update: Path, tmp_path: Path, spoil: Callable[[bytes], bytes], said: str
) -> None:
    path = tmp_path / "spoilt"
    path.write_bytes(spoil(update.read_bytes()))
    media = CutMedia()

    with pytest.raises(UpdateError, match=said):
        box.install(path, media)

    assert media.log == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda part: part.update(size=BOOT_SIZE - SECTOR, patches={}), "is longer than its manifest says"),
        (lambda part: part.update(size=BOOT_SIZE + SECTOR), "is shorter than its manifest says"),
        (lambda part: part.update(encoding="xz"), "is not as this version knows it"),
        (lambda part: part.update(size=BOOT_SIZE - 1), "is not as this version knows it"),
        (lambda part: part.update(size=True), "is not as this version knows it"),
        (lambda part: part.update(patches={"1": ""}), "is not as this version knows it"),
        (lambda part: part.pop("sha256"), "is not as this version knows it"),
    ],
)
def test_a_manifest_that_lies_is_found(
    key: Path, update: Path, tmp_path: Path, change: Callable[[dict[str, object]], object], said: str
) -> None:
    with Bundle(update, lambda _manifest, _signature: None) as bundle:
        stored = update.read_bytes()[-sum(part.stored for part in bundle.manifest.parts.values()) :]
    header, _, rest = update.read_bytes().partition(b"\n")
    document = json.loads(rest[: int(header.split()[2])])
    change(document["parts"]["boot"])
    manifest = json.dumps(document).encode()
    signed = signature.sign(manifest, key)
    path = tmp_path / "update"
    path.write_bytes(
        b"rtu-bridge-update 1 %d %d\n" % (len(manifest), len(signed)) + manifest + signed + stored
    )

    with pytest.raises(UpdateError, match=said):
        make_box(tmp_path / "box", key).install(path, Media())


def test_a_file_that_somebody_else_signed_is_refused(box: Box, tmp_path: Path) -> None:
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True, timeout=60)
    path = tmp_path / "update"
    path.write_bytes(make_update.make(IMAGE, "2.0", (NEW_BOOT_A, NEW_BOOT_B), NEW_ROOT, other))

    with pytest.raises(UpdateError, match="is not signed with a key of this image"):
        box.install(path, Media())


def test_a_signature_for_another_purpose_is_refused(box: Box, update: Path, key: Path) -> None:
    command = ["ssh-keygen", "-Y", "sign", "-q", "-f", str(key), "-n", "file"]
    signed = subprocess.run(command, input=b"text", check=True, capture_output=True, timeout=60).stdout

    with pytest.raises(UpdateError, match="is not signed"):
        signature.verify(b"text", signed, box.places.signers)
    signature.verify(b"text", signature.sign(b"text", key), box.places.signers)


def test_an_image_may_trust_several_and_an_old_one_no_longer(box: Box, update: Path, tmp_path: Path) -> None:
    keys = [tmp_path / name for name in ("old", "new", "newer")]
    for each in keys:
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(each)], check=True, timeout=60
        )
    trusted = "# of the release\n" + "\n".join(each.with_suffix(".pub").read_text() for each in keys[1:])
    box.places.signers.write_text(signature.signers_of(trusted))

    for each in keys[1:]:
        signature.verify(b"text", signature.sign(b"text", each), box.places.signers)
    with pytest.raises(UpdateError, match="is not signed with a key of this image"):
        signature.verify(b"text", signature.sign(b"text", keys[0]), box.places.signers)


@pytest.mark.parametrize("kind", ["private", "cut", "rsa", "empty", "signers", "other"])
def test_what_is_no_public_key_is_trusted_by_no_image(key: Path, kind: str) -> None:
    public = key.with_suffix(".pub").read_text()
    texts = {
        "private": key.read_text(),
        "cut": public[:40],
        "rsa": public.replace("ssh-ed25519", "ssh-rsa"),
        "empty": "# nobody\n",
        "signers": f"* {public}",
        "other": f"{public}\n* {public}",
    }

    with pytest.raises(UpdateError, match="no public key"):
        signature.signers_of(texts[kind])


def test_without_a_signer_nothing_is_installed(box: Box, update: Path) -> None:
    box.places.signers.unlink()

    with pytest.raises(UpdateError, match="no key of a signer"):
        box.install(update, Media())


def test_partitions_that_are_too_small_are_found_before_anything_is_written(box: Box, update: Path) -> None:
    box.device(6).write_bytes(bytes(ROOT_SIZE - 1))
    media = CutMedia()

    with pytest.raises(UpdateError, match="needs"):
        box.install(update, media)

    assert media.log == []


@pytest.mark.parametrize(
    ("image", "version", "allow_older", "said"),
    [
        (IMAGE, "1.9.9", False, None),
        (IMAGE, "1.10.0", False, "--allow-older"),
        (IMAGE, "1.10.1", False, "--allow-older"),
        (IMAGE, "1.10.1", True, None),
        ("raspberrypi-amd64", "1.0", False, "is for raspberrypi-arm64"),
    ],
)
def test_only_newer_ones_for_this_machine_are_installed(
    box: Box, update: Path, image: str, version: str, allow_older: bool, said: str | None
) -> None:
    with opened(update, box.places) as bundle:
        if said is None:
            check_fits(bundle, Image(image, version), allow_older=allow_older)
        else:
            with pytest.raises(UpdateError, match=said):
                check_fits(bundle, Image(image, version), allow_older=allow_older)


@pytest.mark.parametrize(
    ("autoboot", "said"),
    [
        (None, "autoboot.txt is not"),
        (b"", "autoboot.txt is not"),
        (b"[all]\nboot_partition=2\n", "autoboot.txt is not"),
        (autoboot_text(Slot.B), "on trial"),
    ],
)
def test_nothing_is_installed_while_it_is_unclear_what_would_be_booted(
    autoboot: bytes | None, said: str
) -> None:
    with pytest.raises(UpdateError, match=said):
        slot_to_write(autoboot, Slot.A)


@pytest.mark.parametrize("version", ["", "1", "1.2-rc1", "1..2", "1.2\n", "v1.2", "1.2.3.4.5"])
def test_what_is_no_version(version: str) -> None:
    with pytest.raises(UpdateError, match="which is none"):
        version_numbers(version)


def test_an_update_is_the_same_each_time(key: Path, update: Path) -> None:
    again = make_update.make(IMAGE, "1.10.0", (NEW_BOOT_A, NEW_BOOT_B), NEW_ROOT, key)

    assert again == update.read_bytes()


@pytest.mark.parametrize(
    ("boots", "said"),
    [
        ((NEW_BOOT_A, NEW_BOOT_A[:-SECTOR]), "differ in size"),
        ((NEW_BOOT_A, OLD["boot"]), "differ in 20"),
        ((b"x", b"x"), "no whole sectors"),
    ],
)
def test_boot_partitions_that_do_not_belong_together(
    key: Path, boots: tuple[bytes, bytes], said: str
) -> None:
    with pytest.raises(UpdateError, match=said):
        make_update.make(IMAGE, "1.0", boots, NEW_ROOT, key)


def test_the_command_says_why_it_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(update_command, "can_try", lambda _places: False)

    assert update_command.main([str(tmp_path / "none")]) == 1

    assert "this kernel cannot have the firmware try a slot" in capsys.readouterr().err


@pytest.mark.parametrize(("answered", "can"), [("Y\n", True), ("N\n", False), ("", False), (None, False)])
def test_what_makes_a_trial_possible_is_a_firmware_that_answered_the_module(
    box: Box, answered: str | None, *, can: bool
) -> None:
    if answered is not None:
        box.places.tryboot.write_text(answered)

    assert update_command.can_try(box.places) is can


def test_raspberry_pis_own_kernel_needs_no_module(box: Box) -> None:
    box.places.vcio.touch()

    assert update_command.can_try(box.places)


def test_what_was_written_and_is_not_to_be_tried_is_not_called_interrupted(box: Box, update: Path) -> None:
    installer = Installer(Media(), box.device, box.places, lambda _text: None)
    with opened(update, box.places) as bundle:
        installer.leave(installer.install(bundle, Slot.B, Expected()))

    assert box.after_boot(box.boot(), Verdict.REVERT) == 0
    assert "it was written, and not tried" in box.result()


def test_two_updates_are_not_written_at_one_time(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(update_command, "Places", lambda: Places(run=tmp_path / "run"))

    with update_command._alone(update_command.Places()):
        assert update_command.main([str(tmp_path / "none")]) == 1
    assert "another update is being written" in capsys.readouterr().err
    # The next one is read, and there is none.
    monkeypatch.setattr(update_command, "can_try", lambda _places: False)
    assert update_command.main([str(tmp_path / "none")]) == 1
    assert "another update" not in capsys.readouterr().err


def test_what_runs_is_read_from_the_image(box: Box) -> None:
    with pytest.raises(UpdateError, match="does not say what runs"):
        update_command.installed(box.places)
    box.places.image.write_text(json.dumps({"image": IMAGE, "version": "1.9.0"}))

    assert update_command.installed(box.places) == Image(IMAGE, "1.9.0")


def test_the_builders_command_makes_what_is_installed(box: Box, key: Path, tmp_path: Path) -> None:
    files = {"boot-a": NEW_BOOT_A, "boot-b": NEW_BOOT_B, "root": NEW_ROOT[:-7]}
    arguments = ["--image", IMAGE, "--version", "1.10.0", "--key", str(key)]
    for name, octets in files.items():
        (tmp_path / name).write_bytes(octets)
        arguments += [f"--{name}", str(tmp_path / name)]

    assert make_update.main([*arguments, str(tmp_path / "out")]) == 0

    box.install(tmp_path / "out", Media())
    # What is no whole sector is filled up with zeros.
    assert box.holds(Slot.B, {"boot": NEW_BOOT_B, "root": NEW_ROOT[:-7] + bytes(7)})
