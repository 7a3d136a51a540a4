"""Ways from minutes to 5-minute bars: this platform's, those that people use otherwise, and reading alone.

Each reads the session files below ``m1`` and writes Parquet with zstd below ``out``, in the way that is natural to it. All
of them do the same work: first Open, highest High, lowest Low, last Close, sum of Volume by Symbol, session and window. On
XNYS the windows from the open are those of the clock, so none of them has to be told where a session opens.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

OURS = "trading_assets"
READING = "reading alone"
DUCKDB = "DuckDB time_bucket"
DYNAMIC = "polars group_by_dynamic"
PANDAS = "pandas resample"
STREAMING = "polars streaming group_by"

Way = Callable[[list[Path], Path], None]


def ours() -> Way:
    """The computing half of the bar assets, on files in place of the lake."""
    import polars as pl

    from trading.bars import kernel  # noqa: F401  # loading compiled code is an import
    from trading.sessions import get_calendar
    from trading_assets.ahead import ahead
    from trading_assets.bars import Bars, resampled

    get_calendar("XNYS")

    def compute(file: Path) -> Bars:
        return resampled(pl.read_parquet(file), ["5m"], {"XNYS": []})["5m"]

    def run(files: list[Path], out: Path) -> None:
        for file, made in ahead(compute, files):
            (out / f"{file.parent.name}.parquet").write_bytes(made().data.data)

    return run


def reading_alone() -> Way:
    """Every column of every file, two files at a time; nothing is done with them."""
    import polars as pl

    from trading_assets.ahead import ahead

    def run(files: list[Path], _: Path) -> None:
        for _, read in ahead(pl.read_parquet, files):
            read()

    return run


def pandas_resample() -> Way:
    import pandas as pd

    columns = {"Open": "first", "High": "max", "Low": "min", "Close": "last", "Volume": "sum"}

    def run(files: list[Path], out: Path) -> None:
        for file in files:
            m1 = pd.read_parquet(file)
            # the same as .groupby("Symbol").resample("5min"), which takes several times as long for each Symbol's own pass
            windows = pd.Grouper(key="Timestamp", freq="5min")
            bars = m1.groupby(["Symbol", windows]).agg(columns).reset_index()
            bars.to_parquet(out / f"{file.parent.name}.parquet", compression="zstd")

    return run


def duckdb_time_bucket() -> Way:
    import duckdb

    def run(files: list[Path], out: Path) -> None:
        with duckdb.connect() as sql:
            sql.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
            sql.execute(
                f"""COPY (
                    SELECT Symbol, time_bucket(INTERVAL '5 minutes', Timestamp) AS Timestamp,
                        arg_min(Open, Timestamp) AS Open, max(High) AS High, min(Low) AS Low,
                        arg_max(Close, Timestamp) AS Close, sum(Volume)::BIGINT AS Volume
                    FROM read_parquet({[str(file) for file in files]})
                    GROUP BY ALL
                ) TO '{out / "all.parquet"}' (FORMAT parquet, COMPRESSION zstd)"""
            )

    return run


def polars_group_by_dynamic() -> Way:
    import polars as pl

    def run(files: list[Path], out: Path) -> None:
        for file in files:
            m1 = pl.read_parquet(file)
            bars = m1.group_by_dynamic("Timestamp", every="5m", group_by="Symbol").agg(
                pl.col("Open").first(),
                pl.col("High").max(),
                pl.col("Low").min(),
                pl.col("Close").last(),
                pl.col("Volume").sum(),
            )
            bars.write_parquet(out / f"{file.parent.name}.parquet")

    return run


def polars_streaming() -> Way:
    import polars as pl

    def run(files: list[Path], out: Path) -> None:
        at = pl.col("Timestamp")
        bars = (
            pl.scan_parquet(files, hive_partitioning=False)
            .group_by("Symbol", at.dt.truncate("5m").alias("window"))
            .agg(
                pl.col("Open").min_by("Timestamp"),
                pl.col("High").max(),
                pl.col("Low").min(),
                pl.col("Close").max_by("Timestamp"),
                pl.col("Volume").sum(),
            )
            .rename({"window": "Timestamp"})
        )
        bars.sink_parquet(out / "all.parquet", engine="streaming")

    return run


WAYS: Mapping[str, Callable[[], Way]] = {
    OURS: ours,
    READING: reading_alone,
    DUCKDB: duckdb_time_bucket,
    DYNAMIC: polars_group_by_dynamic,
    PANDAS: pandas_resample,
    STREAMING: polars_streaming,
}
"""Each gives what does the work; what it has to import, it imports before that."""
