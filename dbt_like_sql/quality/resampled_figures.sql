/* model
name: resampled_figures
kind: view
owner: team:trading-platform
grain: dataset, Symbol, session
description: What the resampled bars of a session lack or have too much against the minutes that they are made of;
  prices_off counts Open, High, Low and Close of the session that differ. All are 0 where the two agree.
depends_on: m1_bars, m5_bars, m15_bars, h1_bars, d1_bars, judged
*/
WITH resampled AS (
    SELECT 'm5_bars' AS dataset, Symbol, session, Timestamp, Open, High, Low, Close, Volume, minutes FROM m5_bars
    UNION ALL
    SELECT 'm15_bars', Symbol, session, Timestamp, Open, High, Low, Close, Volume, minutes FROM m15_bars
    UNION ALL
    SELECT 'h1_bars', Symbol, session, Timestamp, Open, High, Low, Close, Volume, minutes FROM h1_bars
    UNION ALL
    SELECT 'd1_bars', Symbol, session, Timestamp, Open, High, Low, Close, Volume, minutes FROM d1_bars
),
bars AS (
    SELECT
        dataset,
        Symbol,
        session,
        arg_min(Open, Timestamp) AS Open,
        max(High) AS High,
        min(Low) AS Low,
        arg_max(Close, Timestamp) AS Close,
        sum(Volume) AS Volume,
        sum(minutes) AS minutes
    FROM resampled
    WHERE session IN (SELECT session FROM judged)
    GROUP BY dataset, Symbol, session
),
made_of AS (
    SELECT
        Symbol,
        session,
        arg_min(Open, Timestamp) AS Open,
        max(High) AS High,
        min(Low) AS Low,
        arg_max(Close, Timestamp) AS Close,
        sum(Volume) AS Volume,
        count(*) AS minutes
    FROM m1_bars
    WHERE session IN (SELECT session FROM judged)
    GROUP BY Symbol, session
)
SELECT
    b.dataset,
    b.Symbol,
    b.session,
    b.minutes - coalesce(m.minutes, 0) AS minutes_off,
    b.Volume - coalesce(m.Volume, 0) AS volume_off,
    (b.Open IS DISTINCT FROM m.Open)::INT + (b.High IS DISTINCT FROM m.High)::INT
        + (b.Low IS DISTINCT FROM m.Low)::INT + (b.Close IS DISTINCT FROM m.Close)::INT AS prices_off
FROM bars b
LEFT JOIN made_of m ON m.Symbol = b.Symbol AND m.session = b.session
