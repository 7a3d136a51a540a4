/* model
name: market_figures
kind: view
owner: team:trading-platform
grain: session
description: The session as a whole. present_share is its Symbols with minutes over the median number of the 20 sessions
  before; median_move the size of the median Symbol's return, null with under four Symbols; alike_share the share of
  Symbols whose return is the same to 7 digits.
depends_on: bar_quality, d1_bars, judged
*/
WITH present AS (
    SELECT session, count(*) FILTER (minutes_present > 0) AS symbols
    FROM bar_quality
    GROUP BY session
),
usual AS (
    SELECT
        session,
        symbols,
        median(symbols) OVER (ORDER BY session ROWS BETWEEN 20 PRECEDING AND 1 PRECEDING) AS usual_symbols
    FROM present
),
moves AS (
    SELECT session, ln(Close / lag(Close) OVER (PARTITION BY Symbol ORDER BY session)) AS move
    FROM d1_bars
),
market AS (
    SELECT
        session,
        abs(median(move)) AS median_move,
        count(move) AS moved,
        max(same) AS same
    FROM (SELECT *, count(*) OVER (PARTITION BY session, round(move, 7)) AS same FROM moves WHERE move IS NOT NULL)
    GROUP BY session
)
SELECT
    u.session,
    u.symbols,
    coalesce(u.symbols / nullif(u.usual_symbols, 0), 1) AS present_share,
    CASE WHEN m.moved >= 4 THEN m.median_move END AS median_move,
    CASE WHEN m.moved >= 4 THEN m.same / m.moved END AS alike_share
FROM usual u
JOIN judged j ON j.session = u.session
LEFT JOIN market m ON m.session = u.session
