/* model
name: daily_bars_quality
kind: table
owner: team:trading-platform
grain: Symbol, session
description: Daily bars with what the quality table says of the minutes below them, the return since the session
  before, and how many sessions of the market are missing in between.
depends_on: d1_bars, bar_quality
audits: daily_bars_have_sane_prices
*/
WITH sessions AS (
    SELECT session, row_number() OVER (ORDER BY session) AS session_no
    FROM (SELECT DISTINCT session FROM d1_bars)
),
bars AS (
    SELECT
        b.*,
        s.session_no,
        lag(b.Close) OVER symbol_in_time AS previous_close,
        lag(s.session_no) OVER symbol_in_time AS previous_no
    FROM d1_bars b
    JOIN sessions s ON s.session = b.session
    WINDOW symbol_in_time AS (PARTITION BY b.Symbol ORDER BY b.session)
)
SELECT
    b.Symbol,
    b.session,
    b.Open,
    b.High,
    b.Low,
    b.Close,
    b.Volume,
    b.minutes,
    b.complete,
    b.Close / b.previous_close - 1 AS return_since_previous,
    coalesce(b.session_no - b.previous_no - 1, 0) AS sessions_missing_before,
    q.coverage,
    q.longest_gap,
    q.exact_duplicates,
    q.rows_outside_session,
    q.outliers,
    q.passed
FROM bars b
LEFT JOIN bar_quality q ON q.Symbol = b.Symbol AND q.session = b.session
