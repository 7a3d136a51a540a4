/* model
name: market_figures
kind: view
owner: team:trading-platform
grain: session
description: The session as a whole. present_share is the share of the Symbols due, by their own calendars, that have
  minutes; median_move the size of the median Symbol's return, null with under four Symbols; alike_share the share of
  Symbols whose return is the same to 7 digits.
depends_on: bar_quality, d1_bars, judged
*/
WITH present AS (
    -- A Symbol that was there the session before and is gone has a row in bar_quality all the same.
    SELECT session, count(*) AS symbols, count(*) FILTER (minutes_present > 0) / count(*) AS present_share
    FROM bar_quality
    GROUP BY session
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
    p.session,
    p.symbols,
    p.present_share,
    CASE WHEN m.moved >= 4 THEN m.median_move END AS median_move,
    CASE WHEN m.moved >= 4 THEN m.same / m.moved END AS alike_share
FROM present p
JOIN judged j ON j.session = p.session
LEFT JOIN market m ON m.session = p.session
