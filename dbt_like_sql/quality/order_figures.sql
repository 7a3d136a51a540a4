/* model
name: order_figures
kind: view
owner: team:trading-platform
grain: session, Symbol, order_ref
description: Orders against the bars of their session. stop_wrong_side is 1 where the stop lies beyond the entry;
  entry_from_close is the entry's distance from the last close before the session, splits taken out, as a share; fill_outside_bps how far
  the farthest fill lies outside the range of the day that it was made on, 0 within.
depends_on: order_intents, fills, d1_bars, corporate_actions, judged
*/
WITH before AS (
    SELECT
        i.order_ref,
        i.Symbol,
        i.session,
        arg_max(b.Close, b.session) AS close,
        max(b.session) AS closed
    FROM order_intents i
    JOIN d1_bars b ON b.Symbol = i.Symbol AND b.session < i.session
    GROUP BY i.order_ref, i.Symbol, i.session
),
last_close AS (
    SELECT b.order_ref, any_value(b.close) / coalesce(product(a.ratio), 1) AS close
    FROM before b
    LEFT JOIN corporate_actions a
        ON a.Symbol = b.Symbol AND a.kind = 'split' AND a.ex_date > b.closed AND a.ex_date <= b.session
    GROUP BY b.order_ref
),
filled AS (
    SELECT
        f.order_ref,
        max(greatest(f.price / b.High - 1, b.Low / f.price - 1, 0)) * 10000 AS fill_outside_bps
    FROM fills f
    JOIN order_intents i ON i.order_ref = f.order_ref
    JOIN d1_bars b ON b.Symbol = i.Symbol AND b.session = f.session
    GROUP BY f.order_ref
)
SELECT
    i.session,
    i.Symbol,
    i.order_ref,
    i.account,
    i.variant,
    i.qty,
    (i.side * (i.entry - i.stop) <= 0)::INT AS stop_wrong_side,
    abs(i.entry / c.close - 1) AS entry_from_close,
    coalesce(f.fill_outside_bps, 0) AS fill_outside_bps
FROM order_intents i
JOIN judged j ON j.session = i.session
LEFT JOIN last_close c ON c.order_ref = i.order_ref
LEFT JOIN filled f ON f.order_ref = i.order_ref
