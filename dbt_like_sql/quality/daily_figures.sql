/* model
name: daily_figures
kind: view
owner: team:trading-platform
grain: dataset, universe, Symbol, session
description: Daily bars, rolled up from minutes (d1_bars) or the vendor's (d1_raw), against the Symbol's own past and
  against the market of the session. Returns are logarithms, splits taken out.
depends_on: d1_bars, d1_raw, corporate_actions, price_outliers, judged
*/
WITH bars AS (
    SELECT 'd1_bars' AS dataset, '' AS universe, Symbol, session, Open, High, Low, Close, Volume FROM d1_bars
    UNION ALL
    SELECT 'd1_raw', universe, Symbol, session, Open, High, Low, Close, Volume FROM d1_raw
),
actions AS (
    SELECT
        Symbol,
        ex_date AS session,
        coalesce(product(ratio) FILTER (kind = 'split'), 1) AS ratio,
        count(*) FILTER (kind = 'new_security') > 0 AS new_security
    FROM corporate_actions
    GROUP BY Symbol, ex_date
),
moves AS (
    SELECT
        b.*,
        lag(b.Close) OVER in_time / coalesce(a.ratio, 1) AS previous_close,
        coalesce(a.new_security, false) AS new_security,
        coalesce(a.ratio, 1) <> 1 AS split,
        b.Open = b.Close AND b.High = b.Low AND b.Close = lag(b.Close) OVER in_time AS still,
        b.Open = lag(b.Open) OVER in_time AND b.High = lag(b.High) OVER in_time AND b.Low = lag(b.Low) OVER in_time
            AND b.Close = lag(b.Close) OVER in_time AND b.Volume = lag(b.Volume) OVER in_time AND b.High > b.Low AS copied
    FROM bars b
    LEFT JOIN actions a ON a.Symbol = b.Symbol AND a.session = b.session
    WINDOW in_time AS (PARTITION BY b.dataset, b.universe, b.Symbol ORDER BY b.session)
),
returns AS (
    SELECT
        *,
        CASE WHEN NOT new_security THEN ln(Close / previous_close) END AS move,
        CASE WHEN NOT new_security THEN ln(Open / previous_close) END AS gap,
        median(Volume) OVER twenty_before AS usual_volume,
        count(*) FILTER (NOT coalesce(still, false)) OVER so_far AS stretch
    FROM moves
    WINDOW
        so_far AS (PARTITION BY dataset, universe, Symbol ORDER BY session),
        twenty_before AS (
            PARTITION BY dataset, universe, Symbol ORDER BY session ROWS BETWEEN 20 PRECEDING AND 1 PRECEDING
        )
),
scored AS (
    SELECT
        *,
        count(*) FILTER (still) OVER (PARTITION BY dataset, universe, Symbol, stretch ORDER BY session) AS unchanged_sessions,
        median(abs(move)) OVER sixty_before AS usual_move,
        count(move) OVER sixty_before AS known_moves,
        median(move) OVER (PARTITION BY dataset, universe, session) AS market_move,
        count(move) OVER (PARTITION BY dataset, universe, session) AS market_symbols
    FROM returns
    WINDOW sixty_before AS (
        PARTITION BY dataset, universe, Symbol ORDER BY session ROWS BETWEEN 60 PRECEDING AND 1 PRECEDING
    )
),
outliers AS (
    SELECT dataset, universe, Symbol, session, count(*) AS false_prices, max(figure / "limit") AS times_the_limit
    FROM price_outliers
    GROUP BY dataset, universe, Symbol, session
)
SELECT
    s.dataset,
    s.universe,
    s.Symbol,
    s.session,
    coalesce(o.false_prices, 0) AS false_prices,
    coalesce(s.unchanged_sessions, 0) AS unchanged_sessions,
    coalesce(s.copied, false)::INT AS copied,
    -- The move of the Symbol alone, in its own usual moves: the market's is off where there is a market to speak of.
    CASE WHEN s.known_moves >= 20 THEN
        abs(s.move - CASE WHEN s.market_symbols >= 4 THEN s.market_move ELSE 0 END) / greatest(1.4826 * s.usual_move, 0.003)
    END AS lone_move_zscore,
    CASE WHEN s.usual_volume > 0 THEN s.Volume / s.usual_volume END AS volume_to_usual,
    -- How far an unexplained overnight gap of 1.45 times and more lies from 3:2, 2:1, 5:2, 3:1, ... or their inverse;
    -- null for smaller gaps.
    CASE WHEN abs(s.gap) >= ln(1.45) THEN abs(2 * exp(abs(s.gap)) / round(2 * exp(abs(s.gap))) - 1) END AS from_split_ratio
FROM scored s
JOIN judged j ON j.session = s.session
LEFT JOIN outliers o
    ON o.dataset = s.dataset AND o.universe = s.universe AND o.Symbol = s.Symbol AND o.session = s.session
