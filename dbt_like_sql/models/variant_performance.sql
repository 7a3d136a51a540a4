/* model
name: variant_performance
kind: table
owner: team:trading-platform
grain: variant, session
description: What each variant's replays showed as of a session, per horizon, and the stage that it was in after that
  session's decision.
depends_on: backtest_metrics, promotion_decision
audits: variant_performance_is_possible
*/
WITH decided AS (
    -- Several decisions of one session follow each other up or down the ladder: each starts where the one before
    -- ended, so the last is the one whose end no other starts from.
    SELECT d.variant, d.session, d.to_stage
    FROM promotion_decision d
    WHERE NOT EXISTS (
        SELECT 1 FROM promotion_decision n
        WHERE n.variant = d.variant AND n.session = d.session
          AND n.from_stage = d.to_stage AND n.to_stage <> n.from_stage AND n.decision_id <> d.decision_id
    )
),
stages AS (
    SELECT variant, session, max(to_stage) AS stage
    FROM decided
    GROUP BY variant, session
),
per_session AS (
    SELECT
        variant,
        session,
        max(num_trades) FILTER (horizon = '1m') AS trades_1m,
        max(win_rate) FILTER (horizon = '1m') AS win_rate_1m,
        max(profit_factor) FILTER (horizon = '1m') AS profit_factor_1m,
        max(net_pnl) FILTER (horizon = '1m') AS net_pnl_1m,
        max(max_drawdown) FILTER (horizon = '1m') AS max_drawdown_1m,
        max(num_trades) FILTER (horizon = '3m') AS trades_3m,
        max(win_rate) FILTER (horizon = '3m') AS win_rate_3m,
        max(profit_factor) FILTER (horizon = '3m') AS profit_factor_3m,
        max(net_pnl) FILTER (horizon = '3m') AS net_pnl_3m,
        max(max_drawdown) FILTER (horizon = '3m') AS max_drawdown_3m,
        max(num_trades) FILTER (horizon = '6m') AS trades_6m,
        max(win_rate) FILTER (horizon = '6m') AS win_rate_6m,
        max(profit_factor) FILTER (horizon = '6m') AS profit_factor_6m,
        max(net_pnl) FILTER (horizon = '6m') AS net_pnl_6m,
        max(max_drawdown) FILTER (horizon = '6m') AS max_drawdown_6m,
        max(num_trades) FILTER (horizon = '1y') AS trades_1y,
        max(win_rate) FILTER (horizon = '1y') AS win_rate_1y,
        max(profit_factor) FILTER (horizon = '1y') AS profit_factor_1y,
        max(net_pnl) FILTER (horizon = '1y') AS net_pnl_1y,
        max(max_drawdown) FILTER (horizon = '1y') AS max_drawdown_1y,
        max(sharpe) FILTER (horizon = '1y') AS sharpe_1y
    FROM backtest_metrics
    GROUP BY variant, session
)
SELECT p.*, s.stage
FROM per_session p
LEFT JOIN stages s ON s.variant = p.variant AND s.session = p.session
