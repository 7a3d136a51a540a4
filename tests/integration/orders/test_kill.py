"""Killed between any two side effects, a restart ends where an undisturbed run does, with one order a wish."""

import importlib.util
import sqlite3
from pathlib import Path

import pytest
from harness import order_market as kit
from harness.spawner import Spawner
from polars.testing import assert_frame_equal

PROGRAM = Path(__file__).with_name("route_program.py")
_spec = importlib.util.spec_from_file_location("route_program", PROGRAM)
program = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(program)

POINTS = [
    ("intents_recorded", 1), ("reconciled", 1), ("reconciled", 7), ("caught_up", 1), ("advanced", 1), ("advanced", 20),
    ("guarded", 3),
    ("step_committed", 1), ("step_committed", 9), ("before_send", 1), ("before_send", 2), ("before_send", 17),
    ("sent", 1), ("sent", 2), ("sent", 23), ("session_played", 1), ("worth_recorded", 1),
]  # fmt: skip


def fates(desk) -> dict[str, str]:
    return {
        intent.order_ref: str(desk.ledger.state_of(intent.idempotency_key))
        for intent in desk.ledger.intents(None, "paper")
    }


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Path]:
    """Folders as each kill left them."""
    folders = {point: tmp_path_factory.mktemp(f"{point[0]}{point[1]}") for point in POINTS}
    with Spawner(PROGRAM, Path(__file__).parents[3]) as spawner:
        for point, state in folders.items():
            killed, _ = spawner.run("route", str(state), *point)
            assert killed, point
    return folders


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory):
    desk = program.desk(tmp_path_factory.mktemp("undisturbed"))
    for session in kit.SESSIONS[:2]:
        desk.route(session)
    return desk


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS, ids=lambda p: f"{p[0]}-{p[1]}")
def test_a_restart_ends_where_an_undisturbed_run_does(killed, undisturbed, point: tuple[str, int]) -> None:
    desk = program.desk(killed[point])
    for session in kit.SESSIONS[:2]:
        desk.route(session)
    assert fates(desk) == fates(undisturbed) and len(fates(desk)) > 20
    for variant in desk.variants:
        assert_frame_equal(desk.trades(variant), undisturbed.trades(variant))
    assert [(w.session, w.variant, w.equity) for w in desk.ledger.worth("paper")] == [
        (w.session, w.variant, w.equity) for w in undisturbed.ledger.worth("paper")
    ]
    assert desk.ledger.verify() == []
    assert desk.ledger.risk_events("paper", "unknown_order") == []
    with sqlite3.connect(killed[point] / "broker.db") as db:
        refs = [row[0] for row in db.execute("SELECT order_ref FROM orders")]
        fills = db.execute("SELECT count(*) FROM events WHERE kind = 'fill'").fetchone()[0]
    db.close()
    assert len(refs) == len(set(refs)) and fills == len(desk.ledger.fills("paper"))
