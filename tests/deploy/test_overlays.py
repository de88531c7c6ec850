"""The device-tree overlays, applied to the trees of Debian's kernels, which are read back."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hw.boards import BOARDS
from tests.deploy import device_trees
from tests.deploy.device_trees import Tree, is_enabled, muxed_pins, pulled_up, strings
from tests.support.program import ROOT

# The first run fetches a kernel of 93 MB.
pytestmark = [pytest.mark.wire, pytest.mark.timeout(1200)]

OVERLAYS = ROOT / "deploy/raspberrypi/overlays"
NAMES = sorted(path.stem for path in OVERLAYS.glob("*.dts"))
SUITES = ("trixie", "trixie-backports")
PI3 = ("bcm2837-rpi-3-b", "bcm2837-rpi-3-b-plus", "bcm2837-rpi-zero-2-w", "bcm2837-rpi-cm3-io3")
PI4 = ("bcm2711-rpi-4-b", "bcm2711-rpi-400", "bcm2711-rpi-cm4-io")
WITHOUT_BLUETOOTH = ("bcm2837-rpi-cm3-io3",)
UART0, MINI_UART = "/soc/serial@7e201000", "/soc/serial@7e215040"
BLUETOOTH = f"{UART0}/bluetooth"
AT_BOOT, ACTIVE_LOW = "linux,rs485-enabled-at-boot-time", "rs485-rts-active-low"

Apply = Callable[[str, Sequence[str]], Tree]


def _uart_of(overlay: str) -> str:
    name = overlay.removesuffix("-rs485")
    return "uart0" if name == "disable-bt" else name


def _boards_of(overlay: str) -> tuple[str, ...]:
    return (*PI3, *PI4) if _uart_of(overlay) == "uart0" else PI4


CASES = [(overlay, board) for overlay in NAMES for board in _boards_of(overlay)]


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        reason = f"{name} is not installed; apt-get install device-tree-compiler"
        if os.environ.get("RTU_BRIDGE_REQUIRE_PEERS") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return path


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    _tool("dtc")
    folder = tmp_path_factory.mktemp("overlays")
    done = subprocess.run([OVERLAYS / "build.sh", folder], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


@pytest.fixture(scope="module", params=SUITES)
def trees(request: pytest.FixtureRequest) -> Path:
    _tool("fdtoverlay")
    try:
        return device_trees.debian_trees(request.param)
    except device_trees.UnreachableError as error:
        pytest.skip(f"the trees of {request.param} cannot be had: {error}")


@pytest.fixture
def apply(compiled: Path, trees: Path, tmp_path: Path) -> Apply:
    def applied(board: str, overlays: Sequence[str]) -> Tree:
        result = tmp_path / "applied.dtb"
        files = [compiled / f"{name}.dtbo" for name in overlays]
        command: list[str | Path] = ["fdtoverlay", "-i", trees / f"{board}.dtb", "-o", result, *files]
        subprocess.run(command, check=True, capture_output=True, text=True)
        return device_trees.read(result.read_bytes())

    return applied


@pytest.fixture
def plain(trees: Path) -> Callable[[str], Tree]:
    return lambda board: device_trees.read((trees / f"{board}.dtb").read_bytes())


def _node_of(tree: Tree, overlay: str) -> str:
    return strings(tree["/__symbols__"][_uart_of(overlay)])[0]


def _claimed_twice(tree: Tree) -> list[int]:
    claims = Counter(pin for path in tree if is_enabled(tree, path) for pin in set(muxed_pins(tree, path)))
    return sorted(pin for pin, times in claims.items() if times > 1)


def test_every_overlay_has_a_case() -> None:
    pi4 = [f"uart{number}{end}" for number in (2, 3, 4, 5) for end in ("", "-rs485")]
    assert sorted(["disable-bt", "uart0-rs485", *pi4]) == NAMES


def test_where_debian_cannot_be_reached_the_reason_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if shutil.which("apt-get") is None:
        pytest.skip("no apt here")
    monkeypatch.setenv("RTU_BRIDGE_CACHE", str(tmp_path))
    monkeypatch.setenv("DEBIAN_MIRROR", "http://127.0.0.1:9/debian")
    with pytest.raises(device_trees.UnreachableError, match="apt-get"):
        device_trees.debian_trees("trixie")
    # Nothing half-fetched is taken for the trees the next time.
    assert list((tmp_path / "device-trees").iterdir()) == []


def test_they_compile_to_the_same_octets_again_and_have_no_parameters(compiled: Path, tmp_path: Path) -> None:
    subprocess.run([OVERLAYS / "build.sh", tmp_path], check=True)
    assert sorted(path.stem for path in compiled.iterdir()) == NAMES
    for name in NAMES:
        octets = (compiled / f"{name}.dtbo").read_bytes()
        assert octets == (tmp_path / f"{name}.dtbo").read_bytes()
        assert "/__overrides__" not in device_trees.read(octets)


def test_a_mistake_in_an_overlay_is_an_error_with_its_place(tmp_path: Path) -> None:
    _tool("dtc")
    shutil.copy(OVERLAYS / "build.sh", tmp_path)
    # Compiled with a warning only.
    (tmp_path / "wrong.dts").write_text(
        '/dts-v1/;\n/plugin/;\n&uart3 {\n\tport@1 { status = "okay"; };\n};\n'
    )
    done = subprocess.run(
        [tmp_path / "build.sh", tmp_path / "out"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "wrong.dts:4" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(("overlay", "board"), CASES)
def test_the_uart_is_enabled_on_its_pins(apply: Apply, overlay: str, board: str) -> None:
    tree = apply(board, [overlay])
    (port,) = [each for each in BOARDS["pi-4"].ports if each.name == _uart_of(overlay)]
    pins = port.pins
    assert pins is not None
    node = _node_of(tree, overlay)
    assert is_enabled(tree, node)
    assert strings(tree[node]["pinctrl-names"]) == ["default"]
    with_handshake = overlay.endswith("-rs485")
    assert sorted(muxed_pins(tree, node)) == sorted(pins.named(with_handshake=with_handshake))
    groups = [
        strings(tree["/__symbols__"][label])[0]
        for label in tree["/__symbols__"]
        if label == f"{_uart_of(overlay)}_gpio{pins.tx}"
    ]
    assert [pulled_up(tree, pins.rx, group) for group in groups] == [True]


@pytest.mark.parametrize(("overlay", "board"), CASES)
def test_rs485_is_on_from_boot_where_the_name_says_so(apply: Apply, overlay: str, board: str) -> None:
    tree = apply(board, [overlay])
    node = tree[_node_of(tree, overlay)]
    assert (AT_BOOT in node) is overlay.endswith("-rs485")
    # RTS high while sending: what a driver's DE needs.
    assert ACTIVE_LOW not in node
    assert node.get("rs485-rts-delay", bytes(8)) == bytes(8)


@pytest.mark.parametrize(("overlay", "board"), CASES)
def test_the_kernel_gives_it_the_number_of_its_name(apply: Apply, overlay: str, board: str) -> None:
    tree = apply(board, [overlay])
    number = _uart_of(overlay).removeprefix("uart")
    assert strings(tree["/aliases"][f"serial{number}"]) == [_node_of(tree, overlay)]


@pytest.mark.parametrize(("overlay", "board"), CASES)
def test_no_pin_is_claimed_by_two_devices(apply: Apply, overlay: str, board: str) -> None:
    assert _claimed_twice(apply(board, [overlay])) == []


@pytest.mark.parametrize("board", [*PI3, *PI4])
def test_debians_trees_have_bluetooth_and_the_mini_uart_on(plain: Callable[[str], Tree], board: str) -> None:
    tree = plain(board)
    assert is_enabled(tree, MINI_UART) is (board not in WITHOUT_BLUETOOTH)
    assert (BLUETOOTH in tree) is (board not in WITHOUT_BLUETOOTH)
    assert BLUETOOTH not in tree or is_enabled(tree, BLUETOOTH)
    assert _claimed_twice(tree) == []


@pytest.mark.parametrize("overlay", ["disable-bt", "uart0-rs485"])
@pytest.mark.parametrize("board", [*PI3, *PI4])
def test_bluetooth_and_the_mini_uart_are_off(apply: Apply, overlay: str, board: str) -> None:
    tree = apply(board, [overlay])
    assert not is_enabled(tree, BLUETOOTH)
    assert not is_enabled(tree, MINI_UART)


@pytest.mark.parametrize("board", PI4)
@pytest.mark.parametrize(
    "overlays",
    [
        ("disable-bt", "uart2", "uart3", "uart4", "uart5"),
        ("uart0-rs485", "uart2-rs485", "uart3-rs485", "uart4-rs485", "uart5"),
        ("uart2-rs485", "uart3-rs485", "uart4-rs485", "uart5-rs485"),
    ],
)
def test_together(apply: Apply, board: str, overlays: tuple[str, ...]) -> None:
    tree = apply(board, overlays)
    assert all(is_enabled(tree, _node_of(tree, overlay)) for overlay in overlays)
    assert _claimed_twice(tree) == []


def test_uart5_with_rs485_takes_the_pins_of_uart0(apply: Apply) -> None:
    # hw.assembly refuses these two together; here is why.
    assert _claimed_twice(apply(PI4[0], ["disable-bt", "uart5-rs485"])) == [14, 15]


@pytest.mark.parametrize("overlay", [name for name in NAMES if _boards_of(name) == PI4])
def test_a_pi_3_has_no_such_uart(apply: Apply, overlay: str) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        apply(PI3[0], [overlay])


def test_our_reader_reads_what_fdtget_reads(compiled: Path, trees: Path, tmp_path: Path) -> None:
    fdtget = _tool("fdtget")
    result = tmp_path / "applied.dtb"
    subprocess.run(
        ["fdtoverlay", "-i", trees / f"{PI4[0]}.dtb", "-o", result, compiled / "uart3-rs485.dtbo"], check=True
    )
    tree = device_trees.read(result.read_bytes())
    node = "/soc/serial@7e201600"

    def said(*arguments: str) -> list[str]:
        return subprocess.run([fdtget, *arguments], capture_output=True, text=True, check=True).stdout.split()

    assert said("-p", str(result), node) == list(tree[node])
    assert AT_BOOT in said("-p", str(result), node)
    assert said("-t", "s", str(result), node, "status") == strings(tree[node]["status"]) == ["okay"]
    handles = [str(each) for each in device_trees.cells(tree[node]["pinctrl-0"])]
    assert said("-t", "u", str(result), node, "pinctrl-0") == handles
    assert len(handles) == 2
