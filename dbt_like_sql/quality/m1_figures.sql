/* model
name: m1_figures
kind: view
owner: team:trading-platform
grain: Symbol, session
description: Minutes of one Symbol and session. widest_minute_zscore is the robust z-score of the widest minute, of
  ln(High / Low); stuck_minutes the most minutes in a row without any movement; busiest_minute_share the share of the
  session's volume in one minute.
depends_on: m1_bars, judged
*/
WITH minutes AS (
    SELECT
        b.Symbol,
        b.session,
        b.Timestamp,
        b.Volume,
        ln(b.High / b.Low) AS span,
        coalesce(b.High = b.Low AND b.Close = lag(b.Close) OVER in_time, false) AS still
    FROM m1_bars b
    WHERE b.session IN (SELECT session FROM judged)
    WINDOW in_time AS (PARTITION BY b.Symbol, b.session ORDER BY b.Timestamp)
),
numbered AS (
    SELECT *, count(*) FILTER (NOT still) OVER (PARTITION BY Symbol, session ORDER BY Timestamp) AS stretch
    FROM minutes
),
stretches AS (
    SELECT Symbol, session, stretch, count(*) FILTER (still) AS still_minutes
    FROM numbered
    GROUP BY Symbol, session, stretch
),
stuck AS (
    SELECT Symbol, session, max(still_minutes) AS stuck_minutes
    FROM stretches
    GROUP BY Symbol, session
),
spread AS (
    SELECT
        Symbol,
        session,
        count(*) AS minutes,
        -- 5 basis points at least: a quiet Symbol's minutes are mostly of one price.
        (max(span) - median(span)) / greatest(1.4826 * mad(span), 0.0005) AS widest_minute_zscore,
        max(Volume) / nullif(sum(Volume), 0) AS busiest_minute_share,
        count(*) FILTER (Volume = 0) / count(*) AS zero_volume_share
    FROM minutes
    GROUP BY Symbol, session
)
SELECT spread.*, stuck.stuck_minutes
FROM spread
JOIN stuck ON stuck.Symbol = spread.Symbol AND stuck.session = spread.session
