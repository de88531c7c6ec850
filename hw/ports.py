"""What serial ports this machine has, by what the kernel says of them in /sys, /dev and /proc.

Nothing is guessed: what cannot be known is None, or says why. Reading changes nothing, with one exception:
`ask_rs485` opens a port for a moment, which raises its RTS and DTR if no program has it open.
"""

import errno
import fcntl
import os
import re
import stat
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hw.boards import usb_adapter
from hw.kernel_files import names_in, text_of

_TIOCGRS485 = 0x542E
_SERIAL_RS485 = struct.Struct("3I20x")
_ENABLED, _RTS_ON_SEND = 1 << 0, 1 << 1
_BOOT_PROPERTY = "linux,rs485-enabled-at-boot-time"
_ASYNC_LOW_LATENCY = 1 << 13
_NO_UART = "0"
"""What /sys/class/tty/ttyS3/type says of a name that the 8250 driver keeps for a port that is not there."""

_NO_MODE = frozenset({errno.ENOTTY, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})
_KINDS = {
    "uart-pl011": "PL011",
    "bcm2835-aux-uart": "mini UART",
    "sc16is7xx": "SC16IS7xx on SPI or I2C",
    "serial8250": "16550",
    "serial": "16550",
}


@dataclass(frozen=True, slots=True)
class UsbIdentity:
    """What a USB adapter says of itself. Ids are lower-case hexadecimal."""

    vendor: str
    product: str
    serial: str | None
    title: str | None


@dataclass(frozen=True, slots=True)
class Rs485Mode:
    """What the driver answers when asked for its RS-485 settings."""

    is_supported: bool | None
    """None: it could not be asked."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialPort:
    """One serial port."""

    device: str
    by_id: tuple[str, ...] = ()
    by_path: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    """Other names in /dev, made by udev or by hand."""
    best: str | None = None
    """The name to write into the configuration; None if no name survives a reboot."""
    why_best: str = ""
    driver: str | None = None
    kind: str | None = None
    """What makes the octets: "PL011", "USB FTDI ..."."""
    usb: UsbIdentity | None = None
    rs485: Rs485Mode
    is_rs485_at_boot: bool = False
    """Whether the device tree switches the RS-485 mode on, so that the bus driver rests in receive."""
    latency_timer_ms: int | None = None
    """How long a USB adapter keeps octets back; None where the driver has no such time."""
    is_low_latency: bool | None = None
    kernel_console: tuple[str, ...] = ()
    """The words of the kernel's command line that put its console here, or "active" if none was found."""
    getty: str | None = None
    """The systemd unit that offers a login here."""
    users: tuple[str, ...] = ()
    """Who has it open: "agetty (412)"."""
    are_users_known: bool = True
    """False if there are processes that this user may not look into."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every path of it."""
        return (self.device, *self.by_id, *self.by_path, *self.aliases)


