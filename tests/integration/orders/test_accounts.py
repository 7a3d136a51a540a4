"""Several accounts in one run: whatever is wrong with one, the others trade on, and the wrong one is named."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from harness.accounts import CALENDAR, SESSION, Accounts

from resources.lake import open_lake
from resources.ledger import Fill, Ledger
from trading.errors import TradingError
from trading.orders import OrderState
from trading_assets.cli import trading
from trading_assets.configured import variant

SESSION_OPEN = CALENDAR.open(SESSION)
BOOKS = {"fixed1": {"capital": 10_000.0}, "risk1": {"capital": 20_000.0}}
LIMITS = {"orders_per_minute": 10_000, "orders_per_second": 10_000}
WRONG = {
    "broken": {"variants": BOOKS, "limits": {"hard_stop_pct": -1}},
    "down": {"variants": BOOKS},
    "euro": {"variants": BOOKS, "currency": "EUR"},
    "killed": {"variants": BOOKS, "limits": LIMITS},
    "live": {"variants": BOOKS, "mode": "live", "broker": "ibkr"},
    "strange": {"variants": {"nowhere": {"capital": 1.0}}},
}
SOUND = {
    "careful": {"variants": BOOKS, "limits": LIMITS | {"max_batch_risk_pct": 0.05}},
    "alpha": {"variants": BOOKS, "limits": LIMITS},
    "omega": {"variants": {"risk1": {"capital": 5_000.0}}, "limits": LIMITS},
}


@dataclass(frozen=True)
class Day:
    accounts: Accounts
    refused: dict[str, dict[str, str]]
    ledger: Ledger

    def command(self, *arguments: str) -> tuple[int, str]:
        env = {"TRADING_CONFIGS": str(self.accounts.settings.configs)}
        done = CliRunner().invoke(trading, [*arguments, "--home", str(self.accounts.settings.home)], env=env)
        return done.exit_code, done.output + (str(done.exception) if isinstance(done.exception, TradingError) else "")


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    accounts = Accounts.make(tmp_path_factory.mktemp("accounts"), SOUND | WRONG)
    for name in BOOKS:
        accounts.promote(name)
    ledger = accounts.ledger
    ledger.engage("account:killed", "drill", "Ada", SESSION_OPEN)
    (accounts.settings.home / "broker" / "down.db").mkdir(parents=True)  # no file can be opened there
    refused = accounts.trade(*SOUND, *WRONG)
    yield Day(accounts, refused, ledger)
    ledger.close()


def test_the_sound_accounts_have_traded_each_by_its_own_capital(day: Day) -> None:
    assert day.refused["alpha"] == day.refused["omega"] == day.refused["careful"] == {}
    filled = {name: day.ledger.fills(name) for name in SOUND}
    assert all(filled.values())
    worth = {name: day.ledger.worth(name, session=SESSION) for name in SOUND}
    assert {w.variant: w.capital for w in worth["alpha"]} == {"fixed1": 10_000.0, "risk1": 20_000.0}
    assert [(w.variant, w.capital) for w in worth["omega"]] == [("risk1", 5_000.0)]
    sizes = {name: first_risk1(fills).qty for name, fills in filled.items()}
    assert sizes["alpha"] == sizes["omega"]  # risk1 sizes by an equity of its own, whatever the account has
    assert {i.account for i in day.ledger.intents(None, "omega")} == {"omega"}
    keys = [{i.idempotency_key for i in day.ledger.intents(None, name)} for name in SOUND]
    assert keys[0].isdisjoint(keys[1])


def test_every_order_says_what_it_comes_from(day: Day) -> None:
    lake = open_lake(day.accounts.settings.lake_uri)
    for intent in day.ledger.intents(None, "alpha"):
        lineage = intent.lineage
        assert lineage.commits.keys() == {"signals", "m5_bars"}
        for dataset, commit in lineage.commits.items():
            assert any(
                path.startswith(f"{dataset}/session={SESSION}") for path in lake.local_paths(commit, f"{dataset}/")
            )
        configured = variant(day.accounts.settings, intent.variant)
        assert (lineage.config_hash, intent.strategy_version) == (configured.config_hash, configured.strategy_version)
        assert lineage.code_version and day.ledger.decision(lineage.decision_id).to_stage == "paper"


def test_a_batch_stays_within_what_its_account_may_risk(day: Day) -> None:
    kept, free = (day.ledger.intents(None, name) for name in ("careful", "alpha"))
    worst: dict[str, float] = {}
    for intent in kept:
        worst[intent.oco_id] = max(worst.get(intent.oco_id, 0.0), intent.risk)
    assert 0 < len(kept) < len(free)
    assert sum(worst.values()) <= 30_000 * 0.0005


def first_risk1(fills: list[Fill]) -> Fill:
    return next(fill for fill in fills if fill.variant == "risk1")


@pytest.mark.parametrize(
    ("account", "says"),
    [
        ("broken", r"accounts/broken\.yml: limits\.hard_stop_pct: .*greater than 0.*found -1"),
        ("down", r"down\.db did not answer"),
        ("euro", r"account euro: its currency is EUR, \w+ trades in USD"),
        ("live", r"account live: TRADING_ALLOW_LIVE is not set; it must be exactly live"),
        ("strange", r"account strange: variants nowhere are not in configs/runs/"),
    ],
)
def test_the_wrong_account_is_refused_by_name(day: Day, account: str, says: str) -> None:
    assert any(re.search(says, text) for text in day.refused[account].values()), day.refused[account]
    assert day.ledger.fills(account) == []


def test_a_killed_account_sends_nothing_and_the_others_do(day: Day) -> None:
    assert day.refused["killed"] == {}
    intents = day.ledger.intents(None, "killed")
    assert intents and day.ledger.fills("killed") == []
    assert {day.ledger.state_of(i.idempotency_key) for i in intents} == {OrderState.REJECTED}
    assert {day.ledger.events(i.idempotency_key)[-1].reason for i in intents} == {"kill_switch"}


def test_status_and_portfolio_show_every_account_and_the_figures_come_out_of_the_fills(day: Day) -> None:
    code, text = day.command("status")
    assert code == 0
    assert "account that is not traded" in text and "broken.yml: limits.hard_stop_pct" in text
    assert "account alpha after session 2024-03-04: equity" in text and "account omega:" in text
    code, text = day.command("ledger", "portfolio", "--account", "alpha")
    assert code == 0 and "computed again from the fills: the same, to the cent" in text
    worth = day.ledger.worth("alpha", session=SESSION)
    assert f"equity {sum(w.equity for w in worth):,.2f} USD" in text
    assert day.command("ledger", "portfolio", "--account", "alpha", "--session", "2024-03-01")[1].endswith(
        "nothing recorded for session 2024-03-01\n"
    )


def test_a_kill_reaches_every_account_that_can_be_reached_and_names_the_others(day: Day) -> None:
    code, text = day.command("kill", "--by", "Ada", "--reason", "drill")
    assert code == 1
    assert all(day.ledger.is_engaged(name, "risk1") for name in ("alpha", "omega"))
    for fault in ("broken.yml", "down.db", "IBKR_ACCOUNT_FILE to a file"):
        assert fault in text
    day.ledger.release("global", "Ada", "over", SESSION_OPEN)


def test_the_ledger_commands_tell_of_heads_and_harm(day: Day, tmp_path: Path) -> None:
    code, heads = day.command("ledger", "heads")
    (tmp_path / "heads.json").write_text(heads)
    assert code == 0 and day.command("ledger", "verify", "--against", str(tmp_path / "heads.json"))[0] == 0
    assert day.command("ledger", "migrate") == (0, "revision 0002; every table is append only\n")
    (tmp_path / "heads.json").write_text(heads.replace('"fills": [\n  ', '"fills": [\n  9'))
    code, text = day.command("ledger", "verify", "--against", str(tmp_path / "heads.json"))
    assert code == 1 and "missing: fills row" in text
    (tmp_path / "heads.json").write_text("[1]")
    assert "must hold what `trading ledger heads` printed" in day.command(
        "ledger", "verify", "--against", str(tmp_path / "heads.json")
    )[1]  # fmt: skip
