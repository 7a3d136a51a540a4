/* model
name: action_figures
kind: view
owner: team:trading-platform
grain: Symbol, session, kind
description: Corporate actions against the prices around them. split_error is how far the opening price on the ex-date
  lies from the split's, as a logarithm; dividend_share the dividend over the close before. Null without the bars.
depends_on: corporate_actions, d1_bars, d1_raw, judged
*/
WITH bars AS (
    SELECT Symbol, session, Open, Close FROM d1_raw
    UNION ALL
    SELECT m.Symbol, m.session, m.Open, m.Close
    FROM d1_bars m
    WHERE NOT EXISTS (SELECT 1 FROM d1_raw d WHERE d.Symbol = m.Symbol AND d.session = m.session)
),
around AS (
    SELECT
        Symbol,
        session,
        any_value(Open) AS Open,
        lag(any_value(Close)) OVER (PARTITION BY Symbol ORDER BY session) AS previous_close
    FROM bars
    GROUP BY Symbol, session
)
SELECT
    a.Symbol,
    a.ex_date AS session,
    a.kind,
    CASE WHEN a.kind = 'split' THEN abs(ln(b.previous_close / b.Open) - ln(a.ratio)) END AS split_error,
    CASE WHEN a.kind = 'dividend' THEN a.amount / b.previous_close END AS dividend_share
FROM corporate_actions a
JOIN judged j ON j.session = a.ex_date
LEFT JOIN around b ON b.Symbol = a.Symbol AND b.session = a.ex_date