def ask_rs485(device: str) -> Rs485Mode:
    """Ask the driver of a port for its RS-485 settings. Opens it for a moment; raises nothing."""
    try:
        if not stat.S_ISCHR(os.stat(device).st_mode):
            return Rs485Mode(None, "not asked: no device")
        descriptor = os.open(device, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        return Rs485Mode(None, _not_asked(error))
    try:
        octets = fcntl.ioctl(descriptor, _TIOCGRS485, bytes(_SERIAL_RS485.size))
    except OSError as error:
        if error.errno in _NO_MODE:
            return Rs485Mode(False, "the driver has none")
        return Rs485Mode(None, _not_asked(error))
    finally:
        os.close(descriptor)
    flags, before_ms, after_ms = _SERIAL_RS485.unpack(octets)
    if not flags & _ENABLED:
        return Rs485Mode(True, "the driver has one; it is off")
    level = "raised" if flags & _RTS_ON_SEND else "lowered"
    delays = f"{before_ms} ms before and {after_ms} ms after"
    return Rs485Mode(True, f"the driver has one; it is on: RTS {level} while sending, {delays}")


def _not_asked(error: OSError) -> str:
    reasons = {
        errno.EBUSY: "busy: another program has it for itself",
        errno.EACCES: "no permission; is this user in the group dialout?",
        errno.EPERM: "no permission; is this user in the group dialout?",
        errno.ENOENT: "no device",
    }
    return f"not asked: {reasons.get(error.errno or 0, error.strerror)}"


def serial_ports(
    root: Path = Path("/"), ask: Callable[[str], Rs485Mode] = ask_rs485
) -> tuple[SerialPort, ...]:
    """Return the serial ports of the machine whose file system begins at `root`. Raises nothing."""
    names = [name for name in names_in(root / "sys/class/tty") if _is_port(root / "sys/class/tty" / name)]
    around = _Surroundings(root, names)
    return tuple(_port(name, around, ask) for name in sorted(names, key=_natural))


class _Surroundings:
    """What is found out once for all ports."""

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        self.root = root
        self.links = _links(root)
        self.users, self.are_users_known = _users(root, {f"/dev/{name}" for name in names})
        self.usb = {name: _usb(root / "sys/class/tty" / name) for name in names}
        self.serials = [identity.serial for identity in self.usb.values() if identity is not None]


def _port(name: str, around: _Surroundings, ask: Callable[[str], Rs485Mode]) -> SerialPort:
    root, links, usb = around.root, around.links, around.usb[name]
    tty = root / "sys/class/tty" / name
    device = f"/dev/{name}"
    by_id, by_path, aliases = (links.get((folder, name), ()) for folder in ("by-id", "by-path", ""))
    driver = _driver(tty)
    best, why = _best(device, by_id, by_path, aliases, usb, around.serials)
    return SerialPort(
        device=device,
        by_id=by_id,
        by_path=by_path,
        aliases=aliases,
        best=best,
        why_best=why,
        driver=driver,
        kind=_kind(driver, usb),
        usb=usb,
        rs485=ask(device),
        is_rs485_at_boot=any((place / "of_node" / _BOOT_PROPERTY).exists() for place in _places(tty)),
        latency_timer_ms=_number(tty / "device/latency_timer"),
        is_low_latency=_is_low_latency(tty),
        kernel_console=_console(root, name, aliases),
        getty=_getty(root, name, aliases),
        users=tuple(around.users.get(device, ())),
        are_users_known=around.are_users_known,
    )


def _is_port(tty: Path) -> bool:
    """Whether a tty has hardware: terminals and the 8250 driver's spare names have none."""
    return (tty / "device").exists() and text_of(tty / "type") != _NO_UART


def _places(tty: Path) -> tuple[Path, ...]:
    """Return the tty's device and the two above it: newer kernels put a controller and a port between."""
    place = (tty / "device").resolve()
    return (place, *place.parents[:2])


def _driver(tty: Path) -> str | None:
    links = [place / "driver" for place in _places(tty) if os.path.lexists(place / "driver")]
    names = [os.path.basename(os.readlink(link)) for link in links]
    return next((name for name in names if name not in ("port", "ctrl")), None)


def _usb(tty: Path) -> UsbIdentity | None:
    place = (tty / "device").resolve()
    for above in (place, *place.parents[:3]):
        vendor, product = text_of(above / "idVendor"), text_of(above / "idProduct")
        if vendor and product:
            title = " ".join(
                text for text in (text_of(above / "manufacturer"), text_of(above / "product")) if text
            )
            return UsbIdentity(vendor.lower(), product.lower(), text_of(above / "serial"), title or None)
    return None


def _kind(driver: str | None, usb: UsbIdentity | None) -> str | None:
    if usb is None:
        return _KINDS.get(driver or "")
    adapter = usb_adapter(usb.vendor, usb.product)
    return f"USB {adapter.title}" if adapter is not None else "USB"


def _best(
    device: str,
    by_id: tuple[str, ...],
    by_path: tuple[str, ...],
    aliases: tuple[str, ...],
    usb: UsbIdentity | None,
    serials: Sequence[str | None],
) -> tuple[str | None, str]:
    """Return the name to write into a configuration, and why."""
    alias = next((name for name in aliases if not re.fullmatch(r"/dev/serial\d", name)), None)
    if alias is not None:
        return alias, "an alias that was made for this port"
    if usb is None:
        return device, "a port of the board: its name does not change with what is plugged in"
    adapter = usb_adapter(usb.vendor, usb.product)
    shared = adapter.shared_serials if adapter is not None else ()
    is_own = usb.serial is not None and usb.serial not in shared and serials.count(usb.serial) == 1
    # An adapter with several ports has one serial number for all of them, and an interface in each name.
    if by_id and (is_own or (usb.serial not in (None, *shared) and _is_multiport(by_id[0]))):
        return by_id[0], "it has the adapter's own serial number, so the adapter may move to another socket"
    reason = (
        "no serial number" if usb.serial is None else f"a serial number that others have too ({usb.serial})"
    )
    if by_path:
        return by_path[0], f"the adapter has {reason}: the name is that of the USB socket, where it must stay"
    return None, f"the adapter has {reason}, and udev made no name in by-path; let a udev rule make an alias"


def _is_multiport(link: str) -> bool:
    return re.search(r"-if(?!00-)\d\d", link) is not None or re.search(r"-port[1-9]", link) is not None


def _links(root: Path) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the symbolic links to devices: (folder, name of the tty) to their paths."""
    found: dict[tuple[str, str], list[str]] = {}
    for folder, shown in (("dev/serial/by-id", "by-id"), ("dev/serial/by-path", "by-path"), ("dev", "")):
        for name in names_in(root / folder):
            link = root / folder / name
            if not link.is_symlink():
                continue
            target = os.path.normpath(os.path.join("/", folder, os.readlink(link)))
            if target.startswith("/dev/tty"):
                found.setdefault((shown, os.path.basename(target)), []).append(f"/{folder}/{name}")
    # udev writes a path twice where USB 2 and 3 share a socket; the one that says so is the newer.
    return {key: tuple(sorted(paths, key=lambda path: "usbv" in path)) for key, paths in found.items()}


def _users(root: Path, devices: set[str]) -> tuple[Mapping[str, list[str]], bool]:
    """Return who has which device open, and whether every process could be looked into."""
    found: dict[str, list[str]] = {}
    are_all_known = (root / "proc").is_dir()
    for name in names_in(root / "proc"):
        if not name.isdigit():
            continue
        process = root / "proc" / name
        try:
            opened = {_target(process / "fd" / entry) for entry in os.listdir(process / "fd")}
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        except OSError:
            are_all_known = False
            continue
        for device in sorted(devices & opened):
            found.setdefault(device, []).append(f"{text_of(process / 'comm') or 'process'} ({name})")
    return found, are_all_known


def _target(descriptor: Path) -> str | None:
    try:
        return os.readlink(descriptor)
    except FileNotFoundError:
        return None  # closed meanwhile


def _console(root: Path, name: str, aliases: tuple[str, ...]) -> tuple[str, ...]:
    known = {name, *(os.path.basename(alias) for alias in aliases)}
    words = tuple(
        word
        for word in (text_of(root / "proc/cmdline") or "").split()
        if word.startswith("console=") and word.removeprefix("console=").partition(",")[0] in known
    )
    if words:
        return words
    return ("active",) if name in (text_of(root / "sys/class/tty/console/active") or "").split() else ()


def _getty(root: Path, name: str, aliases: tuple[str, ...]) -> str | None:
    for tty in (name, *(os.path.basename(alias) for alias in aliases)):
        for folder in ("etc/systemd/system", "run/systemd/generator"):
            unit = f"serial-getty@{tty}.service"
            if os.path.lexists(root / folder / "getty.target.wants" / unit):
                return unit
    return None


def _is_low_latency(tty: Path) -> bool | None:
    flags = text_of(tty / "flags")
    try:
        return None if flags is None else bool(int(flags, 0) & _ASYNC_LOW_LATENCY)
    except ValueError:
        return None


def _number(path: Path) -> int | None:
    text = text_of(path)
    return int(text) if text is not None and text.isdecimal() else None


def _natural(name: str) -> tuple[object, ...]:
    return tuple(int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name))
