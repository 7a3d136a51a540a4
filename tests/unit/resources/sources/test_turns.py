"""The order in which threads get at a source's files."""

import datetime as dt
import threading

from resources.sources.turns import Turns

DAYS = [dt.date(2024, 1, day) for day in range(1, 9)]


def test_the_earliest_session_waiting_goes_first() -> None:
    turns = Turns()
    order: list[dt.date] = []
    threads = []

    def work(session: dt.date) -> None:
        with turns.take(session):
            order.append(session)

    with turns.take():
        for session in [DAYS[i] for i in (5, 2, 7, 0, 3)]:
            threads.append(threading.Thread(target=work, args=(session,)))
            threads[-1].start()
        while len(turns._waiting) < 5:
            threading.Event().wait(0.001)
    for thread in threads:
        thread.join(10)
    assert order == [DAYS[i] for i in (0, 2, 3, 5, 7)]


def test_a_turn_is_given_back_by_an_error() -> None:
    turns = Turns()
    for _ in range(2):
        try:
            with turns.take(DAYS[0]):
                raise ValueError
        except ValueError:
            pass
    with turns.take(DAYS[1]):
        assert turns._waiting == []
