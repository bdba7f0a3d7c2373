"""The page of runs: what it holds, that it says strangers' words as text, and what a browser makes of it."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from html import escape
from html.parser import HTMLParser

import numpy as np
import pytest
from click.testing import CliRunner

from omsdpm import DDIMSpace, InputError, ScheduleDataset
from studies.cli import main
from studies.jobs.fit import FitSettings, fit
from studies.jobs.report import ReportResult, ReportSettings, report
from studies.jobs.report.job import ShownRun, run_folders
from studies.jobs.report.page import Row
from studies.jobs.report.plots import Axis, Line, Plot, Point, Tip, forest
from studies.jobs.run import RunResult, RunSettings, run
from studies.jobs.study.job import study
from studies.jobs.study.settings import StudySettings

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "chrome-headless-shell")
EVIL = "<script>alert(1)</script>\"'&lt;"
VOID = {"meta", "link", "img", "br", "input", "hr"}


class Tree(HTMLParser):
    """Elements with their attributes and text; fails where one is not closed in its place."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        node = {"tag": tag, "text": "", "inside": [one["tag"] for one in self.open], **dict(attrs)}
        self.found.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag, attrs):
        self.found.append({"tag": tag, "text": "", "inside": [one["tag"] for one in self.open], **dict(attrs)})

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data):
        for node in self.open:
            node["text"] += data

    def all(self, tag, **attributes):
        return [
            node
            for node in self.found
            if node["tag"] == tag and all(node.get(name) == value for name, value in attributes.items())
        ]


@pytest.fixture(scope="module")
def runs(_tiny_made, tmp_path_factory):
    """Two runs of the tiny benchmark in one folder, the second with its labels and a baseline's images."""
    folder = tmp_path_factory.mktemp("runs")
    for number, predictor in enumerate(("gbdt[trees=20]", "ridge")):
        run(
            RunSettings(
                benchmark=_tiny_made, predictor=predictor, optimizer="random", evaluations=150, seeds=3, top=2,
                race_images=20, validate_images=20, device="cpu", seed=number, output=folder / f"run{number}",
                leaderboard=folder / "board.csv",
            )
        )  # fmt: skip
    data = _tiny_made.dataset
    rows = slice(0, 30)
    ScheduleDataset(data.space, data.X[rows], data.y[rows], metric=data.metric).write(folder / "run1/schedules.parquet")
    (folder / "run1/samples-8-baseline.png").unlink()  # as folders of earlier versions
    return folder


