"""A package with later drops: which delivery a session comes from, and what happens while one is still on its way."""

import datetime as dt
import hashlib
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from resources.sources import PackageSource, SourceError, SourceFileRefused
from resources.sources.context import SourceContext
from resources.sources.package import PackageConfig
from trading.ports.sources import BarSource, RawSession

WED, FRI, MON = (dt.date(2023, 11, d) for d in (22, 24, 27))


def _deliver(rows: pl.DataFrame, package: Path, drop: str = "", symbol: str = "AAA") -> Path:
    folder = package / "drops" / drop if drop else package
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{symbol}.parquet"
    rows.write_parquet(file)
    return file


def _numbered(minutes: pl.DataFrame, first: int) -> pl.DataFrame:
    """The same minutes with volumes from ``first`` on, so that a row tells which delivery it is of."""
    return minutes.with_columns(Volume=pl.int_range(first, first + minutes.height))


def _volumes(raw: RawSession) -> list[int]:
    return raw.frame["Volume"].to_list()


def _told(raw: RawSession) -> list[tuple[str, str, int]]:
    return [(skip.kind, skip.file, skip.rows) for skip in raw.skips]


def test_the_newest_delivery_of_a_session_is_taken_whole(minutes: pl.DataFrame, tmp_path: Path) -> None:
    base = _numbered(minutes[:5], 100)  # Wednesday 3 rows, holiday 1, Friday 1
    first = _deliver(_numbered(minutes[:3], 200), tmp_path, "2023-11-28")
    second = _deliver(_numbered(minutes[4:], 300), tmp_path, "2023-11-29")
    _deliver(base, tmp_path)
    source = PackageSource(tmp_path)
    assert isinstance(source, BarSource)
    assert source.sessions() == [WED, FRI, MON]
    wednesday = source.read_session(WED)
    assert _volumes(wednesday) == [200, 201, 202]
    assert wednesday.frame["source_file"].unique().to_list() == ["drops/2023-11-28/AAA.parquet"]
    assert dict(wednesday.files) == {"drops/2023-11-28/AAA.parquet": hashlib.sha256(first.read_bytes()).hexdigest()}
    assert _told(wednesday) == [("superseded", "AAA.parquet", 3)]
    assert wednesday.skips[0].reason == "3 rows of 2023-11-22 gave way to 3 of drops/2023-11-28/AAA.parquet"
    friday = source.read_session(FRI)
    assert _volumes(friday) == [300]
    assert _told(friday) == [("superseded", "AAA.parquet", 1)]
    monday = source.read_session(MON)
    assert _volumes(monday) == [301]
    assert monday.skips == ()
    arrived = dt.datetime.fromtimestamp(second.stat().st_mtime, dt.UTC)
    assert abs(monday.arrived["drops/2023-11-29/AAA.parquet"] - arrived) < dt.timedelta(milliseconds=1)


def test_fewer_rows_than_before_are_told_as_such(minutes: pl.DataFrame, tmp_path: Path) -> None:
    _deliver(minutes, tmp_path)
    _deliver(minutes[:1], tmp_path, "2023-11-28")
    raw = PackageSource(tmp_path).read_session(WED)
    assert raw.frame.height == 1
    assert _told(raw) == [("superseded_by_fewer", "AAA.parquet", 3)]
    assert "fewer than before" in raw.skips[0].reason


def test_by_minute_deliveries_add_up(minutes: pl.DataFrame, tmp_path: Path) -> None:
    _deliver(_numbered(minutes[:3], 100), tmp_path)
    twice = pl.concat([_numbered(minutes[1:2], 200), _numbered(minutes[1:2], 210)])
    _deliver(twice, tmp_path, "2023-11-28")
    raw = PackageSource(tmp_path, redelivery="minute").read_session(WED)
    assert _volumes(raw) == [100, 102, 200, 210], "what is double within one delivery is for assembly to judge"
    assert _told(raw) == [("superseded", "AAA.parquet", 1)]
    assert sorted(raw.files) == ["AAA.parquet", "drops/2023-11-28/AAA.parquet"]
    assert PackageSource(tmp_path, redelivery="minute").read_session(MON).frame.is_empty()


def test_a_minute_wholly_replaced_leaves_no_trace_of_its_file(minutes: pl.DataFrame, tmp_path: Path) -> None:
    _deliver(minutes[:3], tmp_path)
    _deliver(_numbered(minutes[:3], 200), tmp_path, "a")
    raw = PackageSource(tmp_path, redelivery="minute").read_session(WED)
    assert _volumes(raw) == [200, 201, 202]
    assert list(raw.files) == ["drops/a/AAA.parquet"]


