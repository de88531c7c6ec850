from dataclasses import FrozenInstanceError
from ipaddress import IPv4Address, IPv6Address

import pytest

from bridge.endpoints.endpoint import Endpoint
from bridge.errors import EndpointError

FORM = "write <address>:<port>, such as '0.0.0.0:20000' or '[::]:20000'"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("10.0.0.1:20000", IPv4Address("10.0.0.1"), 20000),
        ("0.0.0.0:0", IPv4Address("0.0.0.0"), 0),
        ("255.255.255.255:65535", IPv4Address("255.255.255.255"), 65535),
        ("[::1]:20000", IPv6Address("::1"), 20000),
        ("[::]:1", IPv6Address("::"), 1),
        ("[2001:db8::7]:20000", IPv6Address("2001:db8::7"), 20000),
        ("[fe80::1%eth0]:20000", IPv6Address("fe80::1%eth0"), 20000),
    ],
)
def test_parse_and_str_are_inverse(text: str, host: IPv4Address | IPv6Address, port: int) -> None:
    endpoint = Endpoint.parse(text)
    assert (endpoint.host, endpoint.port) == (host, port)
    assert str(endpoint) == text


def test_str_is_the_shortest_spelling() -> None:
    assert str(Endpoint.parse("[2001:0DB8:0:0:0:0:0:7]:20000")) == "[2001:db8::7]:20000"


def test_equal_by_value_hashable_and_immutable() -> None:
    endpoint = Endpoint.parse("10.0.0.1:20000")
    assert endpoint == Endpoint(IPv4Address("10.0.0.1"), 20000)
    assert len({endpoint, Endpoint.parse("10.0.0.1:20000"), Endpoint.parse("10.0.0.1:20001")}) == 2
    with pytest.raises(FrozenInstanceError):
        endpoint.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"'' is not an endpoint; {FORM}"),
        ("20000", f"'20000' is not an endpoint; {FORM}"),
        ("localhost", f"'localhost' is not an endpoint; {FORM}"),
        ("10.0.0.1", "'10.0.0.1' has no port; write '10.0.0.1:20000'"),
        (":20000", "':20000' has no address; write '0.0.0.0:20000' for every IPv4 address"),
        (
            "scada.example:20000",
            "'scada.example:20000': 'scada.example' is a host name, and host names are not looked up; "
            + FORM,
        ),
        (
            "10.0.0.01:20000",
            "'10.0.0.01:20000': '10.0.0.01' is not an IPv4 address "
            f"(four numbers 0 to 255 without leading zeros); {FORM}",
        ),
        (
            "*:20000",
            f"'*:20000': '*' is not an IPv4 address (four numbers 0 to 255 without leading zeros); {FORM}",
        ),
        ("a:b:1", f"'a:b:1': 'a:b' is not an IP address; {FORM}"),
        ("10.0.0.1: 20000", f"'10.0.0.1: 20000' contains white space; {FORM}"),
        ("10.0.0.1:20000\n", f"'10.0.0.1:20000\\n' contains white space; {FORM}"),
        ("10.0.0.1:", "'10.0.0.1:' has no port after the colon; write 0 to 65535, such as 20000"),
        ("[::1]:", "'[::1]:' has no port after the colon; write 0 to 65535, such as 20000"),
        ("10.0.0.1:dnp", "'10.0.0.1:dnp': port 'dnp' is not a number; write 0 to 65535"),
        ("10.0.0.1:-1", "'10.0.0.1:-1': port '-1' is not a number; write 0 to 65535"),
        ("10.0.0.1:２", "'10.0.0.1:２': port '２' is not a number; write 0 to 65535"),
        ("10.0.0.1:65536", "'10.0.0.1:65536': port 65536 is out of range; write 0 to 65535"),
        ("10.0.0.1:020", "'10.0.0.1:020': port '020' has leading zeros; write '20'"),
        ("10.0.0.1:00", "'10.0.0.1:00': port '00' has leading zeros; write '0'"),
        ("::1", "'::1' has an IPv6 address without brackets; write '[::1]:20000'"),
        ("::1:20000", "'::1:20000' has an IPv6 address without brackets; write '[::1]:20000'"),
        ("[::1", "'[::1' has no closing bracket; write '[::1]:20000'"),
        ("[::1]", "'[::1]' has no port; write '[::1]:20000'"),
        ("[::1]20000", "'[::1]20000' has no port; write '[::1]:20000'"),
        ("[zz]:20000", f"'[zz]:20000': 'zz' is not an IPv6 address; {FORM}"),
        ("[10.0.0.1]", "'[10.0.0.1]' has brackets around an IPv4 address; write '10.0.0.1:20000'"),
        ("[10.0.0.1]:7", "'[10.0.0.1]:7' has brackets around an IPv4 address; write '10.0.0.1:7'"),
        (
            "[::ffff:10.0.0.1]:7",
            "'[::ffff:10.0.0.1]:7' is an IPv4 address written as IPv6; write '10.0.0.1:7'",
        ),
        ("224.0.0.1:7", "'224.0.0.1' is a multicast address; write an address of this machine"),
        ("[ff02::1]:7", "'ff02::1' is a multicast address; write an address of this machine"),
    ],
)
def test_refuses_and_says_what_would_be_right(text: str, message: str) -> None:
    with pytest.raises(EndpointError) as caught:
        Endpoint.parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("port", [-1, 65536])
def test_construction_refuses_a_port_out_of_range(port: int) -> None:
    with pytest.raises(EndpointError, match=f"port {port} is out of range; write 0 to 65535"):
        Endpoint(IPv4Address("10.0.0.1"), port)


def test_a_very_long_port_is_out_of_range_and_not_an_int_conversion_error() -> None:
    with pytest.raises(EndpointError, match="is out of range"):
        Endpoint.parse("10.0.0.1:" + "9" * 5000)
