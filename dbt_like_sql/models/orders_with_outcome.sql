/* model
name: orders_with_outcome
kind: table
owner: team:trading-platform
grain: order_ref
description: Every order intent with its last state, its fills and what it earned after fees; slippage_bps is the
  entry fill against the entry level, positive when it cost money.
depends_on: order_intents, order_events, fills
audits: exits_do_not_exceed_entries
*/
WITH last_event AS (
    SELECT
        order_ref,
        arg_max(state, id) AS state,
        arg_max(reason, id) AS state_reason,
        max(time) AS state_time
    FROM order_events
    GROUP BY order_ref
),
filled AS (
    SELECT
        order_ref,
        coalesce(sum(qty) FILTER (leg = 'entry'), 0) AS entry_qty,
        sum(qty * price) FILTER (leg = 'entry') / sum(qty) FILTER (leg = 'entry') AS entry_price,
        min(time) FILTER (leg = 'entry') AS entry_time,
        coalesce(sum(qty) FILTER (leg = 'exit'), 0) AS exit_qty,
        sum(qty * price) FILTER (leg = 'exit') / sum(qty) FILTER (leg = 'exit') AS exit_price,
        max(time) FILTER (leg = 'exit') AS exit_time,
        arg_max(reason, time) FILTER (leg = 'exit') AS exit_reason,
        sum(fee) AS fees,
        -- Entering long or leaving short is money out, the other two are money in.
        sum(CASE leg WHEN 'entry' THEN -side ELSE side END * qty * price) - sum(fee) AS cash_flow
    FROM fills
    GROUP BY order_ref
)
SELECT
    i.order_ref,
    i.oco_id,
    i.session,
    i.account,
    i.variant,
    i.Symbol,
    i.side,
    i.qty,
    i.entry,
    i.stop,
    i.target,
    i.valid_from,
    i.valid_to,
    i.strategy_version,
    coalesce(e.state, 'intended') AS state,
    e.state_reason,
    e.state_time,
    coalesce(f.entry_qty, 0) AS entry_qty,
    f.entry_price,
    f.entry_time,
    coalesce(f.exit_qty, 0) AS exit_qty,
    f.exit_price,
    f.exit_time,
    f.exit_reason,
    f.fees,
    CASE WHEN f.entry_qty > 0 AND f.entry_qty = f.exit_qty THEN f.cash_flow END AS pnl,
    i.side * (f.entry_price / i.entry - 1) * 10000 AS slippage_bps
FROM order_intents i
LEFT JOIN last_event e ON e.order_ref = i.order_ref
LEFT JOIN filled f ON f.order_ref = i.order_ref
