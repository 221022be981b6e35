"""Paid work: every answer is kept, nothing is paid for twice, and a run that is killed anywhere goes on."""

import csv
import io
import json
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from builders.generation import making
from builders.generation.image_folder import ImageFolder, image_name
from builders.generation.image_requests import plan_images
from builders.generation.images import (
    ImageAnswer,
    ImageFailureError,
    ImageRefusalError,
    ImageRequest,
    LostAnswerError,
)
from builders.generation.journal import Journal
from builders.generation.making import ImageMaker, MakingOptions
from builders.generation.request_journal import State
from schemas.generation import GenerationRecord
from schemas.problems import Problem, Reason, ReleaseError, SettingsError

Make = Callable[[ImageRequest], ImageAnswer]
OPTIONS = MakingOptions(
    provider_name="some", model="some/model", price_usd=0.5, budget_usd=None, concurrency=2, is_remote=True
)


def picture(text: str) -> bytes:
    """A small image of its own for each text."""
    data = io.BytesIO()
    digits = [ord(each) % 256 for each in (text * 200)[:192]]
    Image.frombytes("RGB", (8, 8), bytes(digits)).save(data, "PNG")
    return data.getvalue()


def answer_to(request: ImageRequest) -> ImageAnswer:
    return ImageAnswer(
        picture(request.prompt),
        model="some/model-1",
        seed=request.seed,
        settings=request.settings,
        request_id=f"id-{request.key}",
        returned_seed=request.seed,
    )


class Provider:
    """A provider that keeps an account of what it was asked for."""

    def __init__(self, make: Make = answer_to, account: Path | None = None) -> None:
        self._make, self._account, self.asked = make, account, list[str]()
        self._open, self.most_open, self._lock = 0, 0, threading.Lock()
        self.fetching: Callable[[ImageAnswer], bytes] | None = None

    def make(self, request: ImageRequest) -> ImageAnswer:
        with self._lock:
            self._open += 1
            self.most_open = max(self.most_open, self._open)
            self.asked.append(request.prompt)
            if self._account is not None:
                with self._account.open("a") as file:
                    file.write(f"{request.prompt}\n")
        try:
            return self._make(request)
        finally:
            with self._lock:
                self._open -= 1

    def fetch(self, answer: ImageAnswer) -> bytes:
        assert self.fetching is not None
        return self.fetching(answer)

    def close(self) -> None:
        pass


PROMPTS = ["a man", "a woman", "an old man", "an old woman", "somebody"]


def run(
    out: Path, provider: Provider, options: MakingOptions = OPTIONS, prompts: Iterable[str] = PROMPTS
) -> dict[State, int]:
    """Run once, as the command does; return the states at the end."""
    file = out.with_suffix(".txt")
    file.write_text("\n".join(prompts))
    folder = ImageFolder(out)
    folder.make()
    with Journal(folder.journal_path) as journal:
        journal.recover()
        journal.want(plan_images(file, "FLUX1_schnell", {"num_inference_steps": 4}, 0))
        journal.plan()
        maker = ImageMaker(folder, journal, provider, options)
        maker.finish_last_run()
        try:
            maker.run(lambda _: None, lambda _: None)
        finally:
            counts = dict(journal.counts())
    return counts


