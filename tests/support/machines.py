"""Trees of files that look like /sys, /dev and /proc of a machine."""

from __future__ import annotations

import os
from pathlib import Path

PLATFORM = "sys/devices/platform"


class FakeMachine:
    """A machine below a folder. What is added looks as the kernel and udev show it."""

    def __init__(self, root: Path) -> None:
        """Make an empty machine: no ports, no GPIO, nothing running."""
        self.root = root
        for folder in ("sys/class/tty", "dev", "proc"):
            (root / folder).mkdir(parents=True)
        self.write("proc/cmdline", "root=/dev/mmcblk0p2 rootwait\n")

    def write(self, name: str, text: str) -> None:
        """Write a file of the kernel's."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def link(self, name: str, target: str) -> None:
        """Make a symbolic link; a target in the tree is written relative, as the kernel does."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    def relative(self, name: str, target: str) -> None:
        """Make a link to another place of the tree."""
        self.link(name, os.path.relpath(self.root / target, (self.root / name).parent))

    def uart(self, name: str, *, place: str, driver: str, boot_rs485: bool = False) -> None:
        """Add a UART of the chip, with the controller and the port that newer kernels put between."""
        uart = f"{PLATFORM}/{place}"
        port = f"{uart}/{place}:0/{place}:0.0"
        (self.root / port / "tty" / name).mkdir(parents=True)
        self._driver(uart, driver)
        self._driver(f"{uart}/{place}:0", "ctrl")
        self._driver(port, "port")
        if boot_rs485:
            self.write(f"{uart}/of_node/linux,rs485-enabled-at-boot-time", "")
        self._tty(name, f"{port}/tty/{name}", port)
        self.write(f"sys/class/tty/{name}/flags", "0x2000\n")

    def usb(
        self,
        name: str,
        *,
        ids: str,
        driver: str,
        socket: str,
        serial: str | None = None,
        by_id: str | None = None,
        latency_ms: int | None = None,
    ) -> None:
        """Add a USB adapter with the names that udev makes. `ids` is "0403:6001"."""
        adapter = f"{PLATFORM}/xhci/usb1/1-{socket}"
        port = f"{adapter}/1-{socket}:1.0/{name}"
        (self.root / port / "tty" / name).mkdir(parents=True)
        self._driver(port, driver)
        vendor, product = ids.split(":")
        texts = {"idVendor": vendor, "idProduct": product, "product": "USB Serial", "serial": serial}
        for label, text in texts.items():
            if text is not None:
                self.write(f"{adapter}/{label}", f"{text}\n")
        if latency_ms is not None:
            self.write(f"{port}/latency_timer", f"{latency_ms}\n")
        self._tty(name, f"{port}/tty/{name}", port)
        self.link(f"dev/serial/by-path/platform-xhci-usbv2-0:{socket}:1.0-port0", f"../../{name}")
        self.link(f"dev/serial/by-path/platform-xhci-usb-0:{socket}:1.0-port0", f"../../{name}")
        if by_id is not None:
            self.link(f"dev/serial/by-id/{by_id}", f"../../{name}")

    def gpio_chip(self, number: int, *, place: str, compatible: str, label: str | None = None) -> None:
        """Add a GPIO chip; with a label, as a kernel with the old interface shows it too."""
        chip = f"{PLATFORM}/{place}"
        (self.root / chip / f"gpiochip{number}").mkdir(parents=True)
        self.write(f"{chip}/of_node/compatible", f"{compatible}\0brcm,bcm2835-gpio\0")
        self.relative(f"sys/bus/gpio/devices/gpiochip{number}", f"{chip}/gpiochip{number}")
        self.write(f"dev/gpiochip{number}", "")
        if label is not None:
            self.write(f"sys/class/gpio/gpiochip{512 + number}/label", f"{label}\n")
            self.relative(f"sys/class/gpio/gpiochip{512 + number}/device", chip)

    def process(self, number: int, name: str, *opened: str) -> None:
        """Add a process that has devices open."""
        self.write(f"proc/{number}/comm", f"{name}\n")
        for descriptor, device in enumerate(opened):
            self.link(f"proc/{number}/fd/{descriptor}", device)

    def model(self, text: str) -> None:
        """Let the device tree name the computer."""
        self.write("proc/device-tree/model", f"{text}\0")

    def _tty(self, name: str, tty: str, device: str) -> None:
        self.relative(f"sys/class/tty/{name}", tty)
        self.relative(f"{tty}/device", device)
        self.write(f"dev/{name}", "")

    def _driver(self, place: str, driver: str) -> None:
        (self.root / "sys/bus/drivers" / driver).mkdir(parents=True, exist_ok=True)
        self.relative(f"{place}/driver", f"sys/bus/drivers/{driver}")


def pi_4(root: Path) -> FakeMachine:
    """Return a Pi 4 with a console on its PL011, uart3 in RS-485 mode, two FTDI adapters and two CH340."""
    machine = FakeMachine(root)
    machine.model("Raspberry Pi 4 Model B Rev 1.4")
    machine.uart("ttyAMA0", place="fe201000.serial", driver="uart-pl011")
    machine.uart("ttyAMA3", place="fe201600.serial", driver="uart-pl011", boot_rs485=True)
    machine.uart("ttyS0", place="fe215040.serial", driver="bcm2835-aux-uart")
    machine.link("dev/serial0", "ttyAMA0")
    for number, serial in enumerate(("A50285BI", "A50285BJ")):
        machine.usb(
            f"ttyUSB{number}",
            ids="0403:6001",
            driver="ftdi_sio",
            socket=f"1.{number + 1}",
            serial=serial,
            by_id=f"usb-FTDI_FT232R_USB_UART_{serial}-if00-port0",
            latency_ms=16,
        )
    # Of two CH340, by-id has only one name, which is that of the one plugged in last.
    machine.usb("ttyUSB2", ids="1a86:7523", driver="ch341", socket="1.3")
    machine.usb(
        "ttyUSB10", ids="1a86:7523", driver="ch341", socket="1.4", by_id="usb-1a86_USB_Serial-if00-port0"
    )
    (machine.root / "sys/class/tty/tty0").mkdir()
    machine.write("sys/class/tty/ttyS9/type", "0\n")
    (machine.root / "sys/class/tty/ttyS9/device").mkdir()
    machine.write("proc/cmdline", "console=ttyAMA0,115200 console=tty1 root=PARTUUID=1-02\n")
    machine.write("sys/class/tty/console/active", "tty0 ttyAMA0\n")
    machine.link("etc/systemd/system/getty.target.wants/serial-getty@ttyAMA0.service", "/lib/x.service")
    machine.process(412, "agetty", "/dev/ttyAMA0", "/dev/null")
    machine.gpio_chip(0, place="fe200000.gpio", compatible="brcm,bcm2711-gpio", label="pinctrl-bcm2711")
    machine.gpio_chip(1, place="firmware-gpio", compatible="raspberrypi,firmware-gpio")
    machine.write("sys/class/leds/ACT/trigger", "none timer [mmc0] heartbeat\n")
    machine.write("sys/class/leds/ACT/brightness", "255\n")
    machine.write("boot/firmware/config.txt", "[all]\ndtoverlay=uart3,rs485  # bay1\nenable_uart=1\n")
    return machine