def test_other_symbols_keep_their_own_newest(minutes: pl.DataFrame, tmp_path: Path) -> None:
    for symbol, first in (("BBB", 20), ("AAA", 10)):
        _deliver(_numbered(minutes, first), tmp_path, symbol=symbol)
    _deliver(_numbered(minutes[:3], 50), tmp_path, "d", symbol="BBB")
    raw = PackageSource(tmp_path).read_session(WED)
    assert raw.frame.select("Symbol", "Volume").rows() == [
        ("AAA", 10), ("AAA", 11), ("AAA", 12), ("BBB", 50), ("BBB", 51), ("BBB", 52),
    ]  # fmt: skip


def _cut(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def _mark_partial(file: Path) -> None:
    file.rename(file.with_name(file.name + ".partial"))


def _mark_rsync(file: Path) -> None:
    file.rename(file.with_name(f".{file.name}.x7Gh2k"))


def _damage(file: Path) -> None:
    sums = f"{hashlib.sha256(b'other').hexdigest()}  {file.name}\n"
    (file.parent / "SHA256SUMS").write_text(sums)


def _announce_another(file: Path) -> None:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    (file.parent / "SHA256SUMS").write_text(f"{digest}  {file.name}\n{digest} *./ZZZ.parquet\n")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (_cut, "cannot be read as Parquet"),
        (_mark_partial, "its delivery is still being copied (AAA.parquet.partial); older deliveries do not stand in"),
        (_mark_rsync, "its delivery is still being copied (.AAA.parquet.x7Gh2k)"),
        (_damage, "still being copied, or damaged"),
        (_announce_another, "its delivery lacks ZZZ.parquet, listed in SHA256SUMS"),
    ],
)
@pytest.mark.parametrize("redelivery", ["session", "minute"])
def test_nothing_older_stands_in_for_a_delivery_that_is_not_whole(
    fault: Any, says: str, redelivery: Any, minutes: pl.DataFrame, tmp_path: Path
) -> None:
    _deliver(minutes, tmp_path)
    _deliver(minutes, tmp_path, symbol="BBB")
    fault(_deliver(minutes[:3], tmp_path, "2023-11-28"))
    source = PackageSource(tmp_path, redelivery=redelivery)
    source.fetch([WED, FRI])
    raw = source.read_session(WED)
    assert raw.frame["Symbol"].unique().to_list() == ["BBB"]
    refused = [skip for skip in raw.skips if skip.kind == "refused_file"]
    assert [says in skip.reason for skip in refused if skip.symbol == "AAA"] == [True]
    assert {skip.symbol for skip in refused} <= {"AAA", "ZZZ"}
    assert says in next(str(problem) for problem in source.problems() if problem.symbol == "AAA")
    with pytest.raises(SourceFileRefused, match=r"drops/2023-11-28/AAA\.parquet"):
        source.read_session(WED, symbols=["AAA"])
    # What the broken file holds is not known, so that Friday is not taken from the older one either.
    assert source.read_session(FRI).frame["Symbol"].to_list() == ["BBB"]


def test_a_newer_whole_delivery_ends_the_refusal(minutes: pl.DataFrame, tmp_path: Path) -> None:
    _deliver(minutes, tmp_path)
    _cut(_deliver(minutes[:3], tmp_path, "2023-11-28"))
    _deliver(_numbered(minutes[:3], 300), tmp_path, "2023-11-29")
    source = PackageSource(tmp_path)
    assert _volumes(source.read_session(WED)) == [300, 301, 302]
    with pytest.raises(SourceFileRefused):
        source.read_session(FRI)
    assert [problem.file for problem in source.problems()] == ["drops/2023-11-28/AAA.parquet"]


def test_a_declared_marker_comes_last(minutes: pl.DataFrame, tmp_path: Path) -> None:
    _deliver(minutes, tmp_path)
    drop = _deliver(_numbered(minutes[:3], 200), tmp_path, "2023-11-28").parent
    source = PackageSource(tmp_path, marker="_SUCCESS")
    with pytest.raises(SourceFileRefused, match="its delivery has no _SUCCESS yet"):
        source.read_session(WED)
    (drop / "_SUCCESS").touch()
    with pytest.raises(SourceFileRefused, match="its delivery has no _SUCCESS yet"):
        source.read_session(WED)
    source.fetch([WED])
    assert _volumes(source.read_session(WED)) == [200, 201, 202], "fetch looks at the package again"
    assert source.skips() == [skip for skip in source.skips() if skip.kind == "not_a_session"]


