"""How much time a part has left."""

from studies.records.progress import Pace, duration


def test_time_left_goes_by_what_was_done_here():
    now = [0.0]
    pace = Pace(clock=lambda: now[0])
    assert pace.words(3.0) == "after 3 s" and pace.left() is None
    pace.moved(400, 1000)  # of a build that was killed
    assert pace.words(5.0) == "400 of 1,000 after 5 s"
    now[0] = 50.0
    pace.moved(500, 1000)
    assert pace.left() == 250.0
    assert pace.words(55.0) == "500 of 1,000 after 55 s, about 4 min left"
    pace.moved(1000, 1000)
    assert pace.left() == 0.0


def test_times_in_words():
    assert [duration(seconds) for seconds in (90, 300, 12240)] == ["90 s", "5 min", "3.4 h"]
