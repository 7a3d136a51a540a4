/* model
name: portfolio_figures
kind: view
owner: team:trading-platform
grain: account, variant, session
description: What an account's books are worth. equity_error is equity less realised and unrealised, pnl_error the change
  of equity since the session before less the session's pnl, both in currency; pnl_share is the session's pnl over the
  equity before it.
depends_on: portfolio_worth, judged
*/
WITH books AS (
    SELECT
        *,
        lag(equity) OVER (PARTITION BY account, variant ORDER BY session) AS equity_before
    FROM portfolio_worth
)
SELECT
    account,
    variant,
    session,
    equity,
    abs(equity - realised - unrealised) AS equity_error,
    abs(equity - equity_before - pnl) AS pnl_error,
    abs(pnl) / nullif(equity - pnl, 0) AS pnl_share
FROM books
WHERE session IN (SELECT session FROM judged)
