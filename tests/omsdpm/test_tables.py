import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from omsdpm import InputError
from omsdpm.tables import model_of, read_table, read_toml, table_error


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Cat(Table):
    kind: Literal["cat"] = "cat"
    lives: int = Field(9, gt=0)


class Dog(Table):
    kind: Literal["dog"]
    leash: float


class House(Table):
    street: str
    number: int = Field(1, ge=1, le=999)
    rent: float = 0.0
    garden: bool = False
    rooms: tuple[str, ...] = Field((), max_length=3)
    plan: Path | None = None
    mode: Literal["light", "dark"] = "light"
    owner: int | str = 1
    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]] = []
    cellar: dict[str, Cat] = {}
    from_year: int = Field(0, alias="from")

    @field_validator("street")
    @classmethod
    def _named(cls, value):
        if value.isspace():
            raise InputError("an empty street:\nname one")
        return value


def test_a_table_becomes_its_model():
    table = {
        "street": "Elm",
        "number": 5,
        "rent": 3,
        "rooms": ["hall", "bath"],
        "plan": "a/b.png",
        "pets": [{"kind": "dog", "leash": 1.5}, {"kind": "cat"}],
        "cellar": {"left": {"lives": 7}},
        "from": 1900,
    }
    house = read_table(House, table, "house.toml")
    assert (house.number, house.rent, house.rooms, house.plan) == (5, 3.0, ("hall", "bath"), Path("a/b.png"))
    assert house.pets == [Dog(kind="dog", leash=1.5), Cat()] and house.cellar == {"left": Cat(lives=7)}
    assert house.from_year == 1900


def test_numpy_values_and_paths_are_taken():
    house = read_table(House, {"street": "Elm", "number": np.int64(3), "plan": Path("x")}, "code")
    assert (house.number, house.plan) == (3, Path("x"))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        # An unknown key is told before the one that is lacking for it, and the nearest first.
        ({"stret": "Elm"}, "h: unknown key 'stret'; choose one of: street, "),
        ({"street": "Elm", "numer": 1}, "h: unknown key 'numer'; choose one of: number, "),
        ({"street": "Elm", "form": 1}, "h: unknown key 'form'; choose one of: from, "),
        (
            {"street": "Elm", "pets": [{"kind": "cat"}, {"kind": "dog", "leesh": 1}]},
            "h: pets#2: unknown key 'leesh'; choose one of: leash, kind",
        ),
        ({"street": "Elm", "cellar": {"left": {"life": 1}}}, "h: cellar.left: unknown key 'life'; choose one of: "),
        ({}, "h lacks the key 'street'"),
        ({"street": "Elm", "pets": [{"kind": "dog"}]}, "h lacks the key 'pets#1.leash'"),
        ({"street": 5}, "h: street = 5, expected text"),
        ({"street": "Elm", "number": 0}, "h: number = 0, expected greater than or equal to 1"),
        ({"street": "Elm", "number": "5"}, "h: number = '5', expected a whole number"),
        ({"street": "Elm", "number": 5.0}, "h: number = 5.0, expected a whole number"),
        ({"street": "Elm", "number": True}, "h: number = True, expected a whole number"),
        ({"street": "Elm", "rent": "1.5"}, "h: rent = '1.5', expected a number"),
        ({"street": "Elm", "rent": float("nan")}, "h: rent = nan, expected a finite number"),
        ({"street": "Elm", "rent": float("inf")}, "h: rent = inf, expected a finite number"),
        ({"street": "Elm", "garden": 1}, "h: garden = 1, expected true or false"),
        ({"street": "Elm", "rooms": "hall"}, "h: rooms = 'hall', expected a list"),
        ({"street": "Elm", "rooms": ["hall", 2]}, "h: rooms#2 = 2, expected text"),
        ({"street": "Elm", "rooms": ["a"] * 4}, "h: rooms = ['a', 'a', 'a', 'a'], expected at most 3 items"),
        ({"street": "Elm", "mode": "drak"}, "h: mode = 'drak', expected 'light' or 'dark'"),
        ({"street": "Elm", "owner": 1.5}, "h: owner = 1.5, expected a whole number or text"),
        ({"street": "Elm", "cellar": {"left": 3}}, "h: cellar.left = 3, expected a table"),
        ({"street": "Elm", "cellar": {"left": {"lives": -1}}}, "h: cellar.left.lives = -1, expected greater than 0"),
        ({"street": "Elm", "pets": [{"kind": "cow"}]}, "h: pets#1: unknown kind 'cow'; choose one of: "),
        ({"street": " "}, "h: street: an empty street: name one"),
        ({"street": "E" * 500, "number": 0, "rent": "x"}, "h: number = 0, expected"),
        ({"street": "Elm", "number": "9" * 500}, "h: number = '" + "9" * 55 + " ..., expected a whole number"),
        ({"street": {1}}, "h: {1} has no place in a table"),
        (["street"], "h: ['street'] is no table of keys and values"),
    ],
)
def test_what_is_wrong_is_one_line(table, message):
    with pytest.raises(InputError) as caught:
        read_table(House, table, "h")
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_errors_of_a_model_made_elsewhere_are_told_alike():
    with pytest.raises(ValidationError) as caught:
        House(street="Elm", numer=1)
    assert str(table_error(caught.value, House, "settings")).startswith("settings: unknown key 'numer'; choose one of:")


