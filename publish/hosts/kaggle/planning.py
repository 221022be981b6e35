"""What a run would do on Kaggle: found out by reading alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from publish.hosts.kaggle.access import problem
from publish.hosts.kaggle.attempts import Uploads
from publish.hosts.kaggle.contents import SETTLED, TARGET, Contents, KaggleVersion, Site, sent_entries
from publish.hosts.kaggle.page import KagglePage, check_new_name, page_mark
from publish.hosts.protocol import Action, TargetPlan
from publish.hosts.refusals import older, other_content, respelled
from schemas.manifest import Manifest
from schemas.problems import Problem, ReleaseError

MAX_FILE_BYTES = 2_000_000_000  # Kaggle does not say what happens above 2 GB, so everything stays below
MAX_TOP_FILES = 50  # what Kaggle takes outside of folders
# A version that Kaggle has broken is sent once more, not for ever.
MAX_TRIES = 2
_WRITERS = ("owner", "admin", "writer")  # in Kaggle's words


class Step(StrEnum):
    """What a run has to do on Kaggle."""

    WAIT = "wait for Kaggle to process its newest version"
    CREATE = "create the dataset"
    SEND = "create a version"
    SEND_AGAIN = "create a version once more, since the one that is there lacks files or has other bytes"
    DESCRIBE = "update the page"


@dataclass(frozen=True, slots=True)
class KagglePlan(TargetPlan):
    """What a run would do on Kaggle.

    Attributes:
        steps: In their order; none where all is done.
        newest: Number of Kaggle's newest version when it was looked at; 0 where there is none.
        add: Files to send, each with its size in bytes: all of them, since Kaggle knows no unchanged files.
        keep: Files that are there already.
        left_out: Paths of the release that Kaggle does not get.
        num_requests: How many requests would change something.
        notes: What is worth knowing before.
        access: What keeps this user from writing.
    """

    steps: tuple[Step, ...] = ()
    newest: int = 0
    add: Mapping[str, int] = field(default_factory=dict)
    keep: Mapping[str, int] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    num_requests: int = 0
    notes: tuple[str, ...] = ()
    access: tuple[Problem, ...] = ()

    @property
    def remove(self) -> Mapping[str, int]:
        """Files that are to go: none ever do, each version is a whole of its own."""
        return {}


class Planner:
    """Finds out what is to be done.

    Args:
        dataset: As "owner/slug".
        url: The dataset's page.
        page: What it should say.
        uploads: What earlier runs have asked for.
        trusts_rights: Whether to go on where Kaggle does not say if the user may write.
    """

    def __init__(
        self, dataset: str, url: str, page: KagglePage, uploads: Uploads, *, trusts_rights: bool = False
    ) -> None:
        self._dataset, self._url, self._page, self._uploads = dataset, url, page, uploads
        self._trusts_rights = trusts_rights

    def plan(self, contents: Contents, manifest: Manifest, problems: Sequence[Problem]) -> KagglePlan:
        """Look at what is there.

        Args:
            contents: Of the dataset.
            manifest: The release.
            problems: What is known against it already; then what is to be done is not asked.

        Raises:
            ReleaseError: The release is refused, or the site does not say.
        """
        site = contents.look()
        problems = [*problems, *(check_new_name(self._dataset) if not site.exists else ())]
        steps = () if problems else self.steps(contents, site, manifest)
        plan = KagglePlan(target=TARGET, url=self._url, action=Action.REFUSE, newest=site.newest_number)
        if problems:
            return replace(plan, problems=tuple(problems))
        is_sent = bool({Step.CREATE, Step.SEND, Step.SEND_AGAIN} & set(steps))
        files = {entry.path: entry.num_bytes for entry in sent_entries(manifest)}
        left_out = tuple(entry.path for entry in manifest.all_files if entry.path not in files)
        return replace(
            plan,
            action=Action.ADD if steps else Action.KEEP,
            steps=steps,
            add=files if is_sent else {},
            keep={} if is_sent else files,
            left_out=left_out,
            num_requests=2 * len(files) * is_sent + len([step for step in steps if step is not Step.WAIT]),
            notes=tuple(self.notes(site, num_left_out=len(left_out))),
            access=tuple(self.access(contents, site) if steps else ()),
        )

    def access(self, contents: Contents, site: Site) -> Iterator[Problem]:
        """Yield what keeps the signed-in user from writing, as far as Kaggle shows it.

        Kaggle shows the collaborators of a dataset and who made each version, but not who may write for an
        organisation.
        """
        client, dataset = contents.client, self._dataset
        role = client.role()
        if role in _WRITERS or (role is None and site.is_made_by(client.user)):
            return
        user, owner = client.user, dataset.partition("/")[0]
        if role == "reader":
            message = f"{user} may only read {dataset} on Kaggle"
            fix = f"ask {owner} to let {user} edit it, or use the token of one who may"
            yield problem(message, fix, code="host/no-rights")
        elif not self._trusts_rights:
            is_shown = f"Kaggle does not say whether {user} may write to {dataset}"
            is_hidden = f"Kaggle shows no {dataset} to {user}: it is missing, or hidden from this account"
            fix = (
                f"see on Kaggle that {user} may publish for {owner}, and add --force-unknown-rights; or "
                "correct kaggle.dataset; or use another token"
            )
            yield problem(is_shown if site.exists else is_hidden, fix, code="host/unknown-rights")

    def steps(self, contents: Contents, site: Site, manifest: Manifest) -> tuple[Step, ...]:
        """Return what is left to do, in order.

        Raises:
            ReleaseError: It must not be done.
        """
        _refuse_conflicts(site, manifest)
        held = site.holding(manifest)
        num_tries = self._uploads.num_tries(site, manifest)
        if not held:
            if not site.is_settled:
                return (Step.WAIT, Step.SEND, Step.DESCRIBE)
            if num_tries >= MAX_TRIES:
                raise self._no_third_time(site, manifest)
            return (Step.SEND if site.exists else Step.CREATE, Step.DESCRIBE)
        newest = held[-1]
        if newest.state not in SETTLED:
            return (Step.WAIT, Step.DESCRIBE)
        is_spoilt = newest.state == "failed" or newest.number in self._uploads.spoilt(manifest)
        problems = [] if is_spoilt else contents.compare(newest.number, manifest)
        if problems:
            _refuse_wrong_listing(contents, newest, manifest, problems)
        if is_spoilt or problems:
            if num_tries < MAX_TRIES:
                return (Step.SEND_AGAIN, Step.DESCRIBE)
            raise self._no_third_time(site, manifest, problems)
        is_shown = newest.number == site.newest_number
        # The page speaks of the newest version: an older one leaves it alone.
        stale = is_shown and page_mark(self._page, manifest) not in site.description
        return (Step.DESCRIBE,) if stale else ()

    def notes(self, site: Site, num_left_out: int = 0) -> Iterator[str]:
        """Yield what is worth knowing before anything is sent."""
        if num_left_out:
            yield f"{num_left_out} files of WebDataset are left out, since Kaggle would unpack them"
        if outlook := self._uploads.outlook(site):
            yield f"Kaggle did not answer an earlier run. {outlook}"

    def _no_third_time(
        self, site: Site, manifest: Manifest, problems: Sequence[Problem] = ()
    ) -> ReleaseError:
        count = self._uploads.num_tries(site, manifest)
        message = f"Kaggle has been given release {manifest.version} {count} times, and does not hold it"
        fix = f"look at {self._url} and ask Kaggle's support"
        if not site.holding(manifest):
            fix = f"{fix}; to send it again all the same, remove {self._uploads.place(manifest)}"
        return ReleaseError([problem(message, fix, code="host/unfinished"), *problems])


def check_layout(manifest: Manifest) -> Iterator[Problem]:
    """Hold the files that go to Kaggle against its limits."""
    sent = sent_entries(manifest)
    for entry in sent:
        if entry.num_bytes >= MAX_FILE_BYTES:
            message = f"the file has {entry.num_bytes:,} bytes, and Kaggle gets none of 2 GB or more"
            yield problem(
                message, "build with a smaller build.max_shard_bytes", value=entry.path, code="host/limits"
            )
    num_top = sum("/" not in entry.path for entry in sent)
    if num_top > MAX_TOP_FILES:
        message = f"{num_top} files lie outside of folders, and Kaggle takes {MAX_TOP_FILES}"
        yield problem(message, "put them into folders", code="host/limits")


def missing_files(folder: Path, manifest: Manifest) -> Iterator[Problem]:
    """Yield a problem for each file that a built release lacks, or has in another size."""
    for entry in sent_entries(manifest):
        path = folder / entry.path
        if not path.is_file() or path.stat().st_size != entry.num_bytes:
            yield problem(
                "the file is missing from the release, or has another size",
                "build it",
                entry.path,
                code="check/file",
            )


def _refuse_wrong_listing(
    contents: Contents, version: KaggleVersion, manifest: Manifest, problems: Sequence[Problem]
) -> None:
    """Refuse to send a release again because of a listing that what can be downloaded contradicts.

    Raises:
        ReleaseError: The files that the listing lacks, or shows in other sizes, are there.
    """
    named = {problem.value for problem in problems}
    entries = [entry for entry in sent_entries(manifest) if entry.path in named]
    if entries and not contents.is_lost(version, entries):
        message = (
            f"Kaggle lists the files of its version {version.number} wrongly: {entries[0].path} is there"
        )
        fix = "run the same command again later; if it stays so, ask Kaggle's support"
        raise ReleaseError(problem(message, fix, code="host/unfinished"))


def _refuse_conflicts(site: Site, manifest: Manifest) -> None:
    """Refuse what would change a published version, or put an old one in the place of a newer.

    Raises:
        ReleaseError: A version is there with other content, in another spelling, or a later one.
    """
    if site.holding(manifest):
        return
    version, why = manifest.version, "which is on Kaggle: it would hide that from its users"
    for there in site.versions:
        if there.version is None:
            continue
        if there.version == version:
            how = f"its version {there.number}"
            digest = there.manifest_sha256
            raise ReleaseError(other_content(version, TARGET, how, where="on Kaggle", digest=digest))
        refusal = respelled(version, there.version, TARGET) or older(version, there.version, TARGET, why)
        if refusal is not None:
            raise ReleaseError(refusal)
