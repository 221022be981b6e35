"""The journal of images: what was asked for, what came back, and what it cost.

Its states are those of `RequestJournal`. An image that was delivered is here until its file is on the disk.
One whose answer was lost is fetched by the next run, where it has an address.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace

from builders.generation.image_requests import PlannedImage
from builders.generation.images import ImageAnswer
from builders.generation.request_journal import RequestJournal, State
from schemas.generation import GenerationRecord
from schemas.prompts import PromptOrigin

_BATCH = 500
# Of a record: what is known of the prompt alone.
_OF_PROMPT = (
    *("attributes", "grammar", "grammar_version", "prompt_seed", "prompt_index"),
    *PromptOrigin.model_fields,
)
# Whether a run knows more of a prompt than the journal, and nothing less.
_IS_RICHER = """
    json_array_length(wanted.planned, '$.attributes') >= json_array_length(requests.planned, '$.attributes')
    AND (wanted.planned ->> '$.prompt_id' IS NOT NULL OR requests.planned ->> '$.prompt_id' IS NULL)
    AND (
        json_array_length(requests.planned, '$.attributes') = 0
        AND json_array_length(wanted.planned, '$.attributes') > 0
        OR requests.planned ->> '$.prompt_id' IS NULL AND wanted.planned ->> '$.prompt_id' IS NOT NULL
    )
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A request with what the journal knows of it.

    Attributes:
        planned: The request.
        provider: Who was asked; None if it was not sent.
        model: The model as that provider names it.
        sent_at: When, UTC.
        cost_usd: What it may have cost, in US dollars.
        answer: What came back, without the image; None if nothing did.
    """

    planned: PlannedImage
    provider: str | None
    model: str | None
    sent_at: str | None
    cost_usd: float
    answer: ImageAnswer | None


class Journal(RequestJournal):
    """The journal of a folder of generated images."""

    columns = (
        "record TEXT",
        "image BLOB",
        "file_name TEXT",
        "is_listed INTEGER NOT NULL DEFAULT 0",
    )
    indexes = ("CREATE INDEX IF NOT EXISTS by_file ON requests (file_name)",)

    def want(self, planned: Iterable[PlannedImage]) -> None:
        """Take the requests of this run; nothing is written to the journal yet."""
        self.want_keys((each.key, each.model_dump_json()) for each in planned)

    def plan(self) -> None:
        """Write the requests of this run that are new as planned.

        Those that the journal has without attributes or id, such as from a plain text, get these.
        """
        with self.transaction() as run:
            run.execute(
                "INSERT OR IGNORE INTO requests (key, state, planned) "
                "SELECT key, 'planned', planned FROM wanted ORDER BY number"
            )
            richer = run.execute(
                f"SELECT key, wanted.planned, record FROM wanted JOIN requests USING (key) WHERE {_IS_RICHER}"
            ).fetchall()
            for key, planned, record in richer:
                values = (planned, _add_prompt(record, planned), key)
                run.execute("UPDATE requests SET planned = ?, record = ? WHERE key = ?", values)

    def adopt(self, records: Iterable[GenerationRecord]) -> None:
        """Take over answered requests that the journal does not have, such as where it was removed."""
        with self.transaction() as run:
            for record in records:
                planned = PlannedImage.model_validate(
                    {
                        **record.model_dump(),
                        "key": record.request_key,
                        "settings": {},
                        "seed": record.seed or 0,
                    }
                )
                run.execute(
                    "INSERT OR IGNORE INTO requests "
                    "(key, state, planned, provider, model, sent_at, cost_usd, record, is_listed) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)",
                    (
                        *(record.request_key, record.status, planned.model_dump_json()),
                        *(record.provider, record.model, record.requested_at, record.cost_usd or 0),
                        record.model_dump_json(),
                    ),
                )

    def refusals(self) -> Mapping[str, int]:
        """Count the refused requests of this run by category."""
        rows = self.read(
            "SELECT json_extract(record, '$.refusal'), COUNT(*) FROM wanted JOIN requests USING (key) "
            "WHERE state = 'refused' GROUP BY 1 ORDER BY 2 DESC, 1"
        )
        return {str(category): number for category, number in rows}

    def made_elsewhere(self, provider: str, model: str) -> Mapping[tuple[str, str], int]:
        """Count the images of this run that were made by others than a provider and model, by these."""
        rows = self.read(
            "SELECT provider, model, COUNT(*) FROM wanted JOIN requests USING (key) "
            "WHERE state = 'delivered' AND answer IS NOT NULL AND (provider <> ? OR model <> ?) "
            "GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2",
            provider,
            model,
        )
        return {(who, name): number for who, name, number in rows}

    def usual_seconds(self, generator: str, provider: str) -> float | None:
        """Return the median time of the last hundred images by a provider; None if there are none."""
        rows = self.read(
            "SELECT json_extract(record, '$.seconds') AS seconds FROM requests WHERE state = 'delivered' "
            "AND provider = ? AND json_extract(record, '$.generator') = ? AND seconds IS NOT NULL "
            "ORDER BY number DESC LIMIT 100",
            provider,
            generator,
        )
        times = sorted(seconds for (seconds,) in rows)
        return times[len(times) // 2] if times else None

    def entries(self, *states: State) -> Iterator[Entry]:
        """Yield the requests of this run in some states, in the order of the prompts.

        Each is in such a state when it is yielded; the states may change meanwhile.
        """
        marks, last = ", ".join("?" * len(states)), 0
        while rows := self.read(
            "SELECT wanted.number, requests.planned, provider, model, sent_at, cost_usd, answer "
            "FROM wanted JOIN requests USING (key) "
            f"WHERE state IN ({marks}) AND wanted.number > ? ORDER BY wanted.number LIMIT {_BATCH}",
            *states,
            last,
        ):
            for last, planned, provider, model, sent_at, cost_usd, answer in rows:  # noqa: B007 - where to go on
                yield Entry(
                    PlannedImage.model_validate_json(planned),
                    provider,
                    model,
                    sent_at,
                    cost_usd,
                    ImageAnswer(**{**json.loads(answer), "data": b""}) if answer else None,
                )

    def deliver(
        self, key: str, answer: ImageAnswer, data: bytes, file_name: str, record: GenerationRecord
    ) -> None:
        """Store an answer with its image, as one step; `file_name` is where the image goes."""
        state = State.DELIVERED if record.status == "delivered" else State.REFUSED
        self.set_values(
            key,
            state=state,
            cost_usd=record.cost_usd or 0,
            answer=_write_answer(replace(answer, address=None)),  # it may hold a signature
            record=record.model_dump_json(),
            image=data,
            file_name=file_name,
            message=None,
        )

    def refuse(self, key: str, message: str, record: GenerationRecord) -> None:
        """Write that the provider declined."""
        self.set_values(
            key, state=State.REFUSED, cost_usd=0, record=record.model_dump_json(), message=message
        )

    def lose(self, key: str, message: str, answer: ImageAnswer | None, data: bytes, file_name: str) -> None:
        """Write that an image may have been made, and that there is none that can be used."""
        self.set_values(
            key,
            state=State.UNCERTAIN,
            message=message,
            answer=_write_answer(answer) if answer else None,
            image=data or None,
            file_name=file_name if data else None,
        )

    def unwritten(self) -> Iterator[tuple[str, str, bytes]]:
        """Yield key, file name and bytes of each image whose file may not be on the disk yet."""
        keys = [key for (key,) in self.read("SELECT key FROM requests WHERE image IS NOT NULL")]
        for key in keys:
            ((file_name, data),) = self.read("SELECT file_name, image FROM requests WHERE key = ?", key)
            yield key, file_name, data

    def forget_image(self, key: str) -> None:
        """Remove an image whose file is on the disk."""
        self.set_values(key, image=None)

    def unlisted(self) -> set[str]:
        """Return the keys of the answered requests that the folder's tables do not have yet."""
        return {
            key for (key,) in self.read("SELECT key FROM requests WHERE record IS NOT NULL AND NOT is_listed")
        }

    def records(self) -> Iterator[tuple[GenerationRecord, Mapping[str, object], str | None]]:
        """Yield record, settings and file name of each answered request of the folder, in order.

        The file name is None for requests without a file, and for those that were taken over.
        """
        last = 0
        while rows := self.read(
            "SELECT number, record, answer, planned, file_name FROM requests "
            f"WHERE record IS NOT NULL AND number > ? ORDER BY number LIMIT {_BATCH}",
            last,
        ):
            for last, record, answer, planned, file_name in rows:  # noqa: B007 - as above
                settings = _read_settings(answer, planned)
                yield GenerationRecord.model_validate_json(record), settings, file_name

    def has_records(self) -> bool:
        """Return whether any request was answered."""
        return bool(self.read("SELECT 1 FROM requests WHERE record IS NOT NULL LIMIT 1"))

    def list_records(self, keys: Iterable[str]) -> None:
        """Write that the folder's tables have these requests."""
        with self.transaction() as run:
            run.executemany("UPDATE requests SET is_listed = 1 WHERE key = ?", ((key,) for key in keys))

    def find_file(self, file_name: str) -> tuple[GenerationRecord, Mapping[str, object]] | None:
        """Return record and settings of the request of this folder that made a file; None for another's."""
        sql = (
            "SELECT record, answer, planned FROM requests WHERE file_name = ? AND record IS NOT NULL LIMIT 1"
        )
        for record, answer, planned in self.read(sql, file_name):
            return GenerationRecord.model_validate_json(record), _read_settings(answer, planned)
        return None

    def has_key(self, key: str) -> bool:
        """Return whether the journal has a request."""
        return bool(self.read("SELECT 1 FROM requests WHERE key = ? LIMIT 1", key))


def _add_prompt(record: str | None, planned: str) -> str | None:
    """Return a record with what a request knows of its prompt."""
    if record is None:
        return None
    known = PlannedImage.model_validate_json(planned)
    update = {name: getattr(known, name) for name in _OF_PROMPT}
    return GenerationRecord.model_validate_json(record).model_copy(update=update).model_dump_json()


def _read_settings(answer: str | None, planned: str) -> Mapping[str, object]:
    """Return the settings that an answer followed, or those that were asked for."""
    settings: Mapping[str, object] = json.loads(answer or planned)["settings"]
    return settings


def _write_answer(answer: ImageAnswer) -> str:
    values = asdict(replace(answer, data=b""))
    del values["data"]
    return json.dumps(values, ensure_ascii=False)
