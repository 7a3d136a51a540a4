/* audit
name: daily_bars_have_sane_prices
model: daily_bars_quality
severity: error
description: Low <= Open, Close <= High, prices above zero, volume not negative
*/
SELECT Symbol, session, Open, High, Low, Close, Volume
FROM daily_bars_quality
WHERE NOT (Low > 0 AND Low <= least(Open, Close) AND High >= greatest(Open, Close) AND Volume >= 0)
