"""What members take of a device's memory."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from omsdpm import InputError, ModelZoo
from omsdpm.memory import MIB, members_within, memory_of, weights_of
from omsdpm.zoo.adding import derive_members
from omsdpm.zoo.files import read_latency_card, write_latency_card
from omsdpm.zoo.profile import profile_zoo
from studies.cli import main
from studies.jobs.search.settings import SearchSettings

CARD = {
    "ms": [1.0, 2.0, 3.0],
    "weights": [
        {"members": [1], "mib": 10.0},
        {"members": [1, 2], "mib": 100.0},
        {"members": [3], "mib": 60.0},
    ],
}


def test_weights_are_counted_once_however_many_hold_them(tiny_zoo, tmp_path):
    zoo = ModelZoo.load(tiny_zoo)
    parts = weights_of(zoo)
    assert [part["members"] for part in parts] == [[1], [2], [3]]
    for part, member in zip(parts, zoo.members, strict=True):
        own = sum(weights.numel() * 4 for weights in member.network.parameters())
        assert part["mib"] == pytest.approx(own / MIB, abs=0.0006)
    derive_members(tiny_zoo / "3", tmp_path, ["as-is", "skip[blocks=middle]", "dtype[to=bfloat16]"])
    shared = {tuple(part["members"]): part["mib"] for part in weights_of(ModelZoo.load(tmp_path))}
    assert shared[1, 2] > 0 and shared[3,] > 0 and (2,) not in shared


def test_members_together_take_their_weights_and_what_one_works_with():
    assert [memory_of(CARD, numbers) for numbers in ([1], [2], [3])] == [110, 100, 60]
    assert memory_of(CARD, [1, 2]) == 110 and memory_of(CARD, [1, 2, 3]) == 170
    measured = {**CARD, "peak_mib": [175.0, 180.0, 200.0]}  # all loaded, 170, and 5, 10 and 30 to work with
    assert memory_of(measured, [1, 2]) == 120 and memory_of(measured, [1, 3]) == 200
    alone = {**CARD, "offload": True, "peak_mib": [115.0, 110.0, 90.0]}
    assert [memory_of(alone, [number]) for number in (1, 2, 3)] == [115, 110, 90]


def test_the_largest_sets_that_fit():
    assert members_within(CARD, 170, offload=False) == [(1, 2, 3)]
    assert members_within(CARD, 169, offload=False) == [(1, 2), (2, 3)]
    assert members_within(CARD, 105, offload=False) == [(2,), (3,)]
    assert members_within(CARD, 105, offload=True) == [(2, 3)]
    with pytest.raises(InputError, match="50 MiB are too little for any member: the smallest takes 60"):
        members_within(CARD, 50, offload=True)
    with pytest.raises(InputError, match="says nothing of the members' memory"):
        members_within({"ms": [1.0]}, 50, offload=False)


@pytest.fixture
def zoo(tiny_zoo, tmp_path):
    import shutil

    folder = shutil.copytree(tiny_zoo, tmp_path / "zoo")
    write_latency_card(folder, CARD)
    return folder


def settings(zoo, **given):
    return SearchSettings(zoo=zoo, budgets=(5.0,), reference="digits", **given)


@pytest.mark.parametrize(
    "given, members",
    [
        ({}, (1, 2, 3)),
        ({"members": "3,1"}, (1, 3)),
        ({"max_memory": 500.0}, (1, 2, 3)),
        ({"max_memory": 105.0, "offload": True}, (2, 3)),
        ({"max_memory": 105.0, "members": "3"}, (3,)),
    ],
)
def test_a_search_is_of_the_members_that_fit(zoo, tmp_path, given, members):
    assert settings(zoo, **given).open_benchmark(tmp_path).measurement.numbers == members


@pytest.mark.parametrize(
    "given, message",
    [
        ({"max_memory": 169.0}, "not all members fit together; 1,2 or 2,3 fit: choose by --members, or give --offload"),
        ({"max_memory": 105.0, "members": "2,3"}, r"--members 2,3 take more than --max-memory 105 MiB; 2 or 3 fit"),
        ({"max_memory": 5.0}, "too little for any member"),
        ({"members": "1,x"}, "--members 1,x: expected numbers from 1, as 1,2,5"),
        ({"members": "0"}, "expected numbers from 1"),
        ({"members": "4"}, "member 4: zoo .* has members 1..3"),
    ],
)
def test_members_that_do_not_fit_are_told(zoo, tmp_path, given, message):
    with pytest.raises(InputError, match=message):
        _ = settings(zoo, **given).open_benchmark(tmp_path).measurement.numbers


def test_a_zoo_without_a_table_of_memory(zoo, tmp_path):
    write_latency_card(zoo, {"ms": [1.0, 2.0, 3.0]})
    with pytest.raises(InputError, match="says nothing of the members' memory"):
        settings(zoo, max_memory=5.0).open_benchmark(tmp_path)
    (zoo / "latency.toml").unlink()
    with pytest.raises(InputError, match="has no table of it: measure with"):
        settings(zoo, max_memory=5.0).open_benchmark(tmp_path)


@pytest.mark.parametrize(
    "weights, message",
    [
        ([{"members": [4], "mib": 1.0}], "weights are of a member 4, and there are 3"),
        ([{"members": [], "mib": 1.0}], "members"),
        ([{"members": [1], "mib": -1.0}], "mib"),
        ([{"members": [1]}], "mib"),
    ],
)
def test_a_table_of_weights_that_is_none_is_refused(zoo, weights, message):
    write_latency_card(zoo, {"ms": [1.0, 2.0, 3.0], "weights": weights})
    with pytest.raises(InputError, match=message):
        read_latency_card(zoo)


def test_a_profile_says_the_weights_and_how_members_ran(zoo):
    card = profile_zoo(zoo, batch_size=2, repeats=1, schedules=0)
    assert [part["members"] for part in card["weights"]] == [[1], [2], [3]]
    assert not {"dtype", "channels_last", "compiled", "offload"} & card.keys()
    asked = ["zoo", "profile", str(zoo), "--batch-size", "2", "--repeats", "1", "--schedules", "0"]
    done = CliRunner().invoke(main, [*asked, "--dtype", "bfloat16", "--channels-last", "--offload", "--name", "half"])
    assert done.exit_code == 0, done.output
    half = read_latency_card(zoo, name="half")
    assert (half["dtype"], half["channels_last"]) == ("bfloat16", True)
    assert "offload" not in half  # the CPU is where they would wait
    assert half["weights"][0]["mib"] == pytest.approx(card["weights"][0]["mib"] / 2, abs=0.001)


def test_a_member_that_waits_is_timed_when_it_is_there(zoo, monkeypatch):
    from tests.omsdpm.test_offload import Watched

    watched = Watched()
    monkeypatch.setattr("omsdpm.zoo.zoo.offload_to", lambda device: watched)
    from omsdpm.devices import Running

    card = profile_zoo(zoo, batch_size=2, repeats=1, schedules=1, running=Running(offload=True))
    assert card["offload"] and card["schedules"] == 4 and watched.copied
