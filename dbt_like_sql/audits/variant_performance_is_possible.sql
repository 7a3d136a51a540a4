/* audit
name: variant_performance_is_possible
model: variant_performance
severity: error
description: A horizon appears once for a variant and session, win rates and drawdowns are fractions
*/
SELECT variant, session, horizon, count(*) AS rows, any_value(win_rate) AS win_rate, any_value(max_drawdown) AS max_drawdown
FROM backtest_metrics
GROUP BY variant, session, horizon
HAVING count(*) > 1 OR max(win_rate) > 1 OR min(win_rate) < 0 OR min(max_drawdown) < 0 OR min(num_trades) < 0