def table(out: Path) -> list[dict[str, str]]:
    with (out / "SFHQ_T2I_dataset.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def records(out: Path) -> list[GenerationRecord]:
    lines = (out / "generation.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    return [GenerationRecord.model_validate_json(line) for line in lines]


def test_images_tables_and_records_agree(tmp_path: Path) -> None:
    out, provider = tmp_path / "out", Provider()
    assert run(out, provider) == {State.DELIVERED: 5}
    rows = table(out)
    assert [row["text_prompt"] for row in rows] == PROMPTS
    assert {row["model_used"] for row in rows} == {"FLUX1_schnell"}
    for row, record in zip(rows, records(out), strict=True):
        assert (out / "images" / row["image_filename"]).read_bytes() == picture(row["text_prompt"])
        assert json.loads(row["configs"]) == {"num_inference_steps": 4, "seed": record.seed}
        assert record.image_filename == row["image_filename"]
        assert (record.model, record.cost_usd, record.cost_basis) == ("some/model-1", 0.5, "price")
        assert record.provider_request_id == f"id-{record.request_key}"
    assert provider.most_open <= 2


def test_a_second_run_asks_for_nothing_and_changes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(out, Provider())
    before = {
        path: path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.parent != out / ".generation"
    }
    again = Provider()
    assert run(out, again) == {State.DELIVERED: 5}
    assert again.asked == []
    assert before == {path: path.read_bytes() for path in before}
    more = Provider()
    run(out, more, prompts=[*PROMPTS, "a new one"])
    assert more.asked == ["a new one"]
    assert [row["text_prompt"] for row in table(out)] == [*PROMPTS, "a new one"]


def test_each_outcome_ends_as_the_journal_says(tmp_path: Path) -> None:
    def make(request: ImageRequest) -> ImageAnswer:
        match request.prompt:
            case "a man":
                raise ImageRefusalError("the provider declined", "content_policy_violation", "id-1")
            case "a woman":
                raise ImageFailureError("the provider answered 500")
            case "an old man":
                raise LostAnswerError("no answer for 90 s")
            case "an old woman":
                return replace(answer_to(request), is_flagged=True, flags=("nsfw",))
        return replace(answer_to(request), data=b"<html>Sorry</html>")

    out = tmp_path / "out"
    counts = run(out, Provider(make))
    assert counts == {State.REFUSED: 2, State.FAILED: 1, State.UNCERTAIN: 2}
    assert table(out) == []
    assert list((out / "images").iterdir()) == []
    refused = {record.prompt: record for record in records(out)}
    assert refused["a man"].refusal == "content_policy_violation"
    assert refused["a man"].cost_usd == 0
    assert refused["an old woman"].flags == ("nsfw",)
    assert refused["an old woman"].cost_usd == 0.5  # it was made, so it is charged
    assert {record.status for record in refused.values()} == {"refused"}
    kept = sorted(path.read_bytes() for path in (out / ".generation" / "kept").iterdir())
    assert kept == sorted([b"<html>Sorry</html>", picture("an old woman")])
    # Only what surely failed is sent again; the rest if the user asks for it, and a refusal never.
    again = Provider()
    assert run(out, again) == {State.REFUSED: 2, State.DELIVERED: 1, State.UNCERTAIN: 2}
    assert again.asked == ["a woman"]
    asked = Provider()
    assert run(out, asked, replace(OPTIONS, sends_again=True)) == {State.REFUSED: 2, State.DELIVERED: 3}
    assert sorted(asked.asked) == ["an old man", "somebody"]


def test_an_image_that_could_not_be_had_is_fetched_by_a_later_run(tmp_path: Path) -> None:
    def make(request: ImageRequest) -> ImageAnswer:
        answer = replace(
            answer_to(request), data=b"", address="https://example.org/a.png", revised_prompt="r"
        )
        raise LostAnswerError("its address answers 404", answer)

    out, later = tmp_path / "out", Provider()
    assert run(out, Provider(make), prompts=["a man"]) == {State.UNCERTAIN: 1}
    fetched = list[str | None]()

    def fetch(answer: ImageAnswer) -> bytes:
        fetched.append(answer.address)
        if len(fetched) == 1:
            raise LostAnswerError("its address answers 503")
        return picture("a man")

    later.fetching = fetch
    assert run(out, later, prompts=["a man"]) == {State.UNCERTAIN: 1}
    assert run(out, later, prompts=["a man"]) == {State.DELIVERED: 1}
    assert (later.asked, fetched) == ([], ["https://example.org/a.png"] * 2)
    (record,) = records(out)
    assert (record.revised_prompt, record.cost_usd) == ("r", 0.5)


@pytest.mark.parametrize(("budget", "num_sent"), [(0.0, 0), (0.49, 0), (0.5, 1), (1.6, 3), (2.5, 5)])
def test_a_budget_is_never_passed(tmp_path: Path, budget: float, num_sent: int) -> None:
    provider, options = Provider(), replace(OPTIONS, budget_usd=budget)
    counts = run(tmp_path / "out", provider, options)
    assert len(provider.asked) == num_sent
    assert counts.get(State.DELIVERED, 0) == num_sent
    again = Provider()
    run(tmp_path / "out", again, options)  # it counts what the folder has cost, not the run
    assert again.asked == []


def test_requests_without_an_answer_count_as_paid_for(tmp_path: Path) -> None:
    def make(request: ImageRequest) -> ImageAnswer:
        raise LostAnswerError("no answer")

    provider = Provider(make)
    counts = run(tmp_path / "out", provider, replace(OPTIONS, budget_usd=1.0))
    assert counts == {State.UNCERTAIN: 2, State.PLANNED: 3}


def test_what_an_answer_says_it_cost_counts(tmp_path: Path) -> None:
    provider = Provider(lambda request: replace(answer_to(request), cost_usd=0.9))
    counts = run(tmp_path / "out", provider, replace(OPTIONS, budget_usd=1.5, concurrency=1))
    assert counts == {State.DELIVERED: 2, State.PLANNED: 3}  # 0.9 + 0.5 is within, 1.8 + 0.5 is not
    assert {record.cost_basis for record in records(tmp_path / "out")} == {"usage"}


def test_a_wrong_key_stops_the_run_at_once(tmp_path: Path) -> None:
    def make(request: ImageRequest) -> ImageAnswer:
        raise ReleaseError(Problem(Reason.RELEASE, "the provider does not know the key", fix="set another"))

    provider = Provider(make)
    with pytest.raises(ReleaseError, match="does not know the key"):
        run(tmp_path / "out", provider)
    assert len(provider.asked) <= 2
    again = Provider()
    assert run(tmp_path / "out", again) == {State.DELIVERED: 5}  # nothing was charged


def test_what_a_provider_says_is_shortened_to_what_a_record_holds(tmp_path: Path) -> None:
    def make(request: ImageRequest) -> ImageAnswer:
        said = "x" * 50_000
        return replace(
            answer_to(request),
            model=said,
            request_id=said,
            revised_prompt=said,
            flags=(said,),
            returned_seed=2**80,
        )

    run(tmp_path / "out", Provider(make), prompts=["a man"])
    (record,) = records(tmp_path / "out")
    assert len(record.model) == 1000
    assert record.returned_seed is None


def test_rows_of_others_stay_and_a_row_that_was_removed_stays_out(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "SFHQ_T2I_dataset.csv").write_text(
        'image_filename,model_used,text_prompt,configs\nmine.jpg,SDXL,"a, b",{}\n', encoding="utf-8"
    )
    (out / "generation.jsonl").write_text('{"not": "ours"}\nno JSON\n', encoding="utf-8")
    run(out, Provider())
    assert table(out)[0]["image_filename"] == "mine.jpg"
    assert table(out)[0]["text_prompt"] == "a, b"
    lines = (out / "generation.jsonl").read_text().splitlines()
    assert lines[:2] == ['{"not": "ours"}', "no JSON"]
    rows = (out / "SFHQ_T2I_dataset.csv").read_text().splitlines(keepends=True)
    (out / "SFHQ_T2I_dataset.csv").write_text("".join(line for line in rows if "an old man" not in line))
    (out / "generation.jsonl").write_text("".join(f"{line}\n" for line in lines if "an old man" not in line))
    run(out, Provider(), prompts=[*PROMPTS, "a new one"])
    prompts = [row["text_prompt"] for row in table(out)]
    assert prompts == ["a, b", "a man", "a woman", "an old woman", "somebody", "a new one"]
    assert "an old man" not in (out / "generation.jsonl").read_text()


def test_answers_that_come_while_the_tables_are_written_are_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "_TABLES_SECONDS", -1)  # after each answer
    monkeypatch.setattr(making, "_TABLES_PAUSE", 0)
    write, provider = ImageFolder.write_tables, Provider()

    def write_slowly(folder: ImageFolder, journal: Journal) -> None:
        before, listed = len(provider.asked), Journal.list_records

        def list_later(journal: Journal, keys: Iterable[str]) -> None:
            with suppress(TimeoutError):  # let another answer come between writing and marking
                wait_until(lambda: len(provider.asked) > before)
            listed(journal, keys)

        monkeypatch.setattr(Journal, "list_records", list_later)
        write(folder, journal)
        monkeypatch.setattr(Journal, "list_records", listed)

    monkeypatch.setattr(ImageFolder, "write_tables", write_slowly)
    prompts = [f"face number {number}" for number in range(12)]
    assert run(tmp_path / "out", provider, replace(OPTIONS, concurrency=4), prompts) == {State.DELIVERED: 12}
    assert [row["text_prompt"] for row in table(tmp_path / "out")] == prompts
    assert [record.prompt for record in records(tmp_path / "out")] == prompts


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait a moment for something that another thread does."""
    for _ in range(20):
        if condition():
            return
        time.sleep(0.002)
    raise TimeoutError


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "\xff", "image_filename\n"])
def test_a_table_of_another_form_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "SFHQ_T2I_dataset.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError):
        run(out, Provider())
    assert (out / "SFHQ_T2I_dataset.csv").read_bytes() == text.encode("latin-1")


def test_links_in_the_place_of_folders_are_refused(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    out.mkdir()
    (out / "images").symlink_to(elsewhere)
    with pytest.raises(SettingsError, match="link"):
        run(out, Provider())
    assert list(elsewhere.iterdir()) == []


def test_a_journal_of_a_newer_kit_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal._database.execute("PRAGMA user_version = 99")
    with pytest.raises(SettingsError, match="newer"):
        Journal(tmp_path / "j")
    (tmp_path / "k").write_text("this is no database" * 100)
    with pytest.raises(SettingsError, match="cannot be read"):
        Journal(tmp_path / "k")


def killed_run(out: Path, account: Path, step: int, *, is_after: bool) -> bool:
    """Run in a process that kills itself at one step of the journal or the disk; return whether it did."""
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            count_down(step, is_after=is_after)
            run(out, Provider(account=account))
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def count_down(step: int, *, is_after: bool) -> None:
    """Let this process be killed at the step of a number, before it or after it."""
    left, lock = [step], threading.Lock()

    def wrap(kind: type, name: str) -> None:
        real = getattr(kind, name)

        def step_of(*args: object, **values: object) -> object:
            with lock:
                left[0] -= 1
                is_last = left[0] == -1
            if is_last and not is_after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*args, **values)
            if is_last:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(kind, name, step_of)

    for kind, name in (
        *((Journal, name) for name in ("plan", "recover", "set_values", "list_records")),
        (ImageFolder, "write_image"),
        (Provider, "make"),
    ):
        wrap(kind, name)


@pytest.mark.slow
def test_a_run_that_is_killed_at_any_step_pays_for_nothing_twice(tmp_path: Path) -> None:
    num_steps = 0
    for is_after in (False, True):
        for step in range(200):
            out, account = tmp_path / f"{is_after}-{step}", tmp_path / f"{is_after}-{step}.account"
            is_killed = killed_run(out, account, step, is_after=is_after)
            counts = run(out, Provider(account=account))
            asked = Counter(account.read_text().splitlines())
            assert max(asked.values()) == 1
            assert counts.get(State.DELIVERED, 0) + counts.get(State.UNCERTAIN, 0) == 5
            assert counts.get(State.UNCERTAIN, 0) <= OPTIONS.concurrency
            rows = table(out)
            assert len(rows) == len(records(out)) == counts.get(State.DELIVERED, 0)
            for row in rows:
                assert (out / "images" / row["image_filename"]).read_bytes() == picture(row["text_prompt"])
            assert len(list((out / "images").iterdir())) == len(rows)  # and nothing half-written
            if not is_killed:
                assert counts == {State.DELIVERED: 5}
                break
            num_steps += 1
    assert num_steps > 40


# What a person, a broken file or an unlucky run can do


def lose(request: ImageRequest) -> ImageAnswer:
    raise LostAnswerError("no answer")


def test_what_is_sent_again_counts_again(tmp_path: Path) -> None:
    options = replace(OPTIONS, budget_usd=1.5, sends_again=True, concurrency=1)
    tries = 0
    for _ in range(4):
        provider = Provider(lose)
        run(tmp_path / "out", provider, options, ["a man", "a woman"])
        tries += len(provider.asked)
    assert tries == 3  # $0.50 each, whether or not the answer came


def test_an_image_is_fetched_before_it_is_paid_for_again(tmp_path: Path) -> None:
    def make(request: ImageRequest) -> ImageAnswer:
        raise LostAnswerError(
            "no file", replace(answer_to(request), data=b"", address="https://example.org/a")
        )

    out = tmp_path / "out"
    run(out, Provider(make), prompts=["a man"])
    later = Provider()
    later.fetching = lambda _: picture("a man")
    other = replace(OPTIONS, provider_name="another", model="its/name", price_usd=9.0, sends_again=True)
    assert run(out, later, other, ["a man"]) == {State.DELIVERED: 1}
    assert later.asked == []
    (record,) = records(out)
    assert (record.provider, record.model, record.cost_usd) == ("some", "some/model-1", 0.5)


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n", '"', "\x00", "\u2028", "\ufeff"])
def test_any_prompt_survives_the_table(tmp_path: Path, end: str) -> None:
    out, prompt = tmp_path / "out", f"a man{end}with, a hat"
    file = tmp_path / "p.jsonl"
    file.write_text(json.dumps({"prompt": prompt}))
    for seed in range(3):
        folder = ImageFolder(out)
        folder.make()
        with Journal(folder.journal_path) as journal:
            journal.want(plan_images(file, "SDXL", {}, seed))
            journal.plan()
            ImageMaker(folder, journal, Provider(), OPTIONS).run(lambda _: None, lambda _: None)
        assert [row["text_prompt"] for row in table(out)] == [prompt] * (seed + 1)
        assert [record.prompt for record in records(out)] == [prompt] * (seed + 1)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("generation.jsonl", b'{"a": "\xff"}\n'),
        ("generation.jsonl", b"x" * 10_000_001),
        (
            "SFHQ_T2I_dataset.csv",
            b"image_filename,model_used,text_prompt,configs\n" + b"a,b,c,d\n" * 9999 + b"\xff",
        ),
        ("SFHQ_T2I_dataset.csv", b'image_filename,model_used,text_prompt,configs\na,b,"c,d\ne,f,g,h\n'),
        ("SFHQ_T2I_dataset.csv", b"image_filename,model_used,text_prompt,configs\na,b,c\n"),
        (
            "SFHQ_T2I_dataset.csv",
            b"image_filename,model_used,text_prompt,configs\na,b,c," + b"x" * 200_000,
        ),
        ("generation.jsonl", None),
        ("SFHQ_T2I_dataset.csv", None),
    ],
)
def test_a_broken_table_is_refused_before_anything_is_sent(
    tmp_path: Path, name: str, data: bytes | None
) -> None:
    out, provider = tmp_path / "out", Provider()
    out.mkdir()
    if data is None:
        (out / name).mkdir()
    else:
        (out / name).write_bytes(data)
    with pytest.raises(SettingsError) as caught:
        run(out, provider)
    assert provider.asked == []
    assert {problem.file for problem in caught.value.problems} == {str(out / name)}


def test_a_journal_that_was_removed_is_made_again_from_the_records(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(out, Provider())
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    shutil.rmtree(out / ".generation")
    again = Provider()
    with_new = [*PROMPTS, "a new one"]
    counts = adopting_run(out, again, replace(OPTIONS, budget_usd=2.9), with_new)
    assert (again.asked, counts) == ([], {State.DELIVERED: 5, State.PLANNED: 1})  # the budget knows the cost
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before
    adopting_run(out, again, OPTIONS, with_new)
    assert again.asked == ["a new one"]
    assert [row["text_prompt"] for row in table(out)] == with_new


def adopting_run(
    out: Path, provider: Provider, options: MakingOptions, prompts: Iterable[str]
) -> dict[State, int]:
    """Run as the command does in a folder that may have no journal."""
    folder = ImageFolder(out)
    folder.make()
    with Journal(folder.journal_path) as journal:
        journal.adopt(folder.read_records())
    return run(out, provider, options, prompts)


def test_answers_that_are_all_lost_stop_a_run(tmp_path: Path) -> None:
    provider = Provider(lose)
    with pytest.raises(ReleaseError, match="no usable answer"):
        run(tmp_path / "out", provider, prompts=[f"face {number}" for number in range(30)])
    assert len(provider.asked) <= 5 + OPTIONS.concurrency


def test_missing_images_are_named_and_a_lost_table_is_written_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(out, Provider())
    rows = table(out)
    (out / "SFHQ_T2I_dataset.csv").unlink()
    (out / "generation.jsonl").unlink()
    gone = out / "images" / rows[1]["image_filename"]
    gone.unlink()
    folder = ImageFolder(out)
    with Journal(folder.journal_path) as journal:
        assert folder.write_tables(journal) == [gone.name]
    assert table(out) == rows
    assert len(records(out)) == 5


def test_a_row_that_was_changed_stays_so(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(out, Provider())
    path = out / "SFHQ_T2I_dataset.csv"
    path.write_text(path.read_text().replace('"a woman"', '"a tall woman"'))
    run(out, Provider(), prompts=[*PROMPTS, "a new one"])
    assert [row["text_prompt"] for row in table(out)] == ["a man", "a tall woman", *PROMPTS[2:], "a new one"]


def test_attributes_that_come_later_are_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(out, Provider(), prompts=["a man"])
    file = tmp_path / "more.jsonl"
    file.write_text(json.dumps({"prompt": "a man", "attributes": [{"attribute": "gender", "value": "male"}]}))
    folder = ImageFolder(out)
    with Journal(folder.journal_path) as journal:
        journal.want(plan_images(file, "FLUX1_schnell", {"num_inference_steps": 4}, 0))
        journal.plan()
        folder.write_tables(journal)
    (record,) = records(out)
    assert [each.model_dump() for each in record.attributes] == [{"attribute": "gender", "value": "male"}]


def test_what_this_machine_did_not_finish_is_planned_again(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        (tmp_path / "p.txt").write_text("a man\na woman")
        journal.want(plan_images(tmp_path / "p.txt", "drawn", {}, 0))
        journal.plan()
        free, paid = [entry.planned.key for entry in journal.entries(State.PLANNED)]
        journal.send(free, "drawn", "m", "now", 0)
        journal.send(paid, "fal-ai", "m", "now", 1)
        journal.recover(["drawn"])
        assert journal.counts() == {State.PLANNED: 1, State.UNCERTAIN: 1}


def test_a_file_is_named_after_any_generator() -> None:
    assert image_name("../../x y/é", "k", "PNG") == "x_y_k.png"
    assert image_name("é", "k", "PNG") == "image_k.png"
