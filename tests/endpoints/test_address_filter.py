import random
from dataclasses import FrozenInstanceError
from itertools import product

import pytest

from bridge.endpoints.address_filter import AddressFilter
from bridge.errors import FilterError

FORMS = "write an address '10.1.1.5', a wildcard '10.1.*.7' or a network '10.8.0.0/16'"


@pytest.mark.parametrize(
    ("texts", "accepted", "refused"),
    [
        (["any"], ["10.1.1.5", "0.0.0.0", "255.255.255.255", "::1", "fe80::1%eth0", "::ffff:1.2.3.4"], []),
        (["10.1.1.5"], ["10.1.1.5", "::ffff:10.1.1.5"], ["10.1.1.6", "::10.1.1.5", "::1"]),
        (["10.1.1.5", "10.1.1.7"], ["10.1.1.5", "10.1.1.7"], ["10.1.1.6"]),
        (["10.1.*.7"], ["10.1.0.7", "10.1.255.7", "::ffff:10.1.9.7"], ["10.1.1.6", "10.2.1.7"]),
        (["*.*.*.7"], ["0.0.0.7", "255.255.255.7"], ["10.1.1.6", "::7"]),
        (["10.8.0.0/16"], ["10.8.0.0", "10.8.255.255"], ["10.7.255.255", "10.9.0.0"]),
        (["10.8.0.0/13"], ["10.8.0.0", "10.15.255.255"], ["10.7.255.255", "10.16.0.0"]),
        (["0.0.0.0/0"], ["1.2.3.4", "::ffff:1.2.3.4"], ["::1"]),
        (["::/0"], ["::1", "2001:db8::7"], ["1.2.3.4", "::ffff:1.2.3.4"]),
        (["2001:db8::/32"], ["2001:db8::", "2001:db8:ffff::1"], ["2001:db9::", "32.1.13.184"]),
        (["fe80::1"], ["fe80::1", "fe80::1%eth0", "fe80::1%3"], ["fe80::2%eth0"]),
        (["::ffff:10.1.1.5"], ["10.1.1.5", "::ffff:10.1.1.5", "::ffff:10.1.1.5%eth0"], ["10.1.1.6"]),
        (["::ffff:10.8.0.0/112"], ["10.8.1.2"], ["10.9.1.2"]),
        (["10.1.1.5", "10.1.2.*", "2001:db8::/64"], ["10.1.1.5", "10.1.2.9", "2001:db8::9"], ["10.1.3.9"]),
    ],
)
def test_matches(texts: list[str], accepted: list[str], refused: list[str]) -> None:
    address_filter = AddressFilter.parse(texts)
    assert [peer for peer in accepted if not address_filter.matches(peer)] == []
    assert [peer for peer in refused if address_filter.matches(peer)] == []


@pytest.mark.parametrize(
    "peer",
    [
        "",
        " ",
        "10.1.1",
        "10.1.1.5:20000",
        "10.1.1.05",
        "10.1.1.5%eth0",
        "fe80::1%",
        "[::1]",
        "host",
        "\x00",
        "@",
    ],
)
def test_what_is_no_address_is_not_let_in(peer: str) -> None:
    assert not AddressFilter.any().matches(peer)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (AddressFilter.any(), AddressFilter.parse(["any"])),
        (AddressFilter.any(), AddressFilter.parse(["::/0", "0.0.0.0/0"])),
        (AddressFilter.address("10.1.1.5"), AddressFilter.wildcard("10.1.1.5")),
        (AddressFilter.address("10.1.1.5"), AddressFilter.network("10.1.1.5/32")),
        (AddressFilter.address("10.1.1.5"), AddressFilter.address("::ffff:10.1.1.5")),
        (AddressFilter.address("::ffff:10.1.1.5"), AddressFilter.network("::ffff:a01:105/128")),
        (AddressFilter.network("10.8.0.0/16"), AddressFilter.wildcard("10.8.*.*")),
        (AddressFilter.network("10.8.0.0/16"), AddressFilter.network("::ffff:10.8.0.0/112")),
        (AddressFilter.network("0.0.0.0/0"), AddressFilter.wildcard("*.*.*.*")),
        (AddressFilter.network("0.0.0.0/0"), AddressFilter.network("::ffff:0.0.0.0/96")),
        (AddressFilter.addresses(["10.1.1.5", "10.1.1.6"]), AddressFilter.parse(["10.1.1.6", "10.1.1.5"])),
        (AddressFilter.addresses(["10.1.1.5", "10.1.1.5"]), AddressFilter.address("10.1.1.5")),
        (AddressFilter.parse(["10.8.0.0/16", "10.8.3.*", "10.8.1.1"]), AddressFilter.network("10.8.0.0/16")),
        (AddressFilter.parse(["2001:DB8:0::/32"]), AddressFilter.network("2001:db8::/32")),
    ],
)
def test_filters_that_say_the_same_are_equal(one: AddressFilter, other: AddressFilter) -> None:
    assert one == other
    assert hash(one) == hash(other)
    assert str(one) == str(other)


