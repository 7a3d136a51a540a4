"""Arrays side by side: zero, apart from each other, and gone once none is referred to."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.replay import memory
from trading.replay.memory import arrays

LAYOUTS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 300), st.tuples(st.integers(0, 9), st.integers(0, 99))),
        st.sampled_from(["i8", "f8", "i4", "u1"]),
    ),
    max_size=6,
)


@pytest.mark.parametrize("mapped", [False, True])
@given(layout=LAYOUTS)
def test_each_has_its_shape_and_dtype_and_memory_of_its_own(mapped, layout):
    before = memory._WORTH_A_MAPPING
    memory._WORTH_A_MAPPING = 1 if mapped else before
    try:
        made = arrays(*layout)
    finally:
        memory._WORTH_A_MAPPING = before
    assert len(made) == len(layout)
    for array, (shape, dtype) in zip(made, layout, strict=True):
        assert array.shape == (shape if isinstance(shape, tuple) else (shape,))
        assert array.dtype == np.dtype(dtype)
        assert array.flags.writeable and array.flags.c_contiguous and not array.any()
    for number, array in enumerate(made, 1):
        array[...] = number
    for number, array in enumerate(made, 1):
        assert (array == number).all()


def test_the_memory_lasts_as_long_as_one_of_them():
    first, second = arrays((1 << 20, "f8"), (10, "f8"))
    block = weakref.ref(first.base)
    del first
    gc.collect()
    second[:] = 3.0
    assert block() is not None and second.sum() == 30.0
    del second
    gc.collect()
    assert block() is None