class Plain:
    def __init__(self, size: int, names: list[str] | None = None, *, scale: float = 1.0):
        self.given = (size, names, scale)


def plain(size: int, names: list[str] | None = None, *, scale: float = 1.0):
    return size, names, scale


@dataclass
class Record:
    derived: float = field(init=False)
    size: int
    names: list[str] | None = None
    scale: float = field(default=1.0, kw_only=True)


@pytest.mark.parametrize("thing", [Plain, plain, Record])
def test_the_parameters_of_a_callable_are_a_model(thing):
    model = model_of(thing)
    assert dict(read_table(model, {"size": 3, "names": ["a"]}, "t")) == {"size": 3, "names": ["a"], "scale": 1.0}
    for table, message in [
        ({"size": 3, "nmes": []}, "t: unknown key 'nmes'; choose one of: names, "),
        ({"names": None}, "t lacks the key 'size'"),
        ({"size": 3, "scale": "1"}, "t: scale = '1', expected a number"),
        ({"size": 3, "scale": float("nan")}, "t: scale = nan, expected a finite number"),
        ({"size": 3, "derived": 1.0}, "t: unknown key 'derived'; choose one of: "),
    ]:
        with pytest.raises(InputError) as caught:
            read_table(model, table, "t")
        assert str(caught.value).startswith(message)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_toml_is_utf_8_with_or_without_a_mark(tmp_path, mark):
    (tmp_path / "a.toml").write_bytes(mark + 'name = "Zoë"\n'.encode())
    assert read_toml(tmp_path / "a.toml", "write one") == {"name": "Zoë"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"cannot read .*a\.toml: No such file or directory; write one"),
        (b"a = \n", r"a\.toml is not TOML: Invalid value \(at line 1, column 5\)"),
        (b'a = "\xff"\n', r"a\.toml is not TOML: 'utf-8' codec can't decode byte 0xff"),
        (b"a = 1\na = 2\n", r"a\.toml is not TOML: Cannot overwrite a value"),
        (b"a = " + b"[" * 5000, r"a\.toml is not TOML: "),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path, content, message):
    if content is not None:
        (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_toml(tmp_path / "a.toml", "write one")
    assert "\n" not in str(caught.value)


def test_reading_toml_does_not_wait_for_pydantic():
    code = "import sys, omsdpm.tables; print('pydantic' in sys.modules)"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert outcome.stdout.strip() == "False"


@pytest.mark.parametrize("moment", ["2026-01-01", "07:32:00", "1979-05-27T07:32:00Z"])
def test_dates_and_times_are_no_text(tmp_path, moment):
    from omsdpm.zoo import ZooFile

    (tmp_path / "zoo.toml").write_text(
        f'noise = {{}}\nmember = [{{ folder = "1" }}]\n[zoo]\nname = {moment}\nimage_size = 8\nchannels = 1\n'
    )
    with pytest.raises(InputError, match=rf"zoo.name = {moment[:8]}.*, expected text"):
        ZooFile.read(tmp_path)


def test_the_date_of_a_latency_table_may_be_one(tmp_path):
    from omsdpm.zoo.files import read_latency_card

    for spelled in ("2026-01-01", '"2026-01-01"'):
        (tmp_path / "latency.toml").write_text(f"ms = [1.0]\ndate = {spelled}\n")
        assert read_latency_card(tmp_path, 1)["date"] == "2026-01-01"