def test_filters_that_differ_are_not_equal() -> None:
    filters = map(
        AddressFilter.parse,
        (["any"], ["0.0.0.0/0"], ["::/0"], ["10.0.0.0/8"], ["10.*.*.7"], ["10.1.1.5"], ["::1"], ["::/96"]),
    )
    assert len(set(filters)) == 8


def test_is_immutable() -> None:
    with pytest.raises(FrozenInstanceError):
        AddressFilter.any().rules = ()  # type: ignore[misc]


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        (["any"], ["10.1.1.5"], "10.1.1.5"),
        (["any"], ["2001:db8::7"], "2001:db8::7"),
        (["10.8.0.0/16"], ["10.*.1.7"], "10.8.1.7"),
        (["10.1.*.*"], ["*.*.2.3"], "10.1.2.3"),
        (["10.8.0.0/16"], ["10.8.128.0/17"], "10.8.128.0"),
        (["10.1.1.5", "10.1.1.6"], ["10.1.1.7", "10.1.1.6"], "10.1.1.6"),
        (["::ffff:10.1.1.5"], ["10.1.1.0/24"], "10.1.1.5"),
        (["10.8.0.0/16"], ["10.9.0.0/16"], None),
        (["10.1.*.7"], ["10.1.*.8"], None),
        (["0.0.0.0/0"], ["::/0"], None),
        (["::ffff:10.1.1.5"], ["::/0"], None),
    ],
)
def test_overlaps(one: list[str], other: list[str], common: str | None) -> None:
    first, second = AddressFilter.parse(one), AddressFilter.parse(other)
    assert first.common_address(second) == second.common_address(first) == common
    assert first.overlaps(second) is second.overlaps(first) is (common is not None)


_UNIVERSE = [f"10.0.{third}.{fourth}" for third, fourth in product(range(8), repeat=2)]


def _random_texts(rng: random.Random) -> list[str]:
    octets = ["*", *map(str, range(8))]
    networks = [
        f"10.0.{third}.{fourth}/{bits}" for third in range(8) for bits in (30, 31) for fourth in (0, 4)
    ]
    wildcards = [f"10.0.{third}.{fourth}" for third, fourth in product(octets, repeat=2)]
    return rng.sample(networks + wildcards, k=rng.randint(1, 4))


