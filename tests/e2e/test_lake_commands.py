"""`trading lake` and `trading query --as-of` on a small home with a refused session and a session delivered twice."""

import contextlib
import csv
import datetime as dt
import io
import json
import os
import pty
import sqlite3
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from harness.home import make_home
from harness.processes import BIN, clean_environment

from resources.lake import Gone, Lake, open_lake
from resources.lake.publish import AuditFailed, Publisher
from trading.synthetic import Injection
from trading_assets.cli import main
from trading_assets.publications import contract_audit
from trading_assets.settings import Settings

BARS = "key:m1_raw or key:m1_bars or key:m5_bars or key:d1_bars"
DAYS = [dt.date(2023, 10, day) for day in (2, 3, 4, 5)]
REVISED, REFUSED = DAYS[0], DAYS[2]


@dataclass
class Ended:
    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Trading = Callable[..., Ended]


@dataclass
class Home:
    path: Path
    minutes: pl.DataFrame  # of SYNA on the revised session, as first delivered

    @property
    def lake(self) -> Lake:
        return open_lake(Settings.load(self.path, env={}).lake_uri)

    @property
    def quarantine(self) -> str:
        [tag] = self.lake.list_tags("quarantine-")
        return tag


def end_of(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    code = ended.value.code
    return code if isinstance(code, int) else 0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One session refused for a bad bar; then SYNA's first session comes again: a minute less, one with another Volume."""
    path = tmp_path_factory.mktemp("lake-commands")
    days = make_home(path, sessions=4, symbols=3, injections=[Injection("bad_bar", "SYNB", REFUSED)])
    assert days == DAYS
    at = ["--home", str(path)]
    assert end_of("materialise", BARS, "--from", str(DAYS[0]), "--to", str(DAYS[-1]), *at) == 1
    file = path / "data" / "SYNA.parquet"
    first = pl.read_parquet(file)
    of_day = first.filter(pl.col("Timestamp").dt.date() == REVISED).sort("Timestamp")
    gone, changed = of_day["Timestamp"][100], of_day["Timestamp"][200]
    volume = pl.when(pl.col("Timestamp") == changed).then(pl.col("Volume") + 7).otherwise(pl.col("Volume"))
    first.filter(pl.col("Timestamp") != gone).with_columns(volume.alias("Volume")).write_parquet(file)
    assert end_of("materialise", BARS, "--partition", str(REVISED), *at) == 0
    return Home(path, of_day)


@pytest.fixture
def trading(home: Home, capsys: pytest.CaptureFixture[str]) -> Trading:
    """Run a command on the home; what it printed, and its status."""

    def call(*arguments: str, at: Path | None = None) -> Ended:
        capsys.readouterr()
        status = end_of(*arguments, "--home", str(at or home.path))
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return Ended(status, shown.out, shown.err)

    return call


def revision(home: Home) -> str:
    """The commit that brought the second delivery of the raw minutes."""
    return next(
        iter(home.lake.log("main", path=f"m1_raw/session={REVISED}/universe=demo/data.parquet", first_parent=True))
    ).id


def test_log_says_what_was_published_by_which_run(home: Home, trading: Trading) -> None:
    lines = trading("lake", "log", "--dataset", "m1_raw", "--limit", "2").lines
    assert len(lines) == 2
    commit = home.lake.get_commit(revision(home))
    rows = json.loads(commit.metadata["rows"])["data.parquet"]
    assert lines[0].startswith(
        f"{commit.id[:12]}  {commit.created:%Y-%m-%d %H:%M:%S}Z  m1_raw/session={REVISED}/universe=demo  "
    )
    assert f"{rows:,} rows" in lines[0] and lines[0].endswith(f"run {commit.metadata['run_id'][:8]}")


def test_log_of_a_path_has_its_versions_only(trading: Trading) -> None:
    assert len(trading("lake", "log", "--path", f"m5_bars/session={REVISED}/data.parquet").lines) == 2
    assert len(trading("lake", "log", "--path", f"m5_bars/session={DAYS[1]}/data.parquet").lines) == 1


def test_log_as_json_and_long(home: Home, trading: Trading) -> None:
    found = [json.loads(line) for line in trading("lake", "log", "--limit", "3", "--json").lines]
    assert [one["id"] for one in found] == [c.id for c in home.lake.log("main", limit=3, first_parent=True)]
    assert found[0]["metadata"] == dict(home.lake.get_commit(found[0]["id"]).metadata)
    text = trading("lake", "log", revision(home), "--limit", "1", "--long").out
    assert f"commit {revision(home)}" in text and "source_files" in text


def test_show_a_commit_with_its_inputs_and_what_it_holds(home: Home, trading: Trading) -> None:
    newest = next(iter(home.lake.log("main", path=f"m5_bars/session={REVISED}/data.parquet", first_parent=True)))
    shown = trading("lake", "show", newest.id)
    assert f"    m1_bars  at {json.loads(newest.metadata['inputs'])['m1_bars'][:12]}" in shown.lines
    held = next(line.split() for line in shown.lines if line.strip().startswith("m1_raw"))
    assert held[1:3] == ["4", "4"] and held[-3:] == [
        f"session={DAYS[0]}/universe=demo",
        "to",
        f"session={DAYS[-1]}/universe=demo",
    ]


def test_show_a_folder_and_files(home: Home, trading: Trading) -> None:
    path = f"m1_bars/session={REVISED}/data.parquet"
    assert path in trading("lake", "show", "main", f"m1_bars/session={REVISED}").out
    shown = trading("lake", "show", "main", path, "--rows", "2").out
    height = pl.read_parquet(home.lake.local_path("main", path)).height
    assert f"{height:,} rows" in shown and "Timestamp" in shown and f"the first 2 of {height:,} rows" in shown
    table = list(csv.DictReader(io.StringIO(trading("lake", "show", "main", path, "--csv").out)))
    assert len(table) == height and table[0]["Symbol"] == "SYNA"


def test_diff_tells_the_rows_of_a_second_delivery(home: Home, trading: Trading) -> None:
    shown = trading("lake", "diff", revision(home))
    changed, gone = home.minutes.row(200, named=True), home.minutes.row(100, named=True)
    assert shown.lines[0] == f"m1_raw/session={REVISED}/universe=demo: 1 removed, 1 changed"
    assert shown.lines[1].endswith("more than once: their rows are compared whole, as added and removed")
    assert shown.lines[2] == (
        f"  ~ Symbol=SYNA Timestamp={changed['Timestamp']:%Y-%m-%dT%H:%M:%SZ}: "
        f"Volume {changed['Volume']} -> {changed['Volume'] + 7}"
    )
    assert shown.lines[3].startswith(f"  - Symbol=SYNA Timestamp={gone['Timestamp']:%Y-%m-%dT%H:%M:%SZ} ")
    assert shown.lines[-1] == "1 file: 0 rows added, 1 removed, 1 changed"
    assert (
        trading("lake", "diff", f"{home.lake.get_commit(revision(home)).parents[0]}", revision(home)).out == shown.out
    )


def test_diff_of_two_commits_by_dataset_and_partition(home: Home, trading: Trading) -> None:
    before = home.lake.get_commit(revision(home)).parents[0]
    everything = trading("lake", "diff", before, "main", "--paths").lines
    assert f"~ m5_bars/session={REVISED}/data.parquet" in everything
    assert {line.split("session=")[1][:10] for line in everything} == {str(REVISED)}
    some = trading("lake", "diff", before, "main", "--dataset", "m5_bars", "--partition", str(REVISED), "--rows", "0")
    assert some.lines[0].startswith(f"m5_bars/session={REVISED}: ")
    assert "changed" in some.lines[0] and len(some.lines) == 2
    assert trading("lake", "diff", before, "main", "--partition", str(DAYS[1])).out == "no difference\n"


def test_diff_as_csv_and_json_for_other_programs(home: Home, trading: Trading) -> None:
    table = list(csv.DictReader(io.StringIO(trading("lake", "diff", revision(home), "--csv").out)))
    changed = [line for line in table if line["change"] == "changed"]
    volume = home.minutes["Volume"][200]
    assert [(line["column"], line["old"], line["new"]) for line in changed] == [
        ("Volume", str(volume), str(volume + 7))
    ]
    assert json.loads(changed[0]["row"])["Symbol"] == "SYNA"
    assert {line["change"] for line in table} == {"changed", "removed"}
    [file] = [json.loads(line) for line in trading("lake", "diff", revision(home), "--json").lines]
    assert file["rows"]["counts"] == {"added": 0, "removed": 1, "changed": 1}
    assert file["rows"]["changed"][0]["values"] == {"Volume": {"old": volume, "new": volume + 7}}


def test_quarantine_lists_what_is_open_with_its_reason(home: Home, trading: Trading) -> None:
    shown = trading("lake", "quarantine")
    assert shown.lines[0] == home.quarantine
    assert f"m1_bars/session={REFUSED}, " in shown.lines[1] and shown.lines[1].endswith("open")
    assert "high_bounds (1 row): High must be at or above Open and Close" in shown.lines[2]


def test_show_a_quarantine_tag_says_why_and_how_to_go_on(home: Home, trading: Trading) -> None:
    text = trading("lake", "show", home.quarantine).out
    for part in (
        f"m1_bars/session={REFUSED}",
        "main has not changed there since",
        "high_bounds (1 row)",
        "Symbol=SYNB Timestamp=2023-10-04T",
        f"m1_bars/session={REFUSED}/refused.parquet  ",
        f"trading query 'SELECT * FROM refused LIMIT 20' --as-of {home.quarantine} --home {home.path}",
    ):
        assert part in text
    local = next(line.strip() for line in text.splitlines() if "/objects/" in line)
    assert pl.read_parquet(local).filter(pl.col("High") < pl.col("Close"))["Symbol"].to_list() == ["SYNB"]


def test_what_was_refused_can_be_queried_with_everything_else(home: Home, trading: Trading) -> None:
    bad = trading(
        "query", "SELECT Symbol, session FROM refused WHERE High < Close", "--as-of", home.quarantine, "--csv"
    )
    assert bad.lines == ["Symbol,session", f"SYNB,{REFUSED}"]
    both = "SELECT count(DISTINCT session) AS n FROM d1_bars"
    assert trading("query", both, "--as-of", "main@", "--csv").lines == ["n", "3"]
    assert trading("query", both, "--as-of", home.quarantine, "--csv").status == 0


def test_a_refused_frame_without_a_column_costs_no_other_table(tmp_path: Path, trading: Trading) -> None:
    """The only daily bars of this lake are refused: nothing else gives the column that the models rely on."""
    settings = Settings.load(tmp_path, env={})
    publisher = Publisher(
        open_lake(settings.lake_uri), run_id="r1", code_version="1", clock=lambda: dt.datetime.now(dt.UTC)
    )
    bars = pl.DataFrame(
        {
            "Symbol": ["A"],
            "Timestamp": [dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)],
            **{price: [10.0] for price in ("Open", "High", "Low", "Close")},
            "Volume": [100],
            "session": [dt.date(2024, 1, 2)],
            "minutes": pl.Series([390], dtype=pl.Int32),
            "complete": [True],
        }
    )
    where = {"session": "2024-01-02"}
    publisher.publish("m5_bars", where, bars, audit=contract_audit("bars", "m5"), inputs={})
    with pytest.raises(AuditFailed, match="'Close' is missing") as refused:
        publisher.publish("d1_bars", where, bars.drop("Close"), audit=contract_audit("bars", "d1"), inputs={})
    tag = refused.value.tag
    assert trading("query", "SELECT Symbol, Volume FROM refused", "--as-of", tag, "--csv", at=tmp_path).lines == [
        "Symbol,Volume",
        "A,100",
    ]
    good = trading("query", "SELECT Close FROM m5_bars", "--as-of", tag, "--csv", at=tmp_path)
    assert good.lines == ["Close", "10.0"]
    assert "note: d1_bars as it is: dataset d1_bars lacks the columns Close" in good.err
    assert trading("query", "SELECT Volume FROM d1_bars", "--as-of", tag, "--csv", at=tmp_path).lines == [
        "Volume",
        "100",
    ]
    reason = trading("lake", "show", tag, at=tmp_path).out
    assert "missing_column: 'Close' is missing" in reason


