"""What a sweep's figures come to, in sentences for a person."""

from collections.abc import Iterator

from trading.lab.config import Limits
from trading.lab.findings import SetFindings, SweepFindings


def against(findings: SweepFindings, limits: Limits) -> tuple[str, ...]:
    """What speaks against the best set being more than luck, a sentence each."""
    return tuple(_against(findings, limits))


def _against(findings: SweepFindings, limits: Limits) -> Iterator[str]:
    best = findings.best
    if best is None:
        yield "no set traded and earned a figure to choose by"
        return
    expectancy = best.metrics.get("expectancy")
    if expectancy is None or expectancy <= 0:
        yield f"the best set does not earn: expectancy {_number(expectancy)} a trade"
    over = findings.overfitting
    if over is not None and over.pbo > limits.max_pbo:
        yield (
            f"overfitting is likely: in {over.pbo:.0%} of {over.splits:,} splits the best half the time was no better than the "
            f"median in the other half (limit {limits.max_pbo:.0%})"
        )
    sharpe = best.sharpe
    if sharpe is not None and (sharpe.deflated is None or sharpe.deflated < limits.min_deflated_sharpe):
        yield (
            f"after {sharpe.trials:,} trials a Sharpe ratio above 0 has probability {_share(sharpe.deflated)} "
            f"(limit {limits.min_deflated_sharpe:.0%})"
        )
    earning = best.stability.earning
    if earning is None or earning < limits.min_neighbourhood:
        yield f"{_share(earning)} of {best.stability.neighbours} neighbours earn (limit {limits.min_neighbourhood:.0%})"
    forward = findings.walk_forward
    if forward is not None:
        if forward.expectancy is None or forward.expectancy <= 0:
            yield f"walk-forward does not earn out of sample: expectancy {_number(forward.expectancy)} a trade"
        elif forward.efficiency is None or forward.efficiency < limits.min_walk_forward_efficiency:
            yield (
                f"walk-forward keeps {_share(forward.efficiency)} of its in-sample return "
                f"(limit {limits.min_walk_forward_efficiency:.0%})"
            )
    order = best.fill_order
    if expectancy is not None and expectancy > 0 and (order.worst_expectancy or 0.0) <= 0:
        yield f"the worst order of events inside a bar does not earn: expectancy {_number(order.worst_expectancy)} a trade"


def report(findings: SweepFindings, limits: Limits) -> str:
    """The whole report as text."""
    return "\n".join(_report(findings, limits)) + "\n"


def headline(findings: SweepFindings) -> str:
    """One line: whether the best set may be believed."""
    if findings.against:
        return f"Do not trust the best set: {len(findings.against)} of the examinations speak against it."
    if findings.missing:
        return f"Not known: {', '.join(findings.missing)} could not be examined."
    return "Nothing examined speaks against the best set. That is not yet a reason to trade it."


def _report(findings: SweepFindings, limits: Limits) -> Iterator[str]:
    yield f"Sweep {findings.sweep} of variant {findings.variant}, as of {findings.as_of}"
    if findings.label:
        yield findings.label
    yield (
        f"{findings.sets:,} sets, {findings.distinct:,} of them different, {findings.candidates:,} with a trade; "
        f"{findings.sessions} sessions from {findings.first}; best by {findings.metric}"
    )
    yield ""
    yield headline(findings)
    yield from (f"  - {line}" for line in findings.against)
    yield from (f"  - {name} is not known: {reason}" for name, reason in findings.missing.items())
    if findings.best is not None:
        yield ""
        yield from _set("Best set", findings.best)
    yield ""
    if findings.best is None or findings.best.set != findings.base.set:
        yield from _set(f"The variant itself ({findings.variant})", findings.base)
    else:
        yield f"The variant itself ({findings.variant}) is the best set."
    over, forward = findings.overfitting, findings.walk_forward
    yield ""
    if over is not None:
        slope = "no line" if over.slope is None else f"slope {over.slope:+.2f}"
        yield (
            f"Overfitting (CSCV, {over.blocks} blocks, {over.splits:,} splits): probability {over.pbo:.1%}, loss out of sample "
            f"{over.probability_of_loss:.1%}, out of sample over in sample {slope}"
        )
    if forward is not None:
        yield (
            f"Walk-forward ({forward.folds} folds, {forward.sessions} sessions out of sample): {forward.trades} trades, "
            f"expectancy {_number(forward.expectancy)}, return {forward.total_return:+.2%}, Sharpe {_number(forward.sharpe)}, "
            f"efficiency {_share(forward.efficiency)}"
        )
    yield ""
    yield (
        f"Limits: overfitting at most {limits.max_pbo:.0%}, deflated Sharpe at least {limits.min_deflated_sharpe:.0%}, "
        f"neighbours that earn at least {limits.min_neighbourhood:.0%}, walk-forward efficiency at least "
        f"{limits.min_walk_forward_efficiency:.0%}."
    )


def _set(title: str, item: SetFindings) -> Iterator[str]:
    values = ", ".join(f"{name}={value}" for name, value in item.values.items())
    metrics = item.metrics
    yield f"{title}: set {item.set}, {values}"
    yield (
        f"  {int(metrics['num_trades'] or 0)} trades, net PnL {_number(metrics['net_pnl'])}, expectancy "
        f"{_number(metrics['expectancy'])}, Sharpe {_number(metrics['sharpe'])}, drawdown {_share(metrics['max_drawdown'])}"
    )
    sharpe = item.sharpe
    if sharpe is not None:
        record = sharpe.minimum_track_record
        needed = "no record is long enough" if record is None else f"{record:,.0f} sessions needed for 95 %"
        yield (
            f"  Sharpe above 0: probability {_share(sharpe.probabilistic)} alone, {_share(sharpe.deflated)} after "
            f"{sharpe.trials:,} trials ({_share(sharpe.deflated_independent)} if worth {sharpe.independent_trials:.1f}); {needed}"
        )
    near = item.stability
    yield (
        f"  {near.neighbours} neighbours: {_share(near.earning)} earn, {_share(near.alike)} are as good, plateau "
        f"{_number(near.plateau)}"
    )
    simulated = item.monte_carlo
    if simulated is not None:
        yield (
            f"  Order of trades: drawdown {simulated.actual_drawdown:.1%}, in 5 % of orders above "
            f"{_share(simulated.drawdown['q95'])}; sample of trades: 90 % end between {_number(simulated.final_equity['q05'])} "
            f"and {_number(simulated.final_equity['q95'])}, {simulated.probability_of_loss:.0%} at a loss"
        )
    shown = ", ".join(f"{name} {_number(found['expectancy'])}" for name, found in item.fill_order.assumptions.items())
    yield f"  Order inside a bar, expectancy: {shown}"


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:+,.2f}"


def _share(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.1%}"
