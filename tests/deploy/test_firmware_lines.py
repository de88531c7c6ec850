"""The lines of config.txt for those of bridge.toml: which, where they stand, when the box starts again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bridge.service.configuration import config
from deploy.raspberrypi.appliance import files, firmware_lines, firstboot, restart
from deploy.raspberrypi.appliance import plan as planning
from deploy.raspberrypi.appliance.apply import apply
from deploy.raspberrypi.appliance.boot_slot import BootSlots
from deploy.raspberrypi.appliance.firmware import Firmware
from deploy.raspberrypi.appliance.firmware_lines import SIZE, USUAL, BootPartition, file_of, wanted
from deploy.raspberrypi.appliance.media import Media
from deploy.raspberrypi.appliance.places import LINES, Places
from deploy.raspberrypi.appliance.slots import Slot, autoboot_text
from hw.board import DEFAULT_BOARD
from hw.boards import BOARDS
from tests.deploy.conftest import DEPLOY

PI_3, PI_4, PI_5 = "Raspberry Pi 3 Model B Plus", "Raspberry Pi 4 Model B Rev 1.4", "Raspberry Pi 5 Model B"
OVERLAYS = frozenset(path.stem for path in (DEPLOY / "overlays").glob("*.dts"))
CONFIG_TXT = "# Ours\narm_64bit=1\nenable_uart=1\n"
PARTITION = BootPartition(CONFIG_TXT, OVERLAYS, file_of(USUAL))
UART3 = ("/dev/rtu-uart3", "rs485")


def toml(*lines: tuple[str, str], board: str = "") -> str:
    parts = [f"[service]\nboard = {board}\n" if board else "", '[server.main]\nlisten = "127.0.0.1:20000"\n']
    for number, (device, direction) in enumerate(lines, 1):
        parts.append(f'[line.l{number}]\ndevice = "{device}"\nbaud = 9600\ndirection = "{direction}"\n')
        parts.append(f'[[outstation]]\nname = "o{number}"\nserver = "main"\nmasters = ["192.0.2.{number}"]\n')
        parts.append(f'line = "l{number}"\nlink_address = {number}\n')
    return "".join(parts)


def asked(
    *lines: tuple[str, str], model: str = PI_4, board: str = "", partition: BootPartition = PARTITION
) -> firmware_lines.Wanted:
    configuration = config.parse(toml(*lines, board=board), "bridge.toml", DEFAULT_BOARD.led_pins)
    return wanted(configuration, model, partition)


# Which


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([("/dev/serial/by-id/usb-x", "automatic")], USUAL),
        ([("/dev/rtu-uart0", "automatic")], ("dtoverlay=disable-bt",)),
        ([("/dev/ttyAMA0", "rs485")], ("dtoverlay=uart0-rs485",)),
        ([("/dev/rtu-uart3", "automatic")], ("dtoverlay=uart3",)),
        ([("/dev/ttyAMA3", "rs485")], ("dtoverlay=uart3-rs485",)),
        (
            [("/dev/ttyAMA5", "rs485"), ("/dev/rtu-uart2", "automatic")],
            ("dtoverlay=uart5-rs485", "dtoverlay=uart2"),
        ),
    ],
)
def test_they_are_those_of_the_lines(lines: list[tuple[str, str]], expected: tuple[str, ...]) -> None:
    assert asked(*lines).lines == expected


def test_every_uart_of_the_boards_gets_what_the_image_has() -> None:
    for board, model in (("pi-3", PI_3), ("pi-4", PI_4)):
        for port in BOARDS[board].ports:
            for direction, lines in port.image_lines.items():
                result = asked((port.link, direction.value), model=model)
                assert result.lines == tuple(line for line in lines if line.startswith("dtoverlay"))
                assert [note for note in result.notes if "no " in note] == []


def test_the_computer_that_it_is_decides_and_not_the_one_that_is_named() -> None:
    result = asked(UART3, model=PI_3, board='["pi-4"]')

    assert result.lines == USUAL
    assert any("bridge.toml says 'pi-4', and this is a 'pi-3'" in note for note in result.notes)


def test_a_hat_brings_lines_of_its_own() -> None:
    result = asked(("/dev/ttyAMA3", "automatic"), board='["waveshare-ipcbox-cm5-a"]')

    assert result.lines == ("gpio=12=op,dh", "dtoverlay=uart3")


def test_where_only_a_pin_is_set_uart0_is_free_all_the_same() -> None:
    result = asked(("/dev/serial/by-id/usb-x", "automatic"), board='["waveshare-ipcbox-cm5-a"]')

    assert result.lines == (*USUAL, "gpio=12=op,dh")


@pytest.mark.parametrize(
    ("line", "model", "board", "said"),
    [
        (("/dev/ttySC0", "automatic"), PI_4, '["waveshare-2ch-rs485-hat"]', "no dtoverlay=sc16is752-spi1"),
        (("/dev/ttyAMA3", "automatic"), PI_5, "", "line l1: this image does not switch /dev/ttyAMA3 on"),
        (("/dev/ttyAMA3", "rts"), PI_4, "", "line l1: this image puts no RTS on /dev/ttyAMA3"),
    ],
)
def test_what_the_image_cannot_do_is_said(line: tuple[str, str], model: str, board: str, said: str) -> None:
    assert any(said in note for note in asked(line, model=model, board=board).notes)


def test_an_overlay_that_the_slot_does_not_have_is_not_named() -> None:
    result = asked(UART3, partition=replace(PARTITION, overlays=OVERLAYS - {"uart3-rs485"}))

    assert result.lines == USUAL
    assert "this image has no dtoverlay=uart3-rs485" in result.notes[0]


# Where


@pytest.mark.parametrize(
    "lines",
    [
        USUAL,
        tuple(f"dtoverlay=uart{n}-rs485" for n in (0, 2, 3, 4, 5))
        + tuple(f"gpio={n}=op,dh" for n in range(10, 20)),
    ],
)
def test_the_file_is_one_sector_long_whatever_is_in_it(lines: tuple[str, ...]) -> None:
    octets = file_of(lines)

    assert len(octets) == SIZE
    assert firmware_lines.statements(octets.decode("ascii")) == list(lines)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="may have 512"):
        file_of(f"dtoverlay=x{number}" for number in range(50))


# When


@dataclass
class Box:
    """A box, its boot slots as folders, and how often it was started again."""

    places: Places
    folder: Path
    media: Media = field(default_factory=Media)
    restarts: int = 0
    forgetful: bool = False

    @contextmanager
    def mounted(self, device: Path) -> Iterator[Path]:
        yield self.folder / device.name

    @contextmanager
    def writable(self, _folder: Path) -> Iterator[None]:
        yield

    def slot(self, number: int = 2) -> Path:
        return self.folder / f"mmcblk0p{number}"

    def lines(self, number: int = 2) -> list[str]:
        return firmware_lines.statements((self.slot(number) / LINES).read_text())

    def firmware(self) -> Firmware:
        return Firmware(self.places, BootSlots(self.media, self.mounted, self.writable), self._start_again)

    def _start_again(self) -> None:
        self.restarts += 1

    def boot(self) -> int:
        """Run the first boot; return how often it started again for it."""
        before = self.restarts
        assert firstboot.run(self.places, self.firmware()) == 0
        if self.forgetful:
            (self.slot() / LINES).write_bytes(file_of(USUAL))
        return self.restarts - before

    def told(self, name: str) -> str:
        path = self.places.card / name
        return path.read_text() if path.exists() else ""


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    places = Places(
        card=tmp_path / "card",
        data=tmp_path / "data",
        kept=tmp_path / "data/rtu-bridge",
        run=tmp_path / "run",
        mounts=tmp_path / "mountinfo",
        cmdline=tmp_path / "cmdline",
        model=tmp_path / "model",
    )
    for folder in (places.card, places.data, places.run):
        folder.mkdir()
    mounts = [
        f"36 25 179:1 / {places.card} ro - vfat /dev/mmcblk0p1 ro",
        f"37 25 179:7 / {places.data} rw - ext4 /dev/mmcblk0p7 rw",
    ]
    places.mounts.write_text("\n".join(mounts) + "\n")
    places.cmdline.write_text("ro bridge.slot=a quiet")
    places.model.write_bytes(PI_4.encode() + b"\0")
    places.autoboot.write_bytes(autoboot_text(Slot.A))
    box = Box(places, tmp_path)
    for number in (2, 3):
        (box.slot(number) / "overlays").mkdir(parents=True)
        (box.slot(number) / "config.txt").write_text(CONFIG_TXT)
        (box.slot(number) / LINES).write_bytes(file_of(USUAL))
        for name in OVERLAYS:
            (box.slot(number) / f"overlays/{name}.dtbo").touch()

    def carry_out(plan: planning.Plan, places: Places, failed: list[str]) -> list[str]:
        return apply(plan, places, failed, name_host=lambda _name: None, writable=box.writable)

    monkeypatch.setattr("deploy.raspberrypi.appliance.apply.apply", carry_out)
    return box


def configure(box: Box, *lines: tuple[str, str]) -> None:
    (box.places.card / "bridge.toml").write_text(toml(*lines))


def test_a_line_on_the_header_makes_the_box_start_again_once(box: Box) -> None:
    configure(box, UART3)

    assert box.boot() == 1
    assert box.lines() == ["dtoverlay=uart3-rs485"]
    assert "the box starts again once" in box.told("bridge.notes.txt")

    assert box.boot() == 0
    assert box.boot() == 0
    assert "dtoverlay=uart3-rs485, for the lines of bridge.toml" in box.told("bridge.notes.txt")
    assert "starts again" not in box.told("bridge.notes.txt")
    assert not (box.places.kept / restart.NAME).exists()


def test_without_such_a_line_it_never_does(box: Box) -> None:
    configure(box, ("/dev/serial/by-id/usb-x", "automatic"))

    assert box.boot() == 0
    assert box.told("bridge.notes.txt") == ""


def test_a_changed_configuration_makes_it_start_again_and_back(box: Box) -> None:
    configure(box, UART3)
    assert [box.boot(), box.boot()] == [1, 0]

    configure(box, ("/dev/serial/by-id/usb-x", "automatic"))
    assert [box.boot(), box.boot()] == [1, 0]
    assert box.lines() == list(USUAL)


def test_a_card_that_forgets_what_was_written_does_not_make_it_start_for_ever(box: Box) -> None:
    configure(box, UART3)
    box.forgetful = True

    assert [box.boot() for _ in range(5)] == [1] * restart.MOST + [0] * (5 - restart.MOST)
    assert "it takes effect at the next power-on" in box.told("bridge.notes.txt")


@pytest.mark.parametrize("count", [b"", b"x", b"-1", b"9999999", bytes(8), "²".encode()])
def test_a_count_that_cannot_be_read_is_too_many(box: Box, count: bytes) -> None:
    files.write(box.places.kept / restart.NAME, count)
    configure(box, UART3)

    assert box.boot() == 0
    assert box.lines() == ["dtoverlay=uart3-rs485"]
    # The next boot finds all in order, and counts from the beginning.
    box.boot()
    configure(box, ("/dev/rtu-uart4", "automatic"))
    assert box.boot() == 1


def test_without_a_data_partition_it_is_written_and_not_started_again(box: Box) -> None:
    box.places.mounts.write_text(box.places.mounts.read_text().splitlines()[0] + "\n")
    configure(box, UART3)

    assert box.boot() == 0
    assert box.lines() == ["dtoverlay=uart3-rs485"]


def test_a_restart_that_cannot_be_counted_is_none(box: Box) -> None:
    box.places.kept.touch()
    configure(box, UART3)

    assert box.boot() == 0
    assert box.lines() == ["dtoverlay=uart3-rs485"]


@pytest.mark.parametrize("autoboot", [autoboot_text(Slot.B), b"", None])
def test_a_system_on_trial_is_not_started_again(box: Box, autoboot: bytes | None) -> None:
    box.places.autoboot.unlink()
    if autoboot is not None:
        box.places.autoboot.write_bytes(autoboot)
    configure(box, UART3)

    assert box.boot() == 0
    assert box.lines() == ["dtoverlay=uart3-rs485"]


def test_the_slot_that_runs_is_the_one_that_is_written(box: Box) -> None:
    box.places.cmdline.write_text("bridge.slot=b")
    box.places.autoboot.write_bytes(autoboot_text(Slot.B))
    configure(box, UART3)

    assert box.boot() == 1
    assert (box.lines(2), box.lines(3)) == (list(USUAL), ["dtoverlay=uart3-rs485"])


def test_an_update_gets_what_its_own_slot_can_do(box: Box) -> None:
    configure(box, UART3, ("/dev/rtu-uart4", "automatic"))
    box.boot()
    (box.slot(3) / "overlays/uart4.dtbo").unlink()

    box.firmware().prepare(Path("/dev/mmcblk0p3"))

    assert box.lines(3) == ["dtoverlay=uart3-rs485"]


def test_an_image_without_our_file_is_left_alone(box: Box) -> None:
    configure(box, UART3)
    for number in (2, 3):
        (box.slot(number) / LINES).unlink()

    assert box.boot() == 0
    box.firmware().prepare(Path("/dev/mmcblk0p3"))

    assert not any((box.slot(number) / LINES).exists() for number in (2, 3))


def test_a_wrong_configuration_changes_nothing_for_the_firmware(box: Box) -> None:
    (box.places.card / "bridge.toml").write_text("[")

    assert box.boot() == 0
    assert box.lines() == list(USUAL)


def test_a_slot_that_cannot_be_read_stops_nothing(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    @contextmanager
    def broken(device: Path) -> Iterator[Path]:
        raise OSError(f"{device} cannot be mounted")
        yield

    configure(box, UART3)
    firmware = Firmware(box.places, BootSlots(Media(), broken, box.writable), box._start_again)

    assert firstboot.run(box.places, firmware) == 0
    assert (box.places.own_run / "bridge.toml").exists()
    assert "mmcblk0p2 cannot be mounted" in capsys.readouterr().err


def test_a_slot_that_takes_too_long_does_not_cost_the_configuration(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def endless(_device: Path) -> Iterator[Path]:
        while True:
            pass
        yield

    configure(box, UART3)
    monkeypatch.setattr(firstboot, "TIME_LIMIT_S", 1)
    firmware = Firmware(box.places, BootSlots(Media(), endless, box.writable), box._start_again)

    assert firstboot.run(box.places, firmware) == 0
    assert (box.places.own_run / "bridge.toml").exists()
    assert not (box.places.own_run / "configuration-error").exists()


def test_a_write_that_does_not_last_is_told_and_no_restart(
    box: Box, capsys: pytest.CaptureFixture[str]
) -> None:
    class Lost(Media):
        def replace(self, path: Path, octets: bytes) -> None:
            pass

    box.media = Lost()
    configure(box, UART3)

    assert box.boot() == 0
    assert "replace the card" in capsys.readouterr().err
    assert "replace the card" in box.told("bridge.notes.txt")


@pytest.mark.parametrize("cut_at", range(3))
def test_a_power_cut_leaves_the_old_lines_or_the_new(
    box: Box, monkeypatch: pytest.MonkeyPatch, cut_at: int
) -> None:
    """Before the count, before the lines, before the restart: the next boots end with the right lines."""

    class CutError(BaseException):
        pass

    steps = iter(range(9))

    def cut(*_arguments: object) -> None:
        if next(steps) == cut_at:
            raise CutError

    class Cut(Media):
        def replace(self, path: Path, octets: bytes) -> None:
            cut()
            super().replace(path, octets)

    noted = restart.note
    monkeypatch.setattr(restart, "note", lambda places: (cut(), noted(places)))
    monkeypatch.setattr(Box, "_start_again", lambda _box: cut())
    box.media = Cut()
    configure(box, UART3)
    with pytest.raises(CutError):
        box.boot()
    assert box.lines() in (list(USUAL), ["dtoverlay=uart3-rs485"])

    monkeypatch.undo()
    box.media = Media()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "deploy.raspberrypi.appliance.apply.apply",
            lambda plan, places, failed: apply(
                plan, places, failed, name_host=lambda _name: None, writable=box.writable
            ),
        )
        assert [box.boot(), box.boot()] in ([1, 0], [0, 0])
    assert box.lines() == ["dtoverlay=uart3-rs485"]


def test_on_a_machine_without_such_firmware_nothing_is_looked_for(box: Box) -> None:
    box.places.model.unlink()
    configure(box, UART3)

    assert box.boot() == 0
    assert box.lines() == list(USUAL)


def test_what_the_firmware_read_is_there_for_the_hardware_command(box: Box) -> None:
    configure(box, UART3)
    box.boot()
    box.boot()

    text = (box.places.own_run / "config.txt").read_text()
    assert text.startswith(CONFIG_TXT)
    assert "dtoverlay=uart3-rs485" in text.splitlines()


def test_the_links_are_those_of_the_udev_rules() -> None:
    rules = (DEPLOY / "udev/70-rtu-bridge.rules").read_text()
    linked = {f"/dev/{name}" for name in re.findall(r'SYMLINK\+="(rtu-uart\d)"', rules)}
    assert {port.link for board in BOARDS.values() for port in board.ports if port.link} == linked
