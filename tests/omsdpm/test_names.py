import pytest

from omsdpm import InputError
from omsdpm.names import file_name, plain_name
from omsdpm.zoo.recipe import ZooRecipe

BAD = ["", ".", "..", "../../outside", "/tmp/x", "a/b", "a\\b", "x/../../../victim", ".hidden", "dot.", "a\nb", "a\0b"]
BAD += ["CON", "nul.txt", "x" * 101, "C:x", " a", "a b\t"]


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_plain_name(name):
    with pytest.raises(ValueError, match="expected letters, digits"):
        plain_name(name)


@pytest.mark.parametrize("name", ["1", "digits-ddim", "v2.1", "_x", "größe", "a..b", "x" * 100])
def test_plain_names_stay(name):
    assert plain_name(name) == name
    assert file_name(name) == name


@pytest.mark.parametrize("text", ["../../x", "/etc/passwd", "..", ".", "", "a\\..\\b", "x" * 5000, "é" * 300, "a\0b"])
def test_any_text_becomes_a_file_of_its_folder(tmp_path, text):
    path = tmp_path / file_name(text)
    assert path.resolve().parent == tmp_path.resolve()
    path.write_text("x")


def test_long_texts_keep_apart_and_keep_their_ending():
    one, other = (file_name(f"gbdt[{'x' * 400}{end}]-1.csv") for end in "ab")
    assert one != other
    assert one.endswith(".csv")


@pytest.mark.parametrize("name", ["../../outside", "/tmp/omsdpm-outside", "a/b", ".."])
def test_a_recipe_cannot_name_a_member_outside(tmp_path, name):
    path = tmp_path / "zoo.toml"
    path.write_text(
        f'[zoo]\nname = "z"\nimage_size = 8\nchannels = 1\n[[member]]\nname = "{name}"\nunet = {{}}\n', encoding="utf-8"
    )
    with pytest.raises(InputError, match=r"member#1\.name: .*expected letters, digits"):
        ZooRecipe.read(path)


def test_members_differ_on_disks_that_know_no_case(tmp_path):
    path = tmp_path / "zoo.toml"
    members = "".join(f'[[member]]\nname = "{name}"\nunet = {{}}\n' for name in ("A", "a"))
    path.write_text(f'[zoo]\nname = "z"\nimage_size = 8\nchannels = 1\n{members}', encoding="utf-8")
    with pytest.raises(InputError, match="each with its own name"):
        ZooRecipe.read(path)
