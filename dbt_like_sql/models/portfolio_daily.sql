/* model
name: portfolio_daily
kind: table
owner: team:trading-platform
grain: account, session
description: An account's worth at the end of each session over all its variants, with the running peak and the
  drawdown from it as a fraction; and what it holds, at last closes.
depends_on: portfolio_worth, positions
audits: equity_is_realised_plus_unrealised, positions_give_the_unrealised
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
),
held AS (
    SELECT
        account,
        session,
        count(*) AS positions,
        coalesce(sum(exposure) FILTER (side > 0), 0) AS long_exposure,
        coalesce(sum(exposure) FILTER (side < 0), 0) AS short_exposure
    FROM positions
    GROUP BY account, session
)
SELECT
    daily.*,
    coalesce(held.positions, 0) AS positions,
    coalesce(held.long_exposure, 0) AS long_exposure,
    coalesce(held.short_exposure, 0) AS short_exposure,
    coalesce(held.long_exposure + held.short_exposure, 0) AS gross_exposure,
    coalesce(held.long_exposure - held.short_exposure, 0) AS net_exposure,
    max(equity) OVER so_far AS peak_equity,
    1 - equity / max(equity) OVER so_far AS drawdown,
    sum(pnl) OVER so_far AS cumulative_pnl
FROM daily
LEFT JOIN held USING (account, session)
WINDOW so_far AS (PARTITION BY account ORDER BY session ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
