/* model
name: minutes_against_daily
kind: view
owner: team:trading-platform
grain: universe, Symbol, session
description: The vendor's daily bar beside the one rolled up from minutes, where both exist. The differences are minutes
  over daily in basis points, 0 where equal; volume_ratio is the minutes' volume over the daily one, null where that is 0.
depends_on: d1_bars, d1_raw
*/
SELECT
    d.universe,
    d.Symbol,
    d.session,
    m.Open AS minutes_open,
    m.High AS minutes_high,
    m.Low AS minutes_low,
    m.Close AS minutes_close,
    m.Volume AS minutes_volume,
    m.complete,
    d.Open AS daily_open,
    d.High AS daily_high,
    d.Low AS daily_low,
    d.Close AS daily_close,
    d.Volume AS daily_volume,
    (m.Open / d.Open - 1) * 10000 AS open_bps,
    (m.High / d.High - 1) * 10000 AS high_bps,
    (m.Low / d.Low - 1) * 10000 AS low_bps,
    (m.Close / d.Close - 1) * 10000 AS close_bps,
    m.Volume / nullif(d.Volume, 0) AS volume_ratio
FROM d1_raw d
JOIN d1_bars m ON m.Symbol = d.Symbol AND m.session = d.session
