/* model
name: coverage_figures
kind: view
owner: team:trading-platform
grain: Symbol, session
description: The quality table, and missing_alone, 1 where a Symbol has no minute while at least half of the session's
  others have.
depends_on: bar_quality, judged
*/
SELECT
    Symbol,
    session,
    coverage,
    longest_gap,
    abs(worst_zscore) AS worst_minute_zscore,
    exact_duplicates,
    (minutes_present = 0 AND 2 * count(*) FILTER (minutes_present > 0) OVER (PARTITION BY session)
        >= count(*) OVER (PARTITION BY session) - 1 AND count(*) OVER (PARTITION BY session) > 1)::INT AS missing_alone
FROM bar_quality
WHERE session IN (SELECT session FROM judged)
