/* model
name: signal_figures
kind: view
owner: team:trading-platform
grain: variant, session
description: Signals of a variant in a session. wrong_side counts stops or targets on the wrong side of their entry,
  to_usual is their number over the mean of the 20 sessions before, null where that is under 5.
depends_on: signals, judged
*/
WITH counted AS (
    SELECT
        variant,
        session,
        count(*) AS signals,
        count(*) FILTER (
            sl_long >= long_entry OR tp_long <= long_entry OR sl_short <= short_entry OR tp_short >= short_entry
        ) AS wrong_side,
        max(greatest(
            coalesce(abs(long_entry - sl_long) / long_entry, 0), coalesce(abs(short_entry - sl_short) / short_entry, 0)
        )) AS widest_stop
    FROM signals
    GROUP BY variant, session
)
SELECT u.variant, u.session, u.signals, u.wrong_side, u.widest_stop, CASE WHEN u.usual >= 5 THEN u.signals / u.usual END AS to_usual
FROM (
    SELECT
        *,
        avg(signals) OVER (PARTITION BY variant ORDER BY session ROWS BETWEEN 20 PRECEDING AND 1 PRECEDING) AS usual
    FROM counted
) u
WHERE session IN (SELECT session FROM judged)
