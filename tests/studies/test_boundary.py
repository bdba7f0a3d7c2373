"""The one boundary of the commands: what nobody foresaw while a file is read is one line that names the file."""

import pytest
from click.testing import CliRunner

from omsdpm.errors import InputError
from omsdpm.files import file_of, reads
from studies.cli import main
from studies.cli._lazy import refusal


@reads("path")
def read(path, error):
    raise error


def failed(*given, **keywords):
    with pytest.raises(Exception) as raised:
        read(*given, **keywords)
    return raised.value


def test_an_error_knows_the_file_that_was_read(tmp_path):
    for error in (failed(tmp_path / "a", KeyError("x")), failed(error=KeyError("x"), path=str(tmp_path / "a"))):
        assert file_of(error) == str(tmp_path / "a")
        assert error.__notes__ == [f"while {tmp_path / 'a'} was read"]
    assert file_of(KeyError("x")) is None


def test_the_innermost_file_is_told(tmp_path):
    @reads("folder")
    def read_folder(folder):
        read(folder / "inner", ZeroDivisionError("by zero"))

    with pytest.raises(ZeroDivisionError) as raised:
        read_folder(tmp_path)
    assert file_of(raised.value) == str(tmp_path / "inner")


def test_it_is_one_line_that_names_file_and_error(tmp_path):
    told = refusal(failed(tmp_path / "a.toml", RecursionError("too\ndeep")))
    assert isinstance(told, InputError)
    assert str(told).startswith(f"cannot read {tmp_path / 'a.toml'}: RecursionError: too deep; ")
    assert "\n" not in str(told) and "--debug" in str(told)


def test_what_was_refused_stays_as_it_is(tmp_path):
    error = InputError("expected a file")
    assert refusal(failed(tmp_path / "a", error)) is error


def test_a_mistake_of_ours_is_none_of_its_business():
    assert refusal(ZeroDivisionError("by zero")) is None


def test_a_file_that_may_not_be_used_is_told():
    told = refusal(PermissionError(13, "Permission denied", "/somewhere/x"))
    assert str(told) == "cannot use /somewhere/x: Permission denied"


def broken_zoo(monkeypatch):
    """A zoo's reader with a mistake in it."""
    import omsdpm.zoo.profile

    @reads("folder")
    def profile_zoo(folder, **keywords):
        raise LookupError("a mistake of ours")

    monkeypatch.setattr(omsdpm.zoo.profile, "profile_zoo", profile_zoo)


def test_a_command_ends_with_the_line_and_exit_code_2(monkeypatch, tmp_path):
    broken_zoo(monkeypatch)
    outcome = CliRunner().invoke(main, ["zoo", "profile", str(tmp_path)])
    assert outcome.exit_code == 2
    assert f"Error: cannot read {tmp_path}: LookupError: a mistake of ours; " in outcome.output


def test_debug_shows_where_it_failed(monkeypatch, tmp_path):
    broken_zoo(monkeypatch)
    outcome = CliRunner().invoke(main, ["--debug", "zoo", "profile", str(tmp_path)])
    assert outcome.exit_code == 1 and isinstance(outcome.exception, LookupError)


def test_debug_shows_where_it_was_refused(tmp_path):
    outcome = CliRunner().invoke(main, ["--debug", "info", str(tmp_path / "nothing")])
    assert isinstance(outcome.exception, InputError)
