"""Sketches: as exact as they say, and as the other side of the wire reads them."""

from __future__ import annotations

from ddsketch.pb.ddsketch_pb2 import DDSketch as Message
from ddsketch.pb.proto import DDSketchProto
from hypothesis import given
from hypothesis import strategies as st

from ddmiddleware.tracing.ddsketch import GAMMA, MAX_BINS, DDSketch

ACCURACY = (GAMMA - 1) / (GAMMA + 1) + 1e-9  # and what floating point takes
# Up to a few hours in nanoseconds: 2048 bins reach from 1 to 2 ** 45.
DURATIONS = st.lists(st.integers(0, 1 << 45), min_size=1, max_size=300)
SHARES = st.sampled_from((0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1))


def sketch_of(values: list[float]) -> DDSketch:
    sketch = DDSketch()
    for value in values:
        sketch.add(value)
    return sketch


def bins(sketch: DDSketch) -> dict[int, float]:
    """Return the filled bins of the encoded sketch."""
    store = Message.FromString(sketch.encode()).positiveValues
    return {
        index: count for index, count in enumerate(store.contiguousBinCounts, store.contiguousBinIndexOffset) if count
    }


def test_accuracy() -> None:
    assert round(ACCURACY, 6) == 0.007752


@given(DURATIONS, SHARES)
def test_quantiles(values: list[int], share: float) -> None:
    sketch = sketch_of(values)  # type: ignore[arg-type]  # lists of integers do as well
    truth = sorted(values)[int(share * (len(values) - 1))]
    assert abs(sketch.quantile(share) - truth) <= ACCURACY * truth
    assert sketch.count == len(values)


@given(DURATIONS, SHARES)
def test_quantiles_of_the_message_in_the_package_ddsketch(values: list[int], share: float) -> None:
    """The agent's sketches-go counts a bin from its lower end, the Python package from its upper: one gamma between."""
    message = Message.FromString(sketch_of(values).encode())  # type: ignore[arg-type]  # as above
    decoded = DDSketchProto.from_proto(message)
    decoded._count = decoded._zero_count + decoded._store.count  # which the package forgets
    truth = sorted(values)[int(share * (len(values) - 1))]
    assert decoded.count == len(values)
    assert abs(decoded.get_quantile_value(share) * GAMMA - truth) <= ACCURACY * truth


def test_the_message_is_that_of_ddtrace() -> None:
    """The bins are what ddtrace 4.16 sends for these values."""
    sketch = sketch_of([1.0, 1.0, 1.0000001, 0.9999, 1000.0, 1.015625, 0.0])
    message = Message.FromString(sketch.encode())
    assert (message.mapping.gamma, message.mapping.indexOffset, message.mapping.interpolation) == (1.015625, 1338.5, 0)
    assert message.zeroCount == 1
    assert bins(sketch) == {1338: 4, 1339: 1, 1784: 1}
    assert message.positiveValues.contiguousBinIndexOffset == 1338
    assert not message.negativeValues.contiguousBinCounts
    assert not message.positiveValues.binCounts


def test_empty() -> None:
    message = Message.FromString(DDSketch().encode())
    assert message.HasField("positiveValues")
    assert message.HasField("negativeValues")
    assert message.zeroCount == DDSketch().count == 0


def test_below_zero_is_zero() -> None:
    sketch = sketch_of([-5, 0, 3])
    assert Message.FromString(sketch.encode()).zeroCount == 2
    assert sketch.quantile(0) == 0


def test_a_small_value_has_a_negative_index() -> None:
    assert bins(sketch_of([1e-300])) == {-43216: 1}


def test_the_lowest_bins_collapse() -> None:
    sketch = sketch_of([GAMMA ** (number - MAX_BINS) for number in range(3 * MAX_BINS)])
    found = bins(sketch)
    assert len(found) == MAX_BINS
    assert sum(found.values()) == sketch.count == 3 * MAX_BINS
    assert found[min(found)] == 2 * MAX_BINS + 1
    assert abs(sketch.quantile(1) / GAMMA ** (2 * MAX_BINS - 1) - 1) <= ACCURACY


def test_two_values_far_apart_make_no_long_message() -> None:
    sketch = sketch_of([1e-300, 1e300])
    assert len(sketch.encode()) < 8 * MAX_BINS + 100
    assert sketch.count == 2
