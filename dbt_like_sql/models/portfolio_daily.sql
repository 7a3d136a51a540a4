/* model
name: portfolio_daily
kind: table
owner: team:trading-platform
grain: account, session
description: An account's worth at the end of each session over all its variants, with the running peak and the
  drawdown from it as a fraction.
depends_on: portfolio_worth
audits: equity_is_realised_plus_unrealised
*/
WITH daily AS (
    SELECT
        account,
        session,
        count(*) AS variants,
        sum(realised) AS realised,
        sum(unrealised) AS unrealised,
        sum(equity) AS equity,
        sum(pnl) AS pnl,
        sum(trades) AS trades
    FROM portfolio_worth
    GROUP BY account, session
)
SELECT
    *,
    max(equity) OVER so_far AS peak_equity,
    1 - equity / max(equity) OVER so_far AS drawdown,
    sum(pnl) OVER so_far AS cumulative_pnl
FROM daily
WINDOW so_far AS (PARTITION BY account ORDER BY session ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
