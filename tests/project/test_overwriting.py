"""What `overwrite=True` may remove, and what a project folder may be."""

import pathlib

import pytest

from keras_evonas.project.overwriting import check_folder


def _made(folder: pathlib.Path, *names: str) -> pathlib.Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("content")
    return folder


@pytest.mark.parametrize(
    "name",
    [
        *("oracle.json", "tuner0.json", "trial_07/trial.json", "search.lock"),
        *("evolution.jsonl", "architecture.json", "supernet/supernet.json"),
    ],
)
def test_a_folder_that_holds_a_search_may_be_removed(
    name: str, tmp_path: pathlib.Path
) -> None:
    folder = _made(tmp_path / "search", name, "of the user.txt")
    check_folder(folder, overwrite=True)


@pytest.mark.parametrize(
    "names",
    [
        ["thesis.tex"],
        ["search/oracle.json"],  # The folder around a search.
        ["trial_1.csv", "trial_2/data.csv"],
        ["supernet/notes.txt"],
    ],
)
def test_a_folder_that_holds_something_else_is_kept(
    names: list[str], tmp_path: pathlib.Path
) -> None:
    folder = _made(tmp_path / "work", *names)
    with pytest.raises(ValueError, match="hold a search or nothing") as caught:
        check_folder(folder, overwrite=True)
    assert f"'{folder}', with " in str(caught.value)
    check_folder(folder, overwrite=False)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_project_folder_is_a_folder_or_absent(
    overwrite: bool, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "empty").mkdir()
    check_folder(tmp_path / "empty", overwrite=overwrite)
    check_folder(tmp_path / "absent", overwrite=overwrite)
    _made(tmp_path, "file")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        for path in (tmp_path / name, tmp_path / name / "a" / "b"):
            with pytest.raises(ValueError, match="which is a file"):
                check_folder(path, overwrite=overwrite)
