"""njit as the replay uses it. Imported lazily, as numba costs about half a second."""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from trading.jit import jit

compiled = jit()

# for what is called from a loop: its code is put into the caller's. An array is seven words, and a call with a handful of
# them costs more than most of what a rule does
inlined = jit(forceinline=True)


@intrinsic  # type: ignore[untyped-decorator]
def bare(_: Any, array: Any) -> Any:
    """`array` without its reference count, for as long as the caller's lives.

    Counting references is atomic, and dearer than most of what a rule does.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        view = make_array(signature.return_type)(context, builder, args[0])
        view.meminfo = cgutils.get_null_value(view.meminfo.type)
        view.parent = cgutils.get_null_value(view.parent.type)
        return view._getvalue()

    return array(array), generate


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(_: Any, array: Any, __: Any) -> Any:
    """Ask for the cache line of an array's element (array, index), which will be needed soon."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = make_array(signature.args[0])(context, builder, args[0]).data
        address = builder.bitcast(builder.gep(data, [args[1]]), cgutils.voidptr_t)
        kind = ir.FunctionType(ir.VoidType(), [address.type, *[ir.IntType(32)] * 3])
        call = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        read, keep, data_cache = (ir.Constant(ir.IntType(32), flag) for flag in (0, 3, 1))
        builder.call(call, [address, read, keep, data_cache])
        return context.get_dummy_value()

    return types.none(array, types.intp), generate


@intrinsic  # type: ignore[untyped-decorator]
def natural(_: Any, __: Any) -> Any:
    """The index, known not to be negative: whether it counts from the end need not be looked at."""

    def generate(_: Any, builder: Any, __: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(1)])
        assume = cgutils.get_or_insert_function(builder.module, kind, "llvm.assume")
        builder.call(assume, [builder.icmp_signed(">=", args[0], ir.Constant(args[0].type, 0))])
        return args[0]

    return types.int64(types.int64), generate


LANES = 8  # rows that `first_touch` looks at


@intrinsic  # type: ignore[untyped-decorator]
def first_touch(_: Any, high: Any, low: Any, __: Any, ___: Any, ____: Any) -> Any:
    """How many of the LANES rows (high, low, row, up, down) come before one with High >= up or Low <= down; LANES if none.

    All of them are read: the arrays must have them. One comparison for all rows leaves the processor no branch to guess.
    """
    lanes = ir.VectorType(ir.DoubleType(), LANES)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def loaded(position: int) -> Any:
            data = make_array(signature.args[position])(context, builder, args[position]).data
            address = builder.bitcast(builder.gep(data, [args[2]]), lanes.as_pointer())
            return builder.load(address, align=8)

        def in_all(value: Any) -> Any:
            filled = ir.Constant(lanes, ir.Undefined)
            for i in range(LANES):
                filled = builder.insert_element(filled, value, ir.Constant(ir.IntType(32), i))
            return filled

        above = builder.fcmp_ordered(">=", loaded(0), in_all(args[3]))
        below = builder.fcmp_ordered("<=", loaded(1), in_all(args[4]))
        bits = builder.bitcast(builder.or_(above, below), ir.IntType(LANES))
        touched = builder.zext(bits, ir.IntType(64))
        stop = builder.or_(touched, ir.Constant(ir.IntType(64), 1 << LANES))
        return builder.cttz(stop, ir.Constant(ir.IntType(1), 1))

    return types.int64(high, low, types.intp, types.float64, types.float64), generate


@intrinsic  # type: ignore[untyped-decorator]
def lowest_bit(_: Any, __: Any) -> Any:
    """Number of the lowest bit that is set in a uint64, which must not be 0."""

    def generate(_: Any, builder: Any, __: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate
