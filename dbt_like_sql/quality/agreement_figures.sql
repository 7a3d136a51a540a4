/* model
name: agreement_figures
kind: view
owner: team:trading-platform
grain: universe, Symbol, session
description: How far the minutes rolled up to a day lie from the vendor's daily bar, in basis points, and their volume as
  a share of the daily one.
depends_on: minutes_against_daily, judged
*/
SELECT
    universe,
    Symbol,
    session,
    abs(open_bps) AS open_bps,
    abs(high_bps) AS high_bps,
    abs(low_bps) AS low_bps,
    abs(close_bps) AS close_bps,
    volume_ratio
FROM minutes_against_daily
WHERE session IN (SELECT session FROM judged)
