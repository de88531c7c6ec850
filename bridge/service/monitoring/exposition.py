"""The status document as OpenMetrics or Prometheus text, in pieces that take no long time each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.samples import Sample

from bridge.service.monitoring.metric_table import SECTIONS, Kind, Metric, Section

_PIECE_SAMPLES: Final = 16
"""A quarter of a millisecond on a PC: not much longer than a frame's own way through."""
_END: Final = b"# EOF\n"

_process = ProcessCollector(registry=None)


def content_type(accept: str) -> str:
    """Return the content type that a client with this Accept header gets."""
    return _chosen(accept)[1]


def pieces(document: Mapping[str, Any], accept: str) -> Iterator[bytes]:
    """Yield the text, in the format that the Accept header prefers, piece by piece."""
    encode, _ = _chosen(accept)
    is_ended = False
    for family, samples in _families(document):
        for number, batch in enumerate(_batches(samples)):
            family.samples = batch
            text = encode(_Registry(family))
            if text.endswith(_END):
                text, is_ended = text[: -len(_END)], True
            yield _without_comments(text) if number else text
    if is_ended:
        yield _END


def _chosen(accept: str) -> tuple[Callable[[Any], bytes], str]:
    try:
        return choose_encoder(accept)
    except (TypeError, ValueError):
        # The library compares the version asked for with numbers, also where it is none.
        return choose_encoder("")


class _Registry:
    """One family, in what the encoders take."""

    def __init__(self, family: Family) -> None:
        self._family = family

    def collect(self) -> Iterable[Family]:
        return (self._family,)


def _families(document: Mapping[str, Any]) -> Iterator[tuple[Family, Iterator[Sample]]]:
    """Yield the table's families and the process's own; the samples are made when they are taken."""
    for section in SECTIONS:
        elements = [document] if not section.path else document.get(section.path, ())
        labelled = [(_labels(section, element), element) for element in elements]
        for metric in section.metrics:
            family = Family(metric.name, metric.help, metric.kind.value, metric.unit)
            yield family, _samples(metric, labelled)
    for family in _process.collect():
        yield family, iter(family.samples)


def _batches(samples: Iterator[Sample]) -> Iterator[list[Sample]]:
    """Cut into pieces; one at least, for a family without samples has a name and a type."""
    yield list(islice(samples, _PIECE_SAMPLES))
    while batch := list(islice(samples, _PIECE_SAMPLES)):
        yield batch


def _without_comments(text: bytes) -> bytes:
    """Take off what stands above a family's first samples."""
    while text.startswith(b"#"):
        text = text.partition(b"\n")[2]
    return text


def _labels(section: Section, element: Mapping[str, Any]) -> dict[str, str]:
    return {label: _text(_at(element, path)) for label, path in section.labels.items()}


def _samples(
    metric: Metric, labelled: Iterable[tuple[dict[str, str], Mapping[str, Any]]]
) -> Iterator[Sample]:
    for labels, element in labelled:
        for suffix, more, value in _SAMPLES[metric.kind](metric, element):
            yield Sample(metric.name + suffix, {**labels, **more}, value)


_Values = Iterator[tuple[str, dict[str, str], float]]


def _counted(metric: Metric, element: Mapping[str, Any]) -> _Values:
    value = _at(element, metric.path)
    if not metric.by:
        if value is not None:
            yield "_total", {}, value
    elif value is not None:
        for key in (*metric.keys, *(key for key in value if key not in metric.keys)):
            yield "_total", {metric.by: key}, value.get(key, 0)


def _gauged(metric: Metric, element: Mapping[str, Any]) -> _Values:
    value = metric.measure(_at(element, metric.path))
    if value is not None:
        yield "", {}, value


def _state_of(metric: Metric, element: Mapping[str, Any]) -> _Values:
    state = _at(element, metric.path)
    if state is not None:
        for key in metric.keys:
            yield "", {metric.name: key}, float(key == state)


def _told(metric: Metric, element: Mapping[str, Any]) -> _Values:
    yield "_info", {label: _text(_at(element, path)) for label, path in metric.fields.items()}, 1


_SAMPLES: Final = {
    Kind.COUNTER: _counted,
    Kind.GAUGE: _gauged,
    Kind.STATE_SET: _state_of,
    Kind.INFO: _told,
}


def _at(element: Mapping[str, Any], path: str) -> Any:
    """Return what a path leads to; None where it ends early, as with what is null or not there."""
    value: Any = element
    for key in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def _text(value: object) -> str:
    return "" if value is None else str(value)
