"""The pages that an operator opens, in a real browser, and a materialisation launched as those pages launch it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.home import make_home
from harness.installation import Installation
from harness.processes import Processes

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# What the UI shows when a page or a query behind it fails.
BROKEN = ("unexpected error", "GraphQL error", "PythonError", "Sorry, this page", "not found", "Failed to load")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, list[str]]]:
    folder = tmp_path_factory.mktemp("ui")
    sessions = make_home(folder / "home", sessions=4)
    processes = Processes(folder / "processes")
    try:
        yield Installation(folder / "home", processes).start(), [day.isoformat() for day in sessions]
    finally:
        left = processes.close()
    assert left == []


@pytest.mark.timeout(1200)
def test_a_backfill_from_the_ui_is_one_run_and_the_command_line_finds_nothing_left_to_do(
    desk: tuple[Installation, list[str]],
) -> None:
    installation, sessions = desk
    backfill = installation.graphql.backfill(["m1_raw", "m1_bars"], sessions)

    def completed() -> bool:
        status = installation.graphql.backfill_status(backfill)
        assert status["error"] is None, status
        return str(status["status"]).startswith("COMPLETED")

    installation.processes.wait_until("the backfill completes", completed, 180, every=1)
    status = installation.graphql.backfill_status(backfill)
    assert (status["status"], len(status["runs"])) == ("COMPLETED_SUCCESS", 1)
    assert {m["partition"] for m in installation.graphql.materializations("m1_bars")} == set(sessions)

    again = installation.trading(
        "materialise", 'key:"m1_raw" or key:"m1_bars"', "--from", sessions[0], "--to", sessions[-1]
    )
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines() == [f"{name}: 0 published, 4 unchanged" for name in ("m1_bars", "m1_raw")]


@pytest.mark.timeout(1200)
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed; apt-get install chromium")
def test_the_pages_of_the_graph_of_an_asset_and_of_its_checks_show_what_is_there(
    desk: tuple[Installation, list[str]], tmp_path: Path
) -> None:
    from playwright.sync_api import sync_playwright

    installation, sessions = desk
    run = installation.graphql.launch("market_data_job", {"dagster/partition": sessions[0]})
    assert installation.wait_for_run(run, 120).status == "SUCCESS"
    researched = installation.trading(
        "materialise", 'key:"signals" or key:"backtest"', "--partition", f"{sessions[0]}|risk1"
    )
    assert researched.returncode == 0, researched.stderr
    pages = {
        "graph": ("/asset-groups", ["market_data", "bars", "promotion", "orders", "warehouse"]),
        "asset": ("/assets/m1_bars", [sessions[0], "exact_duplicates", "Minutes of the regular session"]),
        "checks": ("/assets/m1_bars?view=checks", ["contract", "every_partition_kept", "Passed"]),
        "partitions": ("/assets/m1_bars?view=partitions", ["Materialized"]),
        "lineage": ("/assets/m1_bars?view=lineage", ["m1_raw", "m5_bars"]),
        "backtest": ("/assets/backtest", ["equity_curve", "drawdown_curve"]),
        "automation": ("/automation", ["daily_schedule", "alerts"]),
        "run": (f"/runs/{run}", ["m1_raw", "RUN_SUCCESS"]),
    }
    problems: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
        page.on(
            "response",
            lambda answer: problems.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None,
        )
        for name, (path, expected) in pages.items():
            page.goto(installation.url + path)
            for text in expected:
                page.get_by_text(text).first.wait_for(state="visible", timeout=20_000)
            page.screenshot(path=tmp_path / f"{name}.png")
            shown = page.inner_text("body")
            problems += [f"{path}: {word}" for word in BROKEN if word.lower() in shown.lower()]
        page.goto(f"{installation.url}/assets/backtest")
        for number in range(2):  # equity, then drawdown
            page.get_by_text("Show Markdown").nth(number).click()
            picture = page.locator("img[src^='data:image/png']")
            picture.wait_for(state="visible", timeout=20_000)
            assert picture.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [880, 340]
            page.get_by_role("button", name="Close").click()
            picture.wait_for(state="detached", timeout=20_000)
        browser.close()
    assert problems == []
