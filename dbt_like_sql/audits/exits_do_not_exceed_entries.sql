/* audit
name: exits_do_not_exceed_entries
model: orders_with_outcome
severity: error
description: No order closes more than it opened, opens more than was intended, or fills without an intent
*/
SELECT order_ref, qty, entry_qty, exit_qty
FROM orders_with_outcome
WHERE exit_qty > entry_qty OR entry_qty > qty
UNION ALL
SELECT f.order_ref, NULL, sum(f.qty) FILTER (f.leg = 'entry'), sum(f.qty) FILTER (f.leg = 'exit')
FROM fills f
ANTI JOIN order_intents i ON i.order_ref = f.order_ref
GROUP BY f.order_ref
