import csv
import io

import pytest
from scipy import stats

from coemogen_core.experiments.files import read_experiments, to_csv, to_latex, to_markdown, write_experiments
from coemogen_core.experiments.table import build_table
from coemogen_core.storage.workspace import Workspace
from tests.coemogen_core.experiments.small_matrix import experiments, run

FOUND = experiments(
    run("coemogen", 0, 0.8, 20.0, "1111"),
    run("coemogen", 1, 0.9, 22.0, "1110"),
    run("sd", 0, 0.3, 30.0, "0000"),
    run("sd", 1, 0.4, 31.0, "0001"),
)

MARKDOWN = """\
| method | seeds | FID ↓ | LPIPS ↑ | Emo-A ↑ | Sem-C ↑ | Sem-D ↑ |
|---|---:|---:|---:|---:|---:|---:|
| coemogen | 2 | 21.00 ± 1.41 [8.29, 33.71] | – | 85.00 % ± 7.07 % [21.47 %, 100.00 %] | – | – |
| sd | 2 | 30.50 ± 0.71 [24.15, 36.85] | – | 35.00 % ± 7.07 % [0.00 %, 98.53 %] | – | – |

2 seeds, 4 pictures an emotion and run; mean ± standard deviation over the seeds, in brackets the 95 % interval of the mean \
(Student's t over seeds). Protocol corrected.

The paper's order by Emo-A (Stable Diffusion 1.5 on EmoSet, 1,000 pictures an emotion): CoEmoGen (paper) 80.15 %, \
Stable Diffusion (paper) 70.77 %. The order of the means here: the same.

| metric | method | against | difference | test | pairs | p | p (Holm) |
|---|---|---|---:|---|---:|---:|---:|
| FID | coemogen | sd | −9.50 | paired t over seeds | 2 | 0.0335 | 0.0335 |
| Emo-A | coemogen | sd | +75.00 % | McNemar over pictures | 8 | 0.0703 | 0.0703 |
| Emo-A | coemogen | sd | +50.00 % | paired t over seeds | 2 | the same difference with every seed | – |
"""

LATEX = r"""\begin{tabular}{lrrrrr}
\toprule
Method & FID $\downarrow$ & LPIPS $\uparrow$ & Emo-A $\uparrow$ & Sem-C $\uparrow$ & Sem-D $\uparrow$ \\
\midrule
coemogen & 21.00 $\pm$ 1.41 & -- & 85.00 \% $\pm$ 7.07 \% & -- & -- \\
sd & 30.50 $\pm$ 0.71 & -- & 35.00 \% $\pm$ 7.07 \% & -- & -- \\
\bottomrule
\end{tabular}
"""


def test_markdown_and_latex_are_these():
    table = build_table(FOUND)
    assert to_markdown(table) == MARKDOWN
    assert to_latex(table) == LATEX


def test_csv_holds_the_numbers_in_full():
    rows = list(csv.DictReader(io.StringIO(to_csv(build_table(FOUND)))))
    first = next(row for row in rows if (row["method"], row["metric"]) == ("coemogen", "fid"))
    assert float(first["mean"]) == 21.0
    assert float(first["standard_deviation"]) == pytest.approx(2**0.5)
    low, high = stats.t.interval(0.95, 1, loc=21.0, scale=stats.sem([20.0, 22.0]))
    assert (float(first["low"]), float(first["high"])) == (pytest.approx(low), pytest.approx(high))
    assert first["seeds"] == "2"


def test_one_seed_has_the_interval_of_its_pictures_and_no_deviation():
    table = build_table(experiments(run("sd", 3, 0.5, 20.0)))
    cells = table.rows[0].cells
    assert cells["emo_a"].interval == (pytest.approx(0.45), pytest.approx(0.55))
    assert cells["fid"].interval is None
    assert "| sd | 1 | 20.00 | – | 50.00 % [45.00 %, 55.00 %] |" in to_markdown(table)


def test_people_read_labels_and_the_csv_has_names():
    named = FOUND.model_copy(update={"labels": {"sd": "base_model & co"}})
    table = build_table(named)
    assert "| base_model & co | 2 | 30.50" in to_markdown(table)
    assert "| FID | coemogen | base_model & co |" in to_markdown(table)
    assert r"base\_model \& co & 30.50" in to_latex(table)
    assert "\nsd,fid," in to_csv(table)


def test_the_papers_order_is_compared_whoever_measured():
    means = {"without-l-sem": 0.7, "coemogen": 0.6, "without-emotion-loras": 0.5, "mine": 0.9}
    found = experiments(*(run(name, 0, value) for name, value in means.items()), compared_with=("coemogen",))
    assert build_table(found).order_note() == (
        "The paper's order by Emo-A (Stable Diffusion 1.5 on EmoSet, 1,000 pictures an emotion): CoEmoGen (paper) 80.15 %, "
        "CoEmoGen without emotion-specific LoRAs (paper) 75.37 %, CoEmoGen without L_SEM (paper) 65.90 %. "
        "The order of the means here: without-l-sem, coemogen, without-emotion-loras."
    )
    assert build_table(experiments(run("coemogen", 0, 0.5), run("mine", 0, 0.4), compared_with=())).order_note() == ""


def test_what_is_not_done_yet_is_counted():
    partial = FOUND.model_copy(update={"runs": FOUND.runs[:1]})
    assert "3 runs are not done yet" in to_markdown(build_table(partial))


def test_files_of_a_run(tmp_path):
    workspace = Workspace(str(tmp_path))
    assert read_experiments(workspace, "r") is None
    assert write_experiments(workspace, "r", FOUND) == MARKDOWN
    assert read_experiments(workspace, "r") == FOUND
    assert {"experiments.csv", "experiments.json", "experiments.md", "experiments.tex"} == set(workspace.list_files("runs", "r"))
    workspace.write_json({"methods": []}, "runs", "r", "experiments.json")
    with pytest.raises(ValueError, match=r"experiments\.json holds no experiments: remove it"):
        read_experiments(workspace, "r")
