"""Parameters of a variant as the asset pages show them."""

import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trading.variants import Variant


def parameters_markdown(variant: "Variant") -> str:
    """What the variant's strategy does, and a table: name, value, default, kind and meaning of each parameter.

    Values that are not the default are set in bold.
    """
    from trading.strategies.parameter_table import parameters_of, values_of

    values = values_of(variant.params)
    rows = [
        (
            parameter.name,
            values[parameter.name] if values[parameter.name] == parameter.default else f"**{values[parameter.name]}**",
            parameter.default,
            parameter.kind,
            parameter.meaning,
        )
        for parameter in parameters_of(type(variant.params))
    ]
    about = inspect.cleandoc(type(variant.implementation).__doc__ or "").partition("\n\n")[0].replace("\n", " ")
    head = ("parameter", "value", "default", "kind", "meaning")
    lines = [head, ("---",) * len(head), *rows]
    table = "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)
    return f"`{variant.strategy}` on {variant.timeframe}: {about}\n\n{table}\n"