def test_a_refusal_is_mended_by_a_later_publish(tmp_path: Path, trading: Trading) -> None:
    settings = Settings.load(tmp_path, env={})
    publisher = Publisher(
        open_lake(settings.lake_uri), run_id="r1", code_version="1", clock=lambda: dt.datetime.now(dt.UTC)
    )
    frame = pl.DataFrame({"a": [1]})
    with pytest.raises(AuditFailed):
        publisher.publish("d", "k=1", frame, audit=contract_audit("bars", "d"), inputs={})
    publisher.publish("d", "k=2", frame, audit=None, inputs={})
    assert trading("lake", "quarantine", at=tmp_path).lines[1].endswith("open")
    publisher.publish("d", "k=1", frame, audit=None, inputs={})
    assert "nothing is refused and open; 1 mended since: --all" in trading("lake", "quarantine", at=tmp_path).out
    assert "mended by" in trading("lake", "quarantine", "--all", at=tmp_path).lines[1]


def test_tags_are_made_listed_and_removed_unless_orders_rest_on_them(home: Home, trading: Trading) -> None:
    assert trading("lake", "tag", "day-one").lines == [f"day-one -> {home.lake.resolve('main@')}"]
    assert trading("lake", "tag", "day-one").status == 1
    assert trading("lake", "tag", "batch-paper-x", revision(home)).status == 0
    listed = trading("lake", "tag", "--list", "day-").lines
    assert len(listed) == 1 and listed[0].startswith(f"day-one  {home.lake.resolve('main@')[:12]}")
    assert trading("lake", "tag", "--delete", "day-one").status == 0
    again = trading("lake", "tag", "--delete", "day-one")
    assert again.status == 1 and "no tag 'day-one'" in again.err
    refused = trading("lake", "tag", "--delete", "batch-paper-x")
    assert refused.status == 1 and "the data that orders were sent from" in refused.err
    assert trading("lake", "tag", "--delete", "batch-paper-x", "--force").status == 0
    assert home.lake.list_tags("batch-") == {}
    assert trading("lake", "tag", "--list", "--delete", "x").status == 2


