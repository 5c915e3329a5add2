"""Networks that were trained again: how they are read and written about."""

import json
import re
import shutil
import zipfile

import pytest

from keras_evonas import reports
from keras_evonas.commands.status import status_of
from keras_evonas.project.ablation import ablation_of
from keras_evonas.project.files import write_json
from tests.folders import judge


def test_finalists_are_read_with_what_was_measured(judged):
    chosen, lucky, default = reports.load(judged).finalists
    assert (chosen.name, chosen.trial_id, chosen.chosen) == (
        "trial 07",
        "07",
        True,
    )
    assert chosen.mean == pytest.approx(0.04)
    assert chosen.spread == pytest.approx(0.02 / 2**0.5)  # of 0.03 and 0.05
    assert chosen.params == 1234
    assert not lucky.chosen
    assert default.search_score is None
    assert default.spread is None


def test_status_and_summary_name_the_network_that_was_chosen(judged):
    line = r"Chosen: trial 07, val_loss 0\.04 ± 0\.014 on unseen data, in 2"
    for said in (status_of(str(judged)), reports.load(judged).summary()):
        assert re.search(f"^{line}", said, re.MULTILINE), said


def test_gains_are_paired_by_seed_and_sorted(judged):
    result = reports.load(judged).ablation
    assert (result.network, result.scores) == ("trial 07", (0.03, 0.05))
    effects = {one.gene: one for one in result.effects}
    # The loss with the default less the loss without: 0.13 - 0.03, 0.25 - 0.05.
    assert effects["units"].gains == pytest.approx((0.1, 0.2))
    assert effects["rate"].gains == pytest.approx((0.01, -0.01))
    assert effects["momentum"].gains == pytest.approx((-0.02, -0.02))
    assert [one.gene for one in result.effects] == [
        *("units", "rate", "momentum", "broken")
    ]
    assert effects["broken"].mean is None
    assert effects["broken"].message == "ValueError: no"
    assert result.skipped == ("left_out",)


def test_a_score_that_is_maximized_gains_the_other_way():
    run = {"seed": 1, "message": None}
    result = ablation_of(
        [
            {
                "name": "a",
                "direction": "max",
                "runs": [{**run, "score": 0.9}],
            },
            {"of": "a", "gene": "g", "runs": [{**run, "score": 0.7}]},
        ]
    )
    assert result.effects[0].gains == pytest.approx((0.2,))


@pytest.mark.parametrize(
    "content", [None, [], {}, ["x"], [{"gene": "g"}], [{"name": "a"}]]
)
def test_an_ablation_that_has_not_begun_is_none(content):
    assert ablation_of(content) is None


def test_the_page_tells_who_was_chosen_and_what_it_owes(judged, tmp_path):
    path = reports.write_report(judged, tmp_path / "report.html")
    text = path.read_text(encoding="utf-8")
    opening = re.search('<p class="verdict">.*?</p>', text)[0]
    assert opening.startswith(
        '<p class="verdict">The network that was chosen is <strong>trial 07'
        "</strong>: val_loss 0.04 ± 0.014 on unseen data, in 2 trainings; in "
        "the search it scored 0.02. The search&#x27;s best trial is <strong>"
    )
    assert "<dd>0.04 ± 0.014</dd>" in text
    assert "The chosen network" in text
    assert "Where the chosen network came from" in text
    assert "onest" not in text
    assert "Trial 07 owes most to units = 256, which is worth +0.15" in text
    assert "It would do better without momentum = 256 (\u22120.02)" in text
    assert "1 gene not measured: left_out." in text
    for anchor in ("finalists", "ablation"):
        assert f'<section id="{anchor}"' in text


def test_a_chosen_network_that_was_no_trial_is_drawn_as_itself(
    judged, tmp_path
):
    folder = shutil.copytree(judged, tmp_path / "default_wins")
    finalists = json.loads((folder / "finalists.json").read_text())
    for one in finalists:
        one["chosen"] = one["name"] == "the default"
    finalists[2]["values"] = {"units": 99, "tuner/epochs": 3}
    write_json(folder / "finalists.json", finalists)
    with zipfile.ZipFile(folder / "winner.keras", "w") as archive:
        layers = [{"class_name": "Dense", "config": {"name": "mine"}}]
        archive.writestr(
            "config.json", json.dumps({"config": {"layers": layers}})
        )
    page = reports.write_report(folder, tmp_path / "report.html")
    text = page.read_text(encoding="utf-8")
    section = re.search('<section id="winner".*?</section>', text, re.S)[0]
    assert "It is the default, and was none of the trials" in section
    assert "drawn from winner.keras" in section
    assert "99" in section
    assert "tuner/epochs" not in section


def test_names_of_networks_and_genes_stay_text(new_project, tmp_path):
    evil = "<script>alert(1)</script>"
    folder = judge(new_project().run(3), name=evil, gene=evil)
    path = reports.write_report(folder, tmp_path / "report.html")
    text = path.read_text(encoding="utf-8")
    assert evil not in text
    assert "&lt;script&gt;alert(1)" in text


def test_a_damaged_ablation_is_a_note(new_project):
    folder = new_project().run(2)
    (folder / "ablation.json").write_text('[{"na')
    search = reports.load(folder)
    assert search.ablation is None
    assert any("ablation.json" in note for note in search.notes)
    write_json(folder / "ablation.json", [])
    assert reports.load(folder).ablation is None