def test_overlap_and_canonical_form_agree_with_trying_every_address() -> None:
    rng = random.Random(1815)
    for _ in range(2000):
        one, other = _random_texts(rng), _random_texts(rng)
        first, second = AddressFilter.parse(one), AddressFilter.parse(other)
        in_first = {peer for peer in _UNIVERSE if first.matches(peer)}
        in_second = {peer for peer in _UNIVERSE if second.matches(peer)}
        assert in_first == {p for p in _UNIVERSE if any(AddressFilter.parse([t]).matches(p) for t in one)}
        assert first.overlaps(second) is bool(in_first & in_second)
        common = first.common_address(second)
        assert common is None or (first.matches(common) and second.matches(common))
        assert AddressFilter.parse(first.texts()) == first


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        (["any"], "any"),
        (["10.1.1.5"], "10.1.1.5"),
        (["10.1.*.7"], "10.1.*.7"),
        (["*.1.2.3"], "*.1.2.3"),
        (["10.8.*.*"], "10.8.0.0/16"),
        (["10.8.0.0/13"], "10.8.0.0/13"),
        (["2001:db8::/32", "10.1.2.*", "10.1.1.5"], "10.1.1.5, 10.1.2.0/24, 2001:db8::/32"),
    ],
)
def test_str_and_texts_read_back(texts: list[str], shown: str) -> None:
    address_filter = AddressFilter.parse(texts)
    assert str(address_filter) == shown
    assert AddressFilter.parse(address_filter.texts()) == address_filter
    assert eval(repr(address_filter)) == address_filter


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"'' has no address; {FORMS}"),
        ("/16", f"'/16' has no address; {FORMS}"),
        (" 10.1.1.5", f"' 10.1.1.5' has white space around the address; {FORMS}"),
        ("scada-1.example", f"'scada-1.example' is a host name, and host names are not looked up; {FORMS}"),
        ("10-20.1.1.1", f"'10-20.1.1.1' is not an IP address; {FORMS}"),
        ("１0.1.1.1", f"'１0.1.1.1' is not an IP address; {FORMS}"),
        ("Any", "'Any' stands for everybody; write the list ['any']"),
        ("10.1.1.300", "'10.1.1.300': octet 300 is out of range; write 0 to 255"),
        ("10.1.1." + "9" * 5000, None),
        ("10.1.1.05", "'10.1.1.05': octet 05 has leading zeros; write 5"),
        ("10.1.1.00", "'10.1.1.00': octet 00 has leading zeros; write 0"),
        ("10.1.1", f"'10.1.1' does not have four octets between three dots; {FORMS}"),
        ("10..1.1", f"'10..1.1' does not have four octets between three dots; {FORMS}"),
        ("1.2.3.4.5", f"'1.2.3.4.5' does not have four octets between three dots; {FORMS}"),
        ("10.1.*", "'10.1.*' has 3 of four octets; write '10.1.*.*'"),
        ("10.1.*.", "'10.1.*.' has 3 of four octets; write '10.1.*.*'"),
        ("*", "'*' has 1 of four octets; write '*.*.*.*'"),
        ("10.1.1.*5", "'10.1.1.*5': '*5' mixes digits and '*'; a '*' stands for a whole octet"),
        ("10.8.*.0/16", "'10.8.*.0/16' mixes '*' and a prefix length; write '10.8.*.*' or '10.8.0.0/16'"),
        ("10.8.0.5/16", "'10.8.0.5/16' has host bits set; did you mean '10.8.0.0/16' or '10.8.0.5'?"),
        (
            "2001:db8::1/32",
            "'2001:db8::1/32' has host bits set; did you mean '2001:db8::/32' or '2001:db8::1'?",
        ),
        ("10.8.0.0/33", "'10.8.0.0/33': prefix length 33 is out of range; write 0 to 32"),
        ("2001:db8::/129", "'2001:db8::/129': prefix length 129 is out of range; write 0 to 128"),
        ("10.8.0.0/016", "'10.8.0.0/016': prefix length 016 has leading zeros; write '10.8.0.0/16'"),
        ("10.8.0.0/", "'10.8.0.0/': prefix length '' is not a number; write 0 to 32"),
        ("10.8.0.0/²", "'10.8.0.0/²': prefix length '²' is not a number; write 0 to 32"),
        (
            "10.8.0.0/255.255.0.0",
            "'10.8.0.0/255.255.0.0' has a netmask; write the number of its bits instead: '10.8.0.0/16'",
        ),
        (
            "10.8.0.0/0.0.255.255",
            "'10.8.0.0/0.0.255.255': prefix length '0.0.255.255' is not a number; write 0 to 32",
        ),
        ("2001:db8::*", "'2001:db8::*' is an IPv6 wildcard; write a network, such as '2001:db8::/32'"),
        ("zz::1", "'zz::1' is not an IPv6 address; write one such as '2001:db8::7'"),
        ("[::1]", "'[::1]' has brackets, which only endpoints need; write '::1'"),
        ("fe80::1%eth0", "'fe80::1%eth0' has a scope id, which filters ignore; write 'fe80::1'"),
        (
            "10.1.1.5:20000",
            "'10.1.1.5:20000' has a port, and masters connect from any port; write '10.1.1.5'",
        ),
        (
            "10.1.*.5:20000",
            "'10.1.*.5:20000' has a port, and masters connect from any port; write '10.1.*.5'",
        ),
        ("[::1]:20000", "'[::1]:20000' has a port, and masters connect from any port; write '::1'"),
    ],
)
def test_refuses_and_says_what_would_be_right(text: str, message: str | None) -> None:
    with pytest.raises(FilterError) as caught:
        AddressFilter.parse([text])
    assert message is None or str(caught.value) == message


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], f"an empty filter lets nobody in; {FORMS}, or 'any'"),
        (["any", "10.1.1.5"], "'any' stands beside other entries; write 'any' alone or leave it out"),
        (["any", "any"], "'any' stands beside other entries; write 'any' alone or leave it out"),
        ("any", "'any' is one text where a list is expected; write ['any']"),
    ],
)
def test_parse_refuses_lists(texts: list[str], message: str) -> None:
    with pytest.raises(FilterError) as caught:
        AddressFilter.parse(texts)
    assert str(caught.value) == message


def test_constructors_take_their_own_kind_only() -> None:
    with pytest.raises(FilterError, match="is a wildcard where one address is expected; leave out the"):
        AddressFilter.address("10.1.*.7")
    with pytest.raises(FilterError, match="is a network where one address is expected; leave out the"):
        AddressFilter.addresses(["10.1.1.5", "10.8.0.0/16"])
    with pytest.raises(FilterError, match=r"has no prefix length; write '10\.8\.0\.5/32'"):
        AddressFilter.network("10.8.0.5")
    with pytest.raises(FilterError, match=r"stands for everybody; write the list \['any'\]"):
        AddressFilter.address("any")
    with pytest.raises(FilterError, match="is one text where a list is expected"):
        AddressFilter.addresses("10.1.1.5")