def test_export_and_again(home: Home, trading: Trading, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shown = trading("lake", "export", "main@", str(out), "--prefix", "m5_bars/")
    assert shown.status == 0 and f"{out / 'manifest.json'} lists them" in shown.out
    assert json.loads((out / "manifest.json").read_text())["commit"] == home.lake.resolve("main@")
    assert len(list(out.rglob("*.parquet"))) == 3
    again = trading("lake", "export", "main@", str(out))
    assert again.status == 1 and "--overwrite" in again.err
    assert trading("lake", "export", "main@", str(out), "--overwrite", "--prefix", "d1_bars/").status == 0
    assert {path.parts[-3] for path in out.rglob("*.parquet")} == {"d1_bars"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lake", "show", "mian"], "no branch, tag or commit 'mian'. Did you mean main?"),
        (["lake", "show", "main", "m5_bar/x.parquet"], "Did you mean m5_bars/"),
        (["lake", "show", "main", f"m5_bars/session={DAYS[0]}/date.parquet"], "/data.parquet?"),
        (["lake", "log", "--dataset", "m5"], "there are d1_bars, m1_bars, m1_raw, m5_bars"),
        (["lake", "log", "--path", "m5_bars/nothing"], "no object 'm5_bars/nothing'"),
        (["lake", "diff", "main", "nothing-like-it"], "no branch, tag or commit 'nothing-like-it'"),
        (["lake", "export", "mainn", "out"], "Did you mean main?"),
        (["query", "SELECT 1", "--as-of", "mainn"], "Did you mean main?"),
    ],
)
def test_what_is_not_there_is_one_line_with_what_is_like_it(trading: Trading, arguments: list[str], says: str) -> None:
    ended = trading(*arguments)
    assert ended.status == 1
    assert ended.err.startswith("error: ") and len(ended.err.splitlines()) == 1
    assert says in ended.err


