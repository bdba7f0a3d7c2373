import shutil

import pytest

from omsdpm import InputError
from omsdpm.dataset.workfolder import MARKER, clear_away, own_folder, put_away


def test_a_build_removes_what_it_made_and_nothing_else(tmp_path):
    mine, other = tmp_path / "00-a", tmp_path / "00-b"
    own_folder(mine)
    (mine / "shard-00000.npz").write_bytes(b"x")
    other.mkdir()
    (other / "thesis.tex").write_text("dear to me")
    put_away(mine)
    put_away(other)
    assert [path.name for path in tmp_path.iterdir()] == ["00-b"]
    assert (other / "thesis.tex").read_text() == "dear to me"


def test_a_folder_under_another_name_than_its_marker_says_stays(tmp_path):
    own_folder(tmp_path / "00-a")
    shutil.copytree(tmp_path / "00-a", tmp_path / "copy")
    put_away(tmp_path / "copy")
    assert (tmp_path / "copy" / MARKER).exists()


def test_a_link_to_somewhere_is_neither_taken_nor_removed(tmp_path):
    victim = tmp_path / "victim"
    own_folder(victim / "00-a")
    (tmp_path / "00-a").symlink_to(victim / "00-a")
    put_away(tmp_path / "00-a")
    assert (victim / "00-a" / MARKER).exists()
    with pytest.raises(InputError, match="no folder of a build: move it away"):
        own_folder(tmp_path / "00-a")


def test_what_a_killed_process_had_put_away_is_removed(tmp_path):
    away = [".00-first-" + "0f" * 16, ".baselines-" + "a1" * 16]
    others = [".mine", ".00-first-0f", "00-first-" + "0f" * 16, ".git"]
    for name in (*away, *others):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shard-00001.npz").write_bytes(b"x")
    clear_away(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)
    clear_away(tmp_path / "none")
