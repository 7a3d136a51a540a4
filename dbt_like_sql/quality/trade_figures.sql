/* model
name: trade_figures
kind: view
owner: team:trading-platform
grain: variant, session, horizon
description: Trades of a replay. pnl_error is the largest difference between a trade's result and what its prices, its
  quantity and its fees give, in currency; out_of_order counts exits before their entry.
depends_on: backtest_trades, judged
*/
SELECT
    variant,
    session,
    horizon,
    count(*) AS trades,
    max(abs(pnl - (side * qty * (exit_price - entry_price) - fees))) AS pnl_error,
    count(*) FILTER (exit_time < entry_time OR bars_held < 0) AS out_of_order,
    max(abs(pnl)) / nullif(sum(abs(pnl)), 0) AS largest_share
FROM backtest_trades
WHERE session IN (SELECT session FROM judged)
GROUP BY variant, session, horizon