def test_the_first_commit_has_nothing_before_it(home: Home, trading: Trading) -> None:
    first = list(home.lake.log("main", first_parent=True))[-1].id
    ended = trading("lake", "diff", first)
    assert ended.status == 1 and "there is nothing before it" in ended.err


def test_a_mistyped_home_gets_no_lake(tmp_path: Path, trading: Trading) -> None:
    ended = trading("lake", "log", at=tmp_path / "typo")
    assert ended.status == 1 and "there is no lake at" in ended.err
    assert not (tmp_path / "typo").exists()


def test_gc_says_what_goes_and_what_stays(home: Home, trading: Trading) -> None:
    shown = trading("lake", "gc", "--dry-run")
    assert shown.status == 0 and "would go" in shown.out and shown.lines[-1] == "nothing was removed"
    assert "quarantine 1" in next(line for line in shown.lines if line.strip().startswith("tags"))
    assert trading("lake", "gc", "--days", "-1").status == 2


def old_lake(folder: Path) -> Lake:
    """A lake whose one partition was published, and published anew, a month ago."""
    then = dt.datetime.now(dt.UTC) - dt.timedelta(days=30)
    lake = open_lake(Settings.load(folder, env={}).lake_uri, clock=lambda: then)
    publisher = Publisher(lake, run_id="r1", code_version="1", clock=lambda: then)
    for value in (1, 2):
        publisher.publish("d", "k=1", pl.DataFrame({"a": [value]}), audit=None, inputs={})
    return lake


