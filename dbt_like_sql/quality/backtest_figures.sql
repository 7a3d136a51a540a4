/* model
name: backtest_figures
kind: view
owner: team:trading-platform
grain: variant, session, horizon
description: Figures of a replay that lie within bounds if nothing is wrong with its data or its strategy.
depends_on: backtest_metrics, judged
*/
SELECT
    variant,
    session,
    horizon,
    num_trades,
    win_rate,
    max_drawdown,
    abs(sharpe) AS sharpe,
    exposure,
    net_pnl / initial_cash AS net_return
FROM backtest_metrics
WHERE session IN (SELECT session FROM judged)