@pytest.fixture(scope="module")
def made(runs, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "r.html"
    result = report(ReportSettings(runs=(runs,), html=path, title=f"Mine {EVIL}"))
    return path, result


@pytest.fixture(scope="module")
def tree(made):
    return Tree(made[0].read_text())


def test_the_page_has_its_sections_and_all_of_them_are_linked(tree):
    names = [node["id"] for node in tree.all("section")]
    assert names == ["leaderboard", "gains", "fronts", "anytime", "images", "repeat"]
    assert [node["href"] for node in tree.all("a") if "nav" in node["inside"]] == [f"#{name}" for name in names]
    assert len({node["id"] for node in tree.found if "id" in node}) == sum("id" in node for node in tree.found)
    assert tree.all("meta", name="viewport")[0]["content"] == "width=device-width, initial-scale=1"


def test_the_page_asks_the_network_for_nothing(made, tree):
    text = made[0].read_text()
    assert re.findall(r"(?:https?:)?//[\w.]+\.\w+", text) == []
    for node in tree.found:
        for name in ("src", "href"):
            assert node.get(name, "#").startswith(("#", "data:"))
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest", text)
    policy = tree.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy[0]["content"].startswith("default-src 'none'")


def test_the_leaderboard_has_a_row_a_winner_with_what_it_is_sorted_by(runs, tree):
    winners = [winner for number in (0, 1) for winner in RunResult.read(runs / f"run{number}").winners]
    heads = [node["text"] for node in tree.all("th")]
    cells = [node for node in tree.all("td") if "tbody" in node["inside"]]
    assert len(cells) == len(winners) * len(heads) and all("data-sort" in cell for cell in cells)
    rows = [dict(zip(heads, cells[at : at + len(heads)], strict=True)) for at in range(0, len(cells), len(heads))]
    for row, winner in zip(rows, winners, strict=True):
        assert float(row["budget (ms)"]["data-sort"]) == winner.budget
        assert float(row["score"]["data-sort"]) == pytest.approx(winner.measured.mean)
        assert float(row["gain (%), 95 %"]["data-sort"]) == pytest.approx(winner.gain)
        assert row["gain (%), 95 %"]["text"] == f"{winner.gain:+.1f} ± {winner.paired.gain_margin:.1f}"
        assert row["verdict"]["text"] == winner.paired.verdict
        assert row["schedule"]["data-sort"] == " ".join(map(str, winner.schedule))
    assert all("button" in [one["tag"] for one in tree.found if one["inside"][-1:] == ["th"]] for _ in heads)


def test_marks_tell_their_schedules(runs, tree):
    tips = [json.loads(node["data-tip"]) for node in tree.found if "data-tip" in node]
    result = RunResult.read(runs / "run0")
    told = {tuple(tip["schedule"]) for tip in tips}
    assert told >= {winner.schedule for winner in result.winners} | {
        winner.baseline.schedule for winner in result.winners
    }
    assert told >= {tuple(row) for row in result.outcome.front.tolist()}
    assert all(node.get("tabindex") == "0" for node in tree.found if "data-tip" in node)


def test_every_row_says_how_to_repeat_it(runs, tree):
    commands = [node["text"] for node in tree.all("code")]
    assert commands == [RunResult.read(runs / f"run{number}").settings.command() for number in (0, 1)]
    targets = {node["id"] for node in tree.all("details")}
    links = [node["href"] for node in tree.all("a") if "td" in node["inside"]]
    assert set(links) == {f"#{target}" for target in targets} and len(links) == 6


def test_winners_stand_beside_baselines(runs, made, tree):
    pictures = tree.all("img")
    assert len(pictures) == 11 == made[1].images
    winner = next(node for node in pictures if node["alt"].startswith("images of the winner"))
    content = base64.b64decode(winner["src"].removeprefix("data:image/png;base64,"))
    assert content in [path.read_bytes() for path in (runs / "run0").glob("samples-*.png")]
    assert sum(node["alt"].startswith("images of the best baseline") for node in pictures) == 5
    assert len(tree.all("div", **{"class": "none"})) == 1


def test_labels_give_the_best_so_far(_tiny_made, tree):
    """Of the curve of a budget the first and the last value are the labels' own."""
    X, y = _tiny_made.dataset.X[:30], _tiny_made.dataset.y[:30]
    cost = _tiny_made.space.latency(X, _tiny_made.latency)
    tips = [json.loads(node["data-tip"]) for node in tree.found if "data-tip" in node]
    lines = [tip["lines"][0] for tip in tips if tip["title"].startswith("16 ms after ")]
    within = y[cost <= 16]
    assert lines[0] == f"best label {within[0]:.3f}" and lines[-1] == f"best label {within.min():.3f}"


def test_words_of_strangers_are_text(made, tree, runs, tmp_path):
    assert tree.all("h1")[0]["text"] == f"Mine {EVIL}" == tree.all("title")[0]["text"]
    assert len(tree.all("script")) == 1
    table = json.loads((runs / "run0/result.json").read_text())
    table["benchmark"]["name"] = table["predictor"]["name"] = table["environment"]["device"] = EVIL
    for winner in table["winners"]:
        winner["baseline"]["name"] = winner["measured"]["source"] = winner["source"] = EVIL
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil/result.json").write_text(json.dumps(table))
    report(ReportSettings(runs=(tmp_path / "evil",), html=tmp_path / "e.html"))
    found = Tree((tmp_path / "e.html").read_text())
    assert len(found.all("script")) == 1 and "alert" not in found.all("script")[0]["text"]
    cells = [node["text"] for node in found.all("td")]
    assert cells.count(EVIL) == 9  # benchmark, predictor and source of three rows
    assert any(
        EVIL in line for node in found.found if "data-tip" in node for line in json.loads(node["data-tip"])["lines"]
    )


def test_runs_without_measurements_have_a_page_too(tiny, tmp_path):
    run(RunSettings(benchmark=tiny, predictor="ridge", optimizer="random", evaluations=60, validated=False,
                    device="cpu", output=tmp_path / "r"))  # fmt: skip
    report(ReportSettings(runs=(tmp_path / "r",), html=tmp_path / "r.html"))
    found = Tree((tmp_path / "r.html").read_text())
    assert [node["id"] for node in found.all("section")] == ["leaderboard", "fronts", "repeat"]


def test_a_search_without_a_benchmark_has_a_page_too(tmp_path):
    space, rng = DDIMSpace(3, 8), np.random.default_rng(0)
    X = np.unique(space.random(40, rng), axis=0)
    ScheduleDataset(space, X, space.latency(X, [1, 2, 4]) + rng.random(len(X))).write(tmp_path / "d.parquet")
    fit(FitSettings(dataset=tmp_path / "d.parquet", predictor="gbdt", output=tmp_path / "saved"))
    (tmp_path / "latency.toml").write_text("ms = [1.0, 2.0, 4.0]\nbatch_size = 1\n")
    run(
        RunSettings(
            predictor_checkpoint=tmp_path / "saved", latency=tmp_path / "latency.toml", budgets=(9.0,),
            optimizer="random", evaluations=40, output=tmp_path / "r",
        )
    )  # fmt: skip
    report(ReportSettings(runs=(tmp_path / "r",), html=tmp_path / "r.html"))
    found = Tree((tmp_path / "r.html").read_text())
    assert [node["id"] for node in found.all("section")] == ["leaderboard", "fronts", "repeat"]
    assert found.all("figcaption")[0]["text"] == "3 members, ddim"


def test_a_baseline_that_won_is_not_said_to_be_found(runs):
    shown = ShownRun(RunResult.read(runs / "run0"), {}, {})
    found = shown.result.winners[0]
    won = found.model_copy(update={"measured": found.baseline})
    assert Row(1, shown, found).method == "random on gbdt[trees=20], 79 labels"
    assert Row(1, shown, won).method == f"the baseline, {found.baseline.name}"


@pytest.fixture(scope="module")
def ranked(tmp_path_factory):
    """A study of two optimizers."""
    folder = tmp_path_factory.mktemp("studies") / "mine"
    study(StudySettings(optimizers="random,local", predictors="oracle", seeds=2, evaluations=40, output=folder))
    return folder


def test_a_study_is_shown_by_its_ranks(ranked, tmp_path):
    result = report(ReportSettings(runs=(ranked,), html=tmp_path / "r.html"))
    assert (result.folders, result.studies) == ((), (ranked,))
    found = Tree((tmp_path / "r.html").read_text())
    assert [node["id"] for node in found.all("section")] == ["ranks", "reached", "repeat"]
    curves = [node for node in found.all("svg") if "plot" in node.get("class", "")]
    assert [node["aria-label"] for node in curves] == ["part of targets reached by evaluations"]
    assert {node["text"] for node in found.all("span")} >= {"random, oracle", "local, oracle"}
    (picture,) = found.all("img")
    png = (ranked / "ranks-measured.png").read_bytes()
    assert base64.b64decode(picture["src"].partition(",")[2]) == png and picture["alt"] == "mean ranks, mine: measured"
    cells = [node["text"] for node in found.all("td")]
    assert sorted(cells[1::4]) == ["local", "random"] and cells[2::4] == ["oracle"] * 2 and cells[3] == "yes"
    assert float(cells[0]) + float(cells[4]) == 3 and float(cells[0]) <= float(cells[4])
    assert "omsdpm-bench study" in found.all("code")[0]["text"]


def test_a_study_and_its_sampled_runs_are_on_one_page(ranked, runs, tmp_path):
    whole = tmp_path / "whole"
    shutil.copytree(ranked, whole)
    shutil.copytree(runs, whole / "runs")
    result = report(ReportSettings(runs=(whole,), html=tmp_path / "r.html"))
    assert len(result.folders) == 2 and result.studies == (whole,)
    found = Tree((tmp_path / "r.html").read_text())
    assert [node["id"] for node in found.all("section")][:3] == ["ranks", "reached", "leaderboard"]
    (whole / "ecdf.csv").unlink()  # as in studies of before
    report(ReportSettings(runs=(whole,), html=tmp_path / "old.html"))
    sections = Tree((tmp_path / "old.html").read_text()).all("section")
    assert [node["id"] for node in sections][:2] == ["ranks", "leaderboard"]


@pytest.mark.parametrize(
    "name, text, told",
    [
        ("ranks.csv", "group,optimizer,predictor,mean_rank\nmeasured,a,b,one\n", "holds no ranks of a study"),
        ("ecdf.csv", "benchmark,optimizer,predictor,evaluations,reached\nb,a,p,1,2\n", "holds no any-time curves"),
        ("study.json", "[]", "describes no study"),
        ("study.json", "{", "is damaged"),
    ],
)
def test_a_damaged_study_is_one_line(ranked, tmp_path, name, text, told):
    shutil.copytree(ranked, tmp_path / "torn")
    (tmp_path / "torn" / name).write_text(text)
    with pytest.raises(InputError, match=told):
        report(ReportSettings(runs=(tmp_path / "torn",), html=tmp_path / "r.html"))
    assert not (tmp_path / "r.html").exists()


def test_folders_are_taken_once_and_read_back(runs, made, tmp_path):
    assert run_folders([runs, runs / "run1"]) == [runs / "run0", runs / "run1"]
    made[1].write(tmp_path / "r.json")
    assert ReportResult.read(tmp_path / "r.json") == made[1]
    assert made[1].size == made[0].stat().st_size


def test_the_command(runs, tmp_path):
    outcome = CliRunner().invoke(main, ["report", str(runs / "run0"), "--html", str(tmp_path / "new" / "r.html")])
    assert outcome.exit_code == 0 and "report of 1 runs" in outcome.output
    assert Tree((tmp_path / "new" / "r.html").read_text()).all("section")


def test_bad_input_is_one_line_and_writes_nothing(runs, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn/result.json").write_text((runs / "run0/result.json").read_text()[:500])
    for name, told in (("absent", "holds no result.json"), ("empty", "nor does a folder"), ("torn", "is damaged")):
        html = tmp_path / "new" / "r.html"
        outcome = CliRunner().invoke(main, ["report", str(runs), str(tmp_path / name), "--html", str(html)])
        assert outcome.exit_code == 2, name
        (line,) = outcome.stderr.splitlines()
        assert line.startswith("Error: ") and told in line and not html.parent.exists()
    outcome = CliRunner().invoke(main, ["report", str(runs), "--html", str(tmp_path)])
    assert outcome.exit_code == 2 and "Error: " in outcome.stderr


# -- plots ---------------------------------------------------------------------------


def test_axes_put_values_where_they_belong():
    axis = Axis(10.0, 1000.0, 0.0, 200.0, log=True)
    assert [axis.at(value) for value in (10, 100, 1000)] == pytest.approx([0, 100, 200])
    assert axis.ticks() == [10, 20, 50, 100, 200, 500, 1000][::3]
    flat = Axis(-1.0, 3.0, 100.0, 0.0, log=False)
    assert flat.at(0) == 75 and flat.ticks() == [-1, 0, 1, 2, 3]


@pytest.mark.parametrize("values", [[2.0], [0.0, 0.0], [-1.0, 5.0], [1e-3, 1e3], [float("inf"), 1.0], [float("nan")]])
def test_any_values_make_a_plot(values):
    points = [Point(float(at), value, Tip("a"), "#000", margin=0.1) for at, value in enumerate(values)]
    text = Plot("x", "y <b>", points, [Line([0.0, 1.0], [1.0, float("inf")], "#000", steps=True)]).svg()
    found = Tree(text)
    assert len([node for node in found.found if "data-tip" in node]) == np.isfinite(values).sum()
    assert "nan" not in text and "inf" not in text


def test_intervals_are_as_long_as_they_say():
    found = Tree(forest([("a", 10.0, 5.0, "#000", Tip("a")), ("b", -10.0, None, "#000", Tip("b"))]))
    (margin,) = [node for node in found.all("line") if node.get("class") == "margin"]
    (zero,) = [node for node in found.all("line") if node.get("class") == "zero"]
    at = [float(node["cx"]) for node in found.all("circle")]
    scale = (at[0] - at[1]) / 20
    assert float(margin["x2"]) - float(margin["x1"]) == pytest.approx(10 * scale, abs=0.2)
    assert float(zero["x1"]) == pytest.approx((at[0] + at[1]) / 2, abs=0.2)


# -- in a browser --------------------------------------------------------------------

PROBE = """
<script>
window.addEventListener("error", event => { document.documentElement.dataset.failed = event.message; });
window.addEventListener("load", () => {
  const said = {};
  const header = Array.from(document.querySelectorAll("th")).find(one => one.textContent === "score");
  const order = () => Array.from(document.querySelectorAll("tbody tr"), row => Number(row.cells[5].dataset.sort));
  header.querySelector("button").click(); said.rising = order();
  header.querySelector("button").click(); said.falling = order();
  const mark = document.querySelector("#fronts .tip[aria-label^='Run 1']");
  mark.dispatchEvent(new PointerEvent("pointerenter"));
  said.tip = document.getElementById("tip").textContent;
  said.cells = document.querySelectorAll("#tip .strip i").length;
  document.querySelector("td a").click();
  location.hash = "#run-1";
  said.plots = Array.from(document.querySelectorAll("svg.plot"), one => one.getBoundingClientRect().width);
  said.images = Array.from(document.images, one => one.naturalWidth);
  document.documentElement.dataset.said = JSON.stringify(said);
});
</script>
"""

PHONE = """<!DOCTYPE html><iframe style="border:0;width:390px;height:844px" srcdoc="{page}"></iframe><script>
window.addEventListener("load", () => {{
  const page = document.querySelector("iframe").contentDocument, root = page.documentElement;
  const wide = Array.from(page.querySelectorAll("body *"))
    .filter(one => !one.parentNode.closest(".wide, #tip") && one.getBoundingClientRect().right > 391);
  const said = {{ ready: root.dataset.ready, width: root.scrollWidth, wide: wide.map(one => one.outerHTML.slice(0, 80)),
    text: page.defaultView.getComputedStyle(page.querySelector("p")).fontSize,
    plots: Array.from(page.querySelectorAll("svg.plot"), one => one.getBoundingClientRect().width) }};
  document.documentElement.dataset.said = JSON.stringify(said);
}});
</script>"""


@pytest.fixture
def browser():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no Chromium is installed")
    return found


def opened(browser, page, profile, *more):
    return subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={profile}", "--enable-logging=stderr", "--virtual-time-budget=3000", *more,
            page.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip


def test_a_browser_shows_the_page(browser, made, tmp_path):
    page = tmp_path / "probed.html"
    page.write_text(made[0].read_text().replace("</head>", f"{PROBE}</head>"))
    outcome = opened(browser, page, tmp_path / "profile", "--dump-dom")
    assert "CONSOLE" not in outcome.stderr
    (root,) = Tree(outcome.stdout).all("html")
    assert root["data-ready"] == "yes" and "data-failed" not in root
    said = json.loads(root["data-said"])
    assert said["rising"] == sorted(said["rising"]) and len(said["rising"]) == 6
    assert said["falling"] == said["rising"][::-1]
    assert said["tip"].startswith("Run 1") and said["cells"] == 10
    assert len(said["plots"]) == 3 and min(said["plots"]) > 250 and min(said["images"]) > 0


def test_the_page_is_as_narrow_as_a_phone(browser, made, tmp_path):
    page = tmp_path / "phone.html"
    page.write_text(PHONE.format(page=escape(made[0].read_text())))
    outcome = opened(browser, page, tmp_path / "profile", "--dump-dom")
    assert "CONSOLE" not in outcome.stderr
    (root,) = Tree(outcome.stdout).all("html")
    said = json.loads(root["data-said"])
    assert said["ready"] == "yes" and said["width"] <= 390 and said["wide"] == []
    assert said["text"] == "16px" and min(said["plots"]) > 330