def test_gc_keeps_the_window_of_the_settings(tmp_path: Path, trading: Trading) -> None:
    old_lake(tmp_path)

    def expired(*arguments: str) -> int:
        lines = trading("lake", "gc", "--dry-run", *arguments, at=tmp_path).lines
        return int(next(line.split()[2] for line in lines if line.strip().startswith("commits expired")))

    assert expired() == 0
    (tmp_path / "platform.yaml").write_text("storage: {retention_days: 1}\n")
    assert expired() > 0
    assert expired("--days", "60") == 0


def test_gc_asks_on_a_terminal_and_takes_no_for_no(tmp_path: Path, trading: Trading) -> None:
    lake = old_lake(tmp_path)
    before = lake.get_commit("main").parents[0]
    master, terminal = pty.openpty()
    try:
        os.write(master, b"n\n")
        ended = subprocess.run(
            [BIN / "trading", "lake", "gc", "--days", "1", "--home", tmp_path],
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=60,
            env=clean_environment(),
            check=True,
        )
    finally:
        os.close(master)
        os.close(terminal)
    assert "would go" in ended.stdout and "Remove it?" in ended.stdout
    assert ended.stdout.endswith("nothing was removed\n")
    assert lake.diff(before, "main@", mode="two_dot") is not None
    assert trading("lake", "gc", "--days", "1", "--yes", at=tmp_path).lines[1] == "gone"
    with pytest.raises(Gone):
        lake.diff(before, "main@", mode="two_dot")


def test_verify_names_dataset_partition_refs_and_the_remedy(tmp_path: Path, trading: Trading) -> None:
    settings = Settings.load(tmp_path, env={})
    lake = open_lake(settings.lake_uri)
    publisher = Publisher(lake, run_id="r1", code_version="1", clock=lambda: dt.datetime.now(dt.UTC))
    commit = publisher.publish(
        "m5_bars", "session=2024-01-02", pl.DataFrame({"a": [1]}), audit=None, inputs={}
    ).commit_id
    lake.create_tag("decision-abc", commit)
    assert trading("lake", "verify", at=tmp_path).out == "every object is there and has its hash\n"
    local = lake.local_path("main", "m5_bars/session=2024-01-02/data.parquet")
    data = bytearray(local.read_bytes())
    data[len(data) // 2] ^= 1
    local.chmod(0o644)
    local.write_bytes(data)
    damaged = trading("lake", "verify", at=tmp_path)
    assert damaged.status == 1
    for part in (
        f"objects/{local.parent.name}/{local.name}",
        "m5_bars",
        "session=2024-01-02",
        commit[:12],
        "main",
        "decision-abc",
        "backup",
    ):
        assert part in damaged.out
    assert damaged.lines[-1] == "1 problem found"


def test_verify_of_a_damaged_database_is_a_report_not_a_traceback(tmp_path: Path, trading: Trading) -> None:
    settings = Settings.load(tmp_path, env={})
    lake = open_lake(settings.lake_uri)
    publisher = Publisher(lake, run_id="r1", code_version="1", clock=lambda: dt.datetime.now(dt.UTC))
    publisher.publish("m5_bars", "session=2024-01-02", pl.DataFrame({"a": [1]}), audit=None, inputs={})
    lake.close()
    file = tmp_path / "lake" / "lake.db"
    with contextlib.closing(sqlite3.connect(file)) as sql:
        sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    forged = file.read_bytes().replace(b"by run r1", b"by run r2")
    assert forged != file.read_bytes()
    file.write_bytes(forged)
    ended = trading("lake", "verify", at=tmp_path)
    assert ended.status == 1
    assert "commit " in ended.out and "lake.db" in ended.out and ended.lines[-1].endswith("found")