def test_new_drops_and_mended_files_are_seen_by_fetch(minutes: pl.DataFrame, tmp_path: Path) -> None:
    _deliver(minutes[:3], tmp_path)
    source = PackageSource(tmp_path)
    assert source.sessions() == [WED]
    _cut(_deliver(minutes[4:], tmp_path, "2023-11-28"))
    source.fetch([MON])
    with pytest.raises(SourceFileRefused):
        source.read_session(MON)
    _deliver(minutes[4:], tmp_path, "2023-11-28")
    source.fetch([MON])
    assert source.problems() == []
    assert source.read_session(MON).frame.height == 1
    assert source.sessions() == [WED, FRI, MON]


def test_a_truncated_base_is_made_good_by_drops_only_where_they_have_rows(
    minutes: pl.DataFrame, tmp_path: Path
) -> None:
    _cut(_deliver(minutes, tmp_path))
    _deliver(minutes[:3], tmp_path, "2023-11-28")
    source = PackageSource(tmp_path)
    assert source.read_session(WED).frame.height == 3
    with pytest.raises(SourceFileRefused, match=r"^AAA\.parquet: cannot be read"):
        source.read_session(FRI)


def test_a_damaged_page_is_not_replaced_by_the_older_file(minutes: pl.DataFrame, tmp_path: Path) -> None:
    """The damage shows only when the rows are read, after the index was made."""
    _deliver(minutes, tmp_path)
    _deliver(minutes, tmp_path, symbol="BBB")
    noise = pl.DataFrame({"Timestamp": minutes["Timestamp"][:3].to_list() * 500}).with_columns(
        pl.lit(minutes["Timestamp"][0]).alias("Timestamp"),
        *(pl.int_range(1500).hash(i).cast(pl.Float64).alias(n) for i, n in enumerate(("Open", "High", "Low", "Close"))),
        Volume=pl.lit(1, pl.Int64),
    )
    file = _deliver(noise, tmp_path, "2023-11-28")
    content = bytearray(file.read_bytes())
    content[8000:12000] = bytes(4000)
    file.write_bytes(content)
    source = PackageSource(tmp_path, cache_bytes=0)
    assert source.sessions() == [WED, FRI, MON]
    assert source.problems() == []
    raw = source.read_session(WED)
    assert raw.frame["Symbol"].unique().to_list() == ["BBB"]
    assert [(s.kind, s.file) for s in raw.skips] == [("refused_file", "drops/2023-11-28/AAA.parquet")]


def test_strangers_in_a_package(minutes: pl.DataFrame, tmp_path: Path) -> None:
    _deliver(minutes, tmp_path)
    (tmp_path / "README.md").touch()
    (tmp_path / "drops" / "empty").mkdir(parents=True)
    (tmp_path / "drops" / "note.txt").touch()
    (tmp_path / "drops" / ".hidden").mkdir()
    _deliver(minutes[:3], tmp_path, "2023-11-28")
    (tmp_path / "drops" / "2023-11-28" / "log.txt").touch()
    foreign = [skip.file for skip in PackageSource(tmp_path).skips() if skip.kind == "foreign_file"]
    assert foreign == ["README.md", "drops/2023-11-28/log.txt", "drops/empty", "drops/note.txt"]


def test_a_list_of_sums_that_is_none(minutes: pl.DataFrame, tmp_path: Path) -> None:
    _deliver(minutes, tmp_path)
    (tmp_path / "SHA256SUMS").write_text("abc AAA.parquet\n")
    with pytest.raises(SourceError, match="line 1 must be a SHA-256, two spaces and a file name"):
        PackageSource(tmp_path)


def test_the_base_may_lack_what_its_list_has(minutes: pl.DataFrame, tmp_path: Path) -> None:
    digest = hashlib.sha256(_deliver(minutes, tmp_path).read_bytes()).hexdigest()
    (tmp_path / "SHA256SUMS").write_text(f"{digest}  AAA.parquet\n{digest}  BBB.parquet\n")
    source = PackageSource(tmp_path)
    assert source.read_session(WED).frame["Symbol"].unique().to_list() == ["AAA"]
    assert [str(problem) for problem in source.problems()] == ["BBB.parquet: it is listed in SHA256SUMS and not here"]


def test_an_empty_folder_is_no_package(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"is empty; it must hold \{SYMBOL\}.parquet .* drops/\{NAME\}/"):
        PackageSource(tmp_path)


def test_a_configuration_opens_it(minutes: pl.DataFrame, tmp_path: Path) -> None:
    _deliver(minutes, tmp_path / "eod")
    _deliver(minutes, tmp_path / "eod", symbol="BBB")
    config = PackageConfig.model_validate({"path": "eod", "redelivery": "minute", "marker": "_DONE"})
    context = SourceContext(tmp_path, tmp_path / "d", "XNYS", ("BBB",), lambda: dt.datetime.now(dt.UTC), {})
    source = config.open(context)
    assert source.name == f"package {tmp_path / 'eod'}"
    assert source.symbols() == ["BBB"]
