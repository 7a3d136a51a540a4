/* model
name: daily_bars_adjusted
kind: view
owner: team:trading-platform
grain: Symbol, session
description: Daily bars on the share count of the newest session in the warehouse, so that prices of different years compare.
  shares is how many shares one of that session's has become since; prices are divided by it, the volume multiplied. Sessions
  before another company took the Symbol are left out. Dividends are not taken off. For an earlier view, query as of a commit.
depends_on: d1_bars, corporate_actions
audits: adjusted_bars_have_no_split_gap
*/
WITH newest AS (
    SELECT max(session) AS session FROM d1_bars
),
known AS (
    SELECT Symbol, ex_date, kind, ratio
    FROM corporate_actions
    WHERE ex_date <= (SELECT session FROM newest)
),
counted AS (
    SELECT
        b.Symbol,
        b.session,
        coalesce(product(k.ratio) FILTER (k.kind = 'split'), 1) AS shares,
        coalesce(bool_or(k.kind = 'new_security'), false) AS another_company
    FROM d1_bars b
    LEFT JOIN known k ON k.Symbol = b.Symbol AND k.ex_date > b.session
    GROUP BY b.Symbol, b.session
)
SELECT
    b.Symbol,
    b.session,
    b.Open / c.shares AS Open,
    b.High / c.shares AS High,
    b.Low / c.shares AS Low,
    b.Close / c.shares AS Close,
    round(b.Volume * c.shares)::BIGINT AS Volume,
    c.shares,
    b.complete
FROM d1_bars b
JOIN counted c ON c.Symbol = b.Symbol AND c.session = b.session
WHERE NOT c.another_company
