"""Column schemas of the published datasets' main frames, as the Dagster UI shows them; a test holds them against main."""

import dagster as dg

_INSTANT = "Datetime[us, UTC]"
_SYMBOL = ("Symbol", "String", "ticker as the source names it")
_SESSION = ("session", "Date", "exchange session")
_VARIANT = ("variant", "String", "name of the file under configs/runs/")
_ACCOUNT = ("account", "String", "name of the file under configs/accounts/")
_ORDER_REF = ("order_ref", "String", "short form of the idempotency key; travels to the broker and back")

Column = tuple[str, str, str]

_BAR: list[Column] = [
    _SYMBOL,
    ("Timestamp", _INSTANT, "start of the bar"),
    ("Open", "Float64", "first price, in the instrument's currency"),
    ("High", "Float64", "highest price"),
    ("Low", "Float64", "lowest price"),
    ("Close", "Float64", "last price"),
    ("Volume", "Int64", "units traded"),
]
_WINDOWED: list[Column] = [
    *_BAR,
    _SESSION,
    ("minutes", "Int32", "one-minute bars present in the window"),
    ("complete", "Boolean", "every minute of the window is present"),
]

_SOURCE_FILE: Column = ("source_file", "String", "file or answer that the row came from, as the source names it")
_FIGURES: list[Column] = [
    ("history", "Int32", "earlier sessions with a daily bar"),
    ("last_close", "Float64", "close of the session before"),
    ("atr", "Float64", "average true range of the sessions before, price units"),
    ("roc", "Float64", "rate of change of the close, fraction"),
    ("avg_volume", "Float64", "average daily volume, units"),
    ("avg_dollar_volume", "Float64", "average of close times volume, currency"),
]

