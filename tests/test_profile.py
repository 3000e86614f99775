from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ftlib.configuration import builtin_names, convert
from ftlib.errors import ProfileError
from ftlib.profile import Profile, dump_profile, load_profile


@pytest.mark.parametrize("name", builtin_names("profiles"))
def test_every_built_in_profile_loads_and_survives_being_written(name: str, tmp_path: Path) -> None:
    profile = load_profile(name)
    copy = tmp_path / "profile.yaml"
    copy.write_text(dump_profile(profile), "utf-8")
    assert load_profile(copy) == profile


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.trian=5", r"unknown key data\.trian .did you mean 'train'"),
        ("data.train=80%", r"data\.train: '80%' is neither a number of rows nor a share such as 0\.8\.$"),
        ("data.train=[1]", r"data\.train: expected a number or nothing"),
        ("nmae=x", "unknown key nmae .did you mean 'name'"),
        ("contestants.tiny-llama.lora.alhpa=3", r"lora\.alhpa .did you mean 'alpha'"),
        ("contestants.tiny-lama.epochs=3", "no contestant 'tiny-lama' .did you mean 'tiny-llama'"),
        ("contestants.tiny-llama.steps=3", "epochs and steps are both given; choose one"),
        ("contestants.tiny-llama.provider=openai", "provider belongs to trainer: hosted"),
        ("contestants.tiny-llama.batch=0", "batch is 0; it must be a number above 0"),
        ("contestants.tiny-llama.epochs=.nan", "epochs is nan; it must be a number above 0"),
        ("contestants.tiny-hosted.epochs=0.5", "epochs is 0.5, but a hosted service trains whole epochs"),
        ("name=../../etc", "names a folder"),
        ("contestants.tiny-llama.name=curated", "not be one of"),
        ("data.test=1.5", "data.test is 1.5"),
        ("data.test=0", "a comparison needs test rows"),
        ("budget_usd=-1", "cannot be negative"),
        ("evaluation.judge.model=x", r"evaluation\.judge: missing key provider"),
        ("data.train", "write it as key=value"),
    ],
)
def test_a_wrong_setting_is_one_sentence_with_the_key(override: str, message: str) -> None:
    with pytest.raises(ProfileError, match=message) as caught:
        load_profile("demo", [override])
    assert "\n" not in str(caught.value)


def test_numbers_are_what_everybody_means() -> None:
    assert load_profile("demo", ["contestants.tiny-llama.lr=2e-4"]).contestants[0].lr == 2e-4


def test_a_missing_profile_names_those_there_are() -> None:
    with pytest.raises(ProfileError, match="did you mean 'demo'"):
        load_profile("demoo")


@pytest.mark.parametrize(("there", "asked"), [("mine.yaml", "mine.yml"), ("mine.yml", "mine.yaml"), ("mine.yml", "mine")])
def test_a_profile_of_the_other_ending_is_named(there: str, asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(there).write_text("name: mine\n")
    with pytest.raises(ProfileError, match=rf"no file of that name \(did you mean '{there}'\?\), and not built in"):
        load_profile(asked)


def test_yaml_errors_name_file_and_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: x\ndata: [1,\n")
    with pytest.raises(ProfileError, match=r"bad\.yaml, line 3"):
        load_profile(bad)
    bad.write_text("- 1\n")
    with pytest.raises(ProfileError, match="a profile is a mapping"):
        load_profile(bad)


def test_a_matrix_becomes_contestants(tmp_path: Path) -> None:
    path = tmp_path / "matrix.yaml"
    path.write_text(
        yaml.safe_dump(
            {"name": "m", "matrix": {"models": ["tiny-llama"], "recipes": ["default", "books"], "seeds": [1, 2], "base": {"trainer": "local"}}}
        )
    )
    profile = load_profile(path)
    assert [c.name for c in profile.contestants] == ["tiny-llama-default-s1", "tiny-llama-default-s2", "tiny-llama-books-s1", "tiny-llama-books-s2"]
    assert profile.recipes() == ["default", "books"]
    assert profile.contestants[3].seed == 2


def test_a_contestant_can_be_added_by_an_override() -> None:
    profile = load_profile(
        "demo", ['+contestants={"name": "more", "trainer": "hosted", "provider": "sandbox", "model": "tiny-hosted", "few_shot": 2}']
    )
    assert profile.contestants[-1].name == "more"
    assert profile.contestants[-1].systems() == ["more.base"]


def test_systems_of_each_kind() -> None:
    demo = load_profile("demo")
    assert demo.contestants[0].systems() == ["tiny-llama.base", "tiny-llama.tuned"]
    assert isinstance(demo, Profile)


def test_a_word_that_is_none_of_the_allowed_is_answered_with_all_of_them() -> None:
    with pytest.raises(ProfileError, match=r"contestants\[0\]\.trainer: invalid enum value 'lokal' \(there are: local, hosted\)\.$"):
        convert({"name": "p", "contestants": [{"name": "a", "trainer": "lokal", "model": "tiny-llama"}]}, Profile, "p.yaml")
    with pytest.raises(ProfileError, match=r"did you mean 'demo'\? there are: .*seed\)\.$"):
        load_profile("demoo")
