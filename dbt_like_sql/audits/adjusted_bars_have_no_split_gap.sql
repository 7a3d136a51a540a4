/* audit
name: adjusted_bars_have_no_split_gap
model: daily_bars_adjusted
severity: warning
description: No session opens at less than half or more than twice the close of the session before, on one share count
*/
WITH followed AS (
    SELECT
        Symbol,
        session,
        Open,
        lag(Close) OVER (PARTITION BY Symbol ORDER BY session) AS previous_close,
        session - lag(session) OVER (PARTITION BY Symbol ORDER BY session) AS days
    FROM daily_bars_adjusted
)
SELECT Symbol, session, previous_close, Open
FROM followed
WHERE days <= 5 AND (Open < previous_close / 2 OR Open > previous_close * 2)
