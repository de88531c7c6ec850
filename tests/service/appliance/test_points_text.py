"""`rtu-bridge points`: the map as a table and as CSV."""

from __future__ import annotations

import csv

import pytest

from bridge.application.measurement import PointKind
from bridge.service.appliance.point_map import blocks_of
from bridge.service.appliance.points_text import as_csv, as_table, general_table
from bridge.service.cli import main
from bridge.service.configuration.config import load
from tests.support.repository import CONFIGURATIONS

FILE = CONFIGURATIONS / "good/appliance.toml"
BOARD_LEDS = {"led1": 17}
BLOCKS = blocks_of(load(FILE, BOARD_LEDS))


def rows() -> list[dict[str, str]]:
    return list(csv.DictReader(as_csv(BLOCKS).splitlines()))


def test_a_row_of_each_kind() -> None:
    found = {(row["kind"], row["index"]): row for row in rows()}
    assert found["binary input", "100"] == {
        "kind": "binary input",
        "index": "100",
        "name": "line bay1: up",
        "class": "1",
        "unit": "",
        "deadband": "",
        "meaning": "1: the port is open",
    }
    assert found["binary input", "30"]["name"] == "input door"
    assert found["binary output", "20"]["name"] == "relay horn"
    assert found["counter", "1004"]["name"] == "outstation pole-12: timeouts"
    assert (found["counter", "1004"]["class"], found["counter", "1003"]["class"]) == ("2", "0")
    frozen = found["frozen counter", "1003"]
    assert (frozen["name"], frozen["class"]) == ("outstation pole-12: answers, frozen", "3")
    temperature = found["analog input", "0"]
    assert (temperature["unit"], temperature["deadband"], temperature["class"]) == ("0.1 °C", "20", "3")


def test_every_point_is_in_it_once_and_in_order() -> None:
    listed = [(row["kind"], int(row["index"])) for row in rows()]
    mapped = {(point.kind.replace("_", " "), point.index) for block in BLOCKS for point in block.points}
    counters = [index for kind, index in listed if kind == "counter"]
    assert {each for each in listed if each[0] != "frozen counter"} == mapped
    assert [index for kind, index in listed if kind == "frozen counter"] == counters
    assert len(listed) == len(set(listed))
    kinds = list(dict.fromkeys(kind for kind, _ in listed))
    assert kinds == ["binary input", "binary output", "counter", "frozen counter", "analog input"]
    for kind in kinds:
        indices = [index for each, index in listed if each == kind]
        assert indices == sorted(indices)


def test_the_table_says_the_same_in_aligned_columns() -> None:
    heading, *lines, _, about = as_table(BLOCKS).splitlines()
    assert heading.split() == ["kind", "index", "name", "class", "unit", "deadband", "meaning"]
    assert about == "Each counter has a frozen counter of the same index, class 3, outside class 0."
    at = {name: heading.index(name) for name in heading.split()}
    plain = [row for row in rows() if row["kind"] != PointKind.FROZEN_COUNTER.replace("_", " ")]
    assert len(lines) == len(plain)
    for line, row in zip(lines, plain, strict=True):
        assert line[at["name"] : at["class"]].strip() == row["name"]
        assert line[at["meaning"] :] == row["meaning"]
        assert line == line.rstrip()


def test_of_any_configuration() -> None:
    (line,) = (line for line in general_table().splitlines() if "RTU answering" in line)
    assert line.startswith("binary input   1001+20N  outstation NAME: RTU answering")


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["points", "-c", str(FILE)]) == 0
    assert capsys.readouterr().out == as_table(blocks_of(load(FILE, {"led1": 16}))) + "\n"
    assert main(["points", "--csv", "--config", str(FILE)]) == 0
    assert capsys.readouterr().out == as_csv(BLOCKS)
    assert main(["points"]) == 0
    assert capsys.readouterr().out == general_table() + "\n"


def test_csv_needs_a_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["points", "--csv"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "rtu-bridge points: --csv needs a configuration; write -c FILE\n")


def test_a_wrong_configuration_is_said_to_be_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["points", "-c", str(CONFIGURATIONS / "bad/local_outstations.toml")]) == 2
    assert "stands beside 'line'" in capsys.readouterr().err
