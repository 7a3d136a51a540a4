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
def lowest_bit(_: Any, __: Any) -> Any:
    """Number of the lowest bit that is set in a uint64, which must not be 0."""

    def generate(_: Any, builder: Any, __: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate
