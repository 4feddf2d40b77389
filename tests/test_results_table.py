import json
import subprocess
import sys

from conftest import ROOT

import results_table

EVERY_KEY = {key for row in results_table.ROWS for key in row[1:3] if key}


def test_the_tables_are_means_and_deviations_of_the_reports(tmp_path):
    for kind, start in (("this", 0.5), ("naive", 0.25)):
        for seed in (0, 1, 2):
            value = start + 0.01 * seed
            report = dict.fromkeys(EVERY_KEY, value)
            report |= {"class_counts_strong": [4, 1 + seed, 2], "peak_memory_gb": 1 + seed}
            report["seconds"] = {"generating": 2.0 * seed, "total": 60.0}
            (tmp_path / f"mnist-{kind}-{seed}.json").write_text(json.dumps(report))
    done = subprocess.run(
        [sys.executable, ROOT / "results_table.py", tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "| | as in the naive method | this repo | real images |" in lines
    passing = "26.00 % ± 1.00 | 51.00 % ± 1.00 | 51.00 % ± 1.00"
    assert f"| generated images that pass 95 % | {passing} |" in lines
    # 1/4, 2/4 and 2/4
    assert "| rarest class per commonest, strong | 0.42 ± 0.14 | 0.42 ± 0.14 |  |" in lines
    assert lines[-3:] == [
        "| generating | 2.0 ± 2.0 |",
        "| **all** | 60.0 ± 0.0 |",
        "| peak memory, GB | 2.0 ± 1.0 |",
    ]


def test_a_folder_without_reports_is_a_sentence(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "results_table.py", tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 2 and "run make table first" in done.stderr
    assert len(done.stderr.splitlines()) == 1