COLUMNS: dict[str, list[Column]] = {
    "m1_raw": [*_BAR, _SOURCE_FILE],
    "d1_raw": [*_BAR, _SESSION, _SOURCE_FILE],
    "m1_bars": [*_BAR, _SESSION],
    **dict.fromkeys(("m5_bars", "m15_bars", "h1_bars", "d1_bars"), _WINDOWED),
    "bar_quality": [
        _SYMBOL,
        _SESSION,
        ("minutes_expected", "Int32", "minutes of the session"),
        ("minutes_present", "Int32", "minutes with a bar"),
        ("coverage", "Float64", "share of the session's minutes that are present"),
        ("missing_minutes", "Int32", "minutes without a bar"),
        ("longest_gap", "Int32", "most minutes missing in a row"),
        ("missing", f"List({_INSTANT})", "the missing minutes"),
        ("gap_move", "Float64", "largest move across a gap within the session, Open after / Close before - 1"),
        ("first_minute", _INSTANT, "first minute with a bar"),
        ("last_minute", _INSTANT, "last minute with a bar"),
        ("rows_in", "Int64", "rows as received"),
        ("exact_duplicates", "Int64", "rows that repeat another one exactly; one is kept"),
        ("rows_outside_session", "Int64", "rows before the open, after the close or in the lunch break"),
        ("volume", "Int64", "units traded, over the bars"),
        ("zero_volume", "Int32", "bars without volume"),
        ("stuck_minutes", "Int32", "most bars in a row at one and the same price"),
        ("stuck_from", _INSTANT, "first of them"),
        ("off_tick", "Int32", "bars with a price off the tick; null where no tick is set"),
        ("outliers", "Int32", "returns beyond the robust z-score limit"),
        ("worst_zscore", "Float64", "largest robust z-score of a return"),
        ("worst_minute", _INSTANT, "where it is"),
        ("passed", "Boolean", "coverage is at least the configured minimum"),
    ],
    "bar_revisions": [
        _SESSION,
        ("revision", "Int32", "counts the session's revisions from 1, oldest first"),
        _SYMBOL,
        ("Timestamp", _INSTANT, "start of the bar"),
        ("change", "String", "changed, added or removed"),
        ("column", "String", "Open, High, Low, Close or Volume"),
        ("old", "Float64", "value before; null for an added bar"),
        ("new", "Float64", "value after; null for a removed bar"),
    ],
    "corporate_actions": [
        _SYMBOL,
        ("ex_date", "Date", "first session on the new share count, or without the dividend"),
        ("kind", "String", "split, dividend or new_security"),
        ("ratio", "Float64", "new shares for one old share; null for dividends"),
        ("amount", "Float64", "cash a share; null for splits"),
        ("currency", "String", "of the amount"),
        ("announced", "Date", "when it was made known; null: known from its ex_date on"),
        ("source", "String", "where it came from"),
    ],
    "daily_features": [_SYMBOL, _SESSION, *_FIGURES],
    "universe": [
        _SYMBOL,
        _SESSION,
        ("admitted", "Boolean", "may give signals in this session"),
        ("removed_by", "String", "filter that removed it; null where admitted"),
        ("reason", "String", "why, with the figure"),
        *_FIGURES,
    ],
    "signals": [
        _SYMBOL,
        ("Timestamp", _INSTANT, "start of the bar at whose close the signal is known"),
        ("long_entry", "Float64", "buy stop; null where there is no long side"),
        ("short_entry", "Float64", "sell stop; null where there is no short side"),
        ("sl_long", "Float64", "stop-loss of the long side"),
        ("sl_short", "Float64", "stop-loss of the short side"),
        ("tp_long", "Float64", "target of the long side"),
        ("tp_short", "Float64", "target of the short side"),
        (
            "meta_strategy_version",
            "String",
            "version of the strategy that gave it; further meta columns are the strategy's",
        ),
    ],
    "backtest": [
        _SESSION,
        _VARIANT,
        ("horizon", "String", "1m, 3m, 6m or 1y back from the session"),
        ("first", "Date", "first session of the horizon"),
        ("last", "Date", "the as-of session"),
        ("expected", "Int64", "sessions of the calendar in the horizon"),
        ("available", "Int64", "those with bars and signals"),
        ("reaches_back", "Boolean", "history begins no later than the horizon"),
        ("currency", "String", "of all amounts"),
        ("initial_cash", "Float64", "currency"),
        ("final_cash", "Float64", "currency, after closing what was open"),
        ("net_pnl", "Float64", "currency, after fees and slippage"),
        ("num_trades", "Int64", "closed trades"),
        ("win_rate", "Float64", "share of trades with a profit"),
        ("profit_factor", "Float64", "gross profit over gross loss"),
        ("avg_win", "Float64", "currency"),
        ("avg_loss", "Float64", "currency"),
        ("expectancy", "Float64", "mean profit per trade, currency"),
        ("sharpe", "Float64", "annualised, of session returns"),
        ("max_drawdown", "Float64", "positive fraction of the running peak"),
        ("exposure", "Float64", "share of bars in a position"),
    ],
    "promotion_decision": [
        ("decision_id", "String", "hash of the whole decision"),
        _SESSION,
        _VARIANT,
        ("strategy_version", "String", "hash of source, parameters and timeframe"),
        ("from_stage", "String", "stage before"),
        ("to_stage", "String", "stage after; equal where the version stays"),
        ("decided_by", "String", "auto, or the person"),
        ("policy", "String", "name of the promotion policy"),
        ("green", "Boolean", "the gates that keep the version on its stage all pass"),
        ("reason", "String", "for a person"),
    ],
    "order_batch": [
        ("idempotency_key", "String", "the same wish has the same key, whoever computes it when"),
        _ORDER_REF,
        ("oco_id", "String", "shared by the two sides of a setup; a fill of one cancels the other"),
        _ACCOUNT,
        _VARIANT,
        ("strategy_version", "String", "hash of source, parameters and timeframe"),
        _SYMBOL,
        ("side", "Int8", "1 long, -1 short"),
        ("qty", "Float64", "units"),
        ("entry", "Float64", "stop price of the entry"),
        ("stop", "Float64", "stop price of the stop-loss"),
        ("target", "Float64", "limit price of the take-profit; null for none"),
        ("setup_time", _INSTANT, "start of the signal's bar"),
        _SESSION,
        ("valid_sessions", "Int32", "sessions after its own that the entry lives on"),
        ("valid_from", _INSTANT, "close of the signal's bar"),
        ("valid_to", _INSTANT, "end of validity"),
        ("lineage", "String", "JSON: lake commits, code version, config hash, decision"),
        ("tif", "String", "time in force"),
    ],
    "order_routing": [
        ("id", "Int64", "counts up as recorded in the ledger"),
        _SESSION,
        ("time", _INSTANT, "when it happened"),
        _ACCOUNT,
        _VARIANT,
        _ORDER_REF,
        ("state", "String", "state that the order went to"),
        ("reason", "String", "why"),
        ("payload", "String", "JSON: the figures each gate saw, quantities, prices"),
    ],
    "reconciliation": [
        ("time", _INSTANT, "when it was found"),
        _ACCOUNT,
        _VARIANT,
        ("kind", "String", "what differs between broker and ledger"),
        ("detail", "String", "for a person"),
        ("figures", "String", "JSON"),
    ],
    "portfolio_worth": [
        _ACCOUNT,
        _VARIANT,
        _SESSION,
        ("capital", "Float64", "seed, currency"),
        ("realised", "Float64", "seed plus what all fills so far have realised"),
        ("unrealised", "Float64", "of open positions at their last close"),
        ("equity", "Float64", "realised plus unrealised"),
        ("pnl", "Float64", "change of equity in the session"),
        ("peak", "Float64", "highest session-end equity so far"),
        ("drawdown", "Float64", "positive fraction of the peak"),
        ("trades", "Int64", "exits in the session"),
    ],
    "price_outliers": [
        ("dataset", "String", "d1_raw or d1_bars"),
        ("universe", "String", "of d1_raw; empty of d1_bars"),
        _SYMBOL,
        _SESSION,
        ("rule", "String", "by which the price cannot have been traded"),
        ("price", "Float64", "the price"),
        ("reference", "Float64", "what the bars around it support"),
        ("figure", "Float64", "robust standard deviations away"),
        ("limit", "Float64", "from which on it counts as false"),
    ],
    "report": [
        _SESSION,
        ("variants", "Int64", "variants replayed"),
        ("orders", "Int64", "orders of the session's batches"),
        ("filled", "Int64", "of them filled"),
        ("pnl", "Float64", "of closed orders, currency"),
        ("faults", "Int64", "data faults"),
        ("moved", "String", "stage changes"),
    ],
}


def table_schema(dataset: str) -> dg.TableSchema | None:
    """The schema of a dataset, None for the warehouse's models, which report their own when they are built."""
    columns = COLUMNS.get(dataset)
    if columns is None:
        return None
    return dg.TableSchema(columns=[dg.TableColumn(name, type=dtype, description=text) for name, dtype, text in columns])
