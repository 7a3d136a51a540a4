/* model
name: universe_figures
kind: view
owner: team:trading-platform
grain: session
description: How many Symbols may give signals, how that share changed since the session before, and rows that contradict
  themselves, removed without a reason or admitted with one.
depends_on: universe, judged
*/
WITH shares AS (
    SELECT
        session,
        count(*) AS symbols,
        count(*) FILTER (admitted) AS admitted,
        count(*) FILTER (admitted) / count(*) AS admitted_share,
        count(*) FILTER (admitted = (reason IS NOT NULL)) AS contradictions
    FROM universe
    GROUP BY session
)
SELECT u.*
FROM (
    SELECT *, abs(admitted_share - lag(admitted_share) OVER (ORDER BY session)) AS change_of_share FROM shares
) u
WHERE session IN (SELECT session FROM judged)
