"""The Space beside a dataset: the explorer's page, which reads the files of a release's tag.

It is published when the release is verified and tagged, in one commit. The kit knows its own Space by the
page's settings, which name the dataset and the version. It writes to no other Space, and never goes back to
an older version.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from huggingface_hub import CommitOperation, CommitOperationAdd, CommitOperationDelete

from publish.explorer import SETTINGS_NAME
from publish.explorer.space import SpaceShown, hub_address, read_space, space_files
from publish.hosts.hub.client import AGAIN, Hub
from publish.hosts.hub.contents import ATTRIBUTES, BRANCH, CARD, Contents, Refs
from publish.hosts.hub.planning import SpacePlan
from publish.hosts.hub.sending import Sender
from publish.hosts.protocol import Held, Watcher
from schemas.manifest import Manifest
from schemas.problems import Problem, ReleaseError
from schemas.versions import parse_version

_MAX_PLANS = 5  # how often the branch may move under a run
# What the Hub itself puts into a new static Space, in its first commit.
_TEMPLATE = frozenset({ATTRIBUTES, CARD, "index.html", "style.css"})
_FIRST_COMMIT = "initial commit"
_FINISH = "publish the release again, which sends what the Space lacks"
_MARK_AGAIN = "withdraw the release again, with the same reason, which sends what the Space lacks"
_NOT_SENT = "the file is not the one that was sent"
_NOT_OURS = "the file is not the one that this version of the kit writes"


class Space:
    """Publishes one Space.

    Args:
        hub: Speaks about a repository of type "space".
    """

    def __init__(self, hub: Hub) -> None:
        self._hub, self._contents = hub, Contents(hub)
        self._sender = Sender(hub, self._contents)
        self._is_made = False  # by this run

    @property
    def namespace(self) -> str:
        """The user or organisation that it belongs to."""
        return self._hub.repository.partition("/")[0]

    def state(self) -> str:
        """Return the state in one line: the commit of `main`.

        Raises:
            ReleaseError: The Hub does not say.
        """
        with self._hub.stage("reading the Space"):
            refs = self._contents.refs()
            return "no Space" if refs is None else f"Space at {refs.head}"

    def plan(self, manifest: Manifest, *, is_private: bool) -> SpacePlan:
        """Return what a run would do; this changes nothing.

        Args:
            manifest: The release that the page is to show.
            is_private: Whether the dataset is or will be private.

        Raises:
            ReleaseError: The client is set to work offline, or cannot get its token.
        """
        try:
            with self._hub.stage("reading the Space"):
                return self._plan(manifest, _files(manifest), is_private)
        except ReleaseError as error:
            return SpacePlan(url=self._hub.url, problems=error.problems)

    def shown(self, repository: str) -> SpaceShown | None:
        """Return what the Space shows of a dataset; None if there is no Space, or not the kit's.

        Raises:
            ReleaseError: The Hub does not say.
        """
        with self._hub.stage("reading the Space"):
            refs = self._contents.refs()
            return None if refs is None else self._shown(repository, refs)

    def tell(self, found: Mapping[str, Held], repository: str) -> Mapping[str, Held]:
        """Add to the versions of a dataset what the Space has to do with them."""
        if not found:
            return found
        try:
            shown = self.shown(repository)
        except ReleaseError as error:
            newest = max(found, key=parse_version)
            remark = f"the Space cannot be read: {error.problems[0].message}"
            return {**found, newest: replace(found[newest], remark=remark)}
        told = dict(found)
        if shown is not None and shown.version in found:
            held = found[shown.version]
            is_silent = held.withdrawn and not shown.withdrawn
            remark = "the Space shows it" + (" and does not say that it is withdrawn" if is_silent else "")
            told[shown.version] = replace(held, remark=remark)
        usable = [version for version, held in found.items() if not held.withdrawn]
        newest = max(usable, key=parse_version, default="")
        if newest and (shown is None or parse_version(shown.version) < parse_version(newest)):
            lack = f"the Space shows version {shown.version}" if shown else "no Space shows it"
            missing = "; ".join(filter(None, (found[newest].missing, lack)))
            told[newest] = replace(found[newest], missing=missing)
        return told

    def verify(self, manifest: Manifest, withdrawn: str) -> tuple[Problem, ...]:
        """Read the Space's files back, and compare them with those that this kit writes.

        Nothing is wrong with a Space that shows a newer release. A release that is withdrawn needs no Space.

        Args:
            manifest: The release that it should show.
            withdrawn: Why that should not be used; empty if it is not withdrawn.

        Raises:
            ReleaseError: The Hub does not say.
        """
        with self._hub.stage("reading the Space"):
            refs, version = self._contents.refs(), manifest.version
            shown = None if refs is None else self._shown(manifest.inputs.dataset.repository, refs)
            if withdrawn and (shown is None or shown.version != version):
                return ()
            if refs is None or refs.head is None or shown is None:
                message = "there is no Space that shows the release"
                in_the_way = () if refs is None else tuple(self._refusals(refs, None, is_exposed=False))
                return in_the_way or (self._contents.problem(message, _FINISH, "host/unfinished"),)
            if parse_version(shown.version) > parse_version(version):
                return ()
            if shown.version != version:
                message = f"the Space shows version {shown.version}, and not {version}"
                return (self._contents.problem(message, _FINISH, "host/unfinished"),)
            fix, files = _MARK_AGAIN if withdrawn else _FINISH, _files(manifest, withdrawn)
            return tuple(
                self._contents.file_problem(_NOT_OURS, path, fix) for path in self._unlike(files, refs.head)
            )

    def publish(self, manifest: Manifest, watcher: Watcher, *, is_private: bool, withdrawn: str = "") -> bool:
        """Have the Space show a release; this sends nothing if it does, or if it shows a newer one.

        Args:
            manifest: The release, verified and tagged.
            watcher: Is told what visitors will miss.
            is_private: Whether the dataset is private.
            withdrawn: Why the release should not be used, for the page to say.

        Returns:
            Whether anything was sent.

        Raises:
            ReleaseError: The Space is not the kit's or too public, or the Hub did not do it.
        """
        files, is_sent = _files(manifest, withdrawn), False
        with self._hub.stage("publishing the Space"):
            for _ in range(_MAX_PLANS):
                plan = self._plan(manifest, files, is_private)
                _refuse(plan.problems)
                if plan.base is None:
                    self._sender.create(private=is_private)
                    self._is_made = is_sent = True
                elif plan.steps:
                    is_sent = True
                    self._commit(manifest, files, plan, plan.base, watcher)
                else:
                    kept = {path: files[path] for path in plan.keep}
                    self._refuse_unlike(self._unlike(kept, plan.base))
                    for note in plan.notes:
                        watcher.note(f"hub: {note}")
                    return is_sent
        message = f"{BRANCH} has moved {_MAX_PLANS} times while this run was publishing the Space"
        raise ReleaseError(
            self._contents.problem(message, f"see who else writes there, then {AGAIN}", "host/moved")
        )

    def _commit(
        self, manifest: Manifest, files: Mapping[str, bytes], plan: SpacePlan, base: str, watcher: Watcher
    ) -> None:
        """Make the commit, and see that the Hub lists what was sent; the caller looks again in any case."""
        operations: list[CommitOperation] = [CommitOperationAdd(path, files[path]) for path in plan.add]
        operations += [CommitOperationDelete(path, is_folder=False) for path in plan.remove]
        title = f"Show release {manifest.version}"
        text = f"Manifest SHA-256: {manifest.digest}"
        made = self._sender.commit(operations, base, title, text, watcher)
        if made is not None:
            self._refuse_unlike(self._unlike(files, made, by_listing=True))

    def _plan(self, manifest: Manifest, files: Mapping[str, bytes], is_private: bool) -> SpacePlan:
        url, sizes = self._hub.url, {path: len(data) for path, data in files.items()}
        hidden = f"the dataset is private, and so is the Space {url}: its page cannot read the dataset"
        notes = (f"{hidden}, and shows no pictures until both are public",) if is_private else ()
        refs = self._contents.refs()
        if refs is None:
            return SpacePlan(url=url, add=sizes, notes=notes)
        found = self._shown(manifest.inputs.dataset.repository, refs)
        shown = found.version if found else None
        is_space_private = self._contents.is_private()
        if problems := tuple(self._refusals(refs, shown, is_exposed=is_private and not is_space_private)):
            return SpacePlan(url=url, problems=problems, base=refs.head)
        if is_space_private and not is_private:
            notes = (f"the Space {url} is private, and the dataset is not: make it public for others to see",)
        head = str(refs.head)
        if shown is not None and parse_version(shown) > parse_version(manifest.version):
            newer = f"the Space {url} shows version {shown}, which is newer, and stays as it is"
            return SpacePlan(url=url, base=head, notes=(*notes, newer))
        keep = {path for path, data in files.items() if self._contents.lists(path, data, head)}
        surplus = self._contents.files(head).keys() & _TEMPLATE - {ATTRIBUTES} - files.keys()
        return SpacePlan(
            url=url,
            add={path: size for path, size in sizes.items() if path not in keep},
            keep={path: size for path, size in sizes.items() if path in keep},
            remove=tuple(sorted(surplus)) if shown is None else (),
            base=head,
            notes=notes,
        )

    def _refusals(self, refs: Refs, shown: str | None, *, is_exposed: bool) -> Iterator[Problem]:
        if refs.head is None:
            yield self._contents.problem(
                f"the Space has no branch {BRANCH}", "give it one", "host/in-the-way"
            )
        elif shown is None and not self._is_new(refs):
            message = "a Space of this name is there, and its files are not this dataset's page"
            fix = 'rename or remove that Space, or give another name: space = "ORGANISATION/NAME" in [hub]'
            yield self._contents.problem(message, fix, "host/in-the-way")
        if is_exposed:
            message = "the Space is public, and the dataset is private"
            fix = "make the Space private in its settings on the Hub, or make the dataset public"
            yield self._contents.problem(
                f"{message}: its page would say what is in there", fix, "host/in-the-way"
            )

    def _shown(self, repository: str, refs: Refs) -> SpaceShown | None:
        """Return what the Space shows of a dataset; None if it is not the kit's."""
        settings = self._contents.text(SETTINGS_NAME, refs.head) if refs.head is not None else None
        return read_space(settings, repository) if settings is not None else None

    def _is_new(self, refs: Refs) -> bool:
        """Return whether the Hub has made the Space, and no user has written to it since.

        One commit alone proves nothing: a copy of another Space, or one with a history cut off, has one, too.
        """
        if refs.head is None or refs.tags or refs.branches != {BRANCH}:
            return False
        commits = self._contents.commits()
        is_first = len(commits) == 1 and (self._is_made or commits[0].title.lower() == _FIRST_COMMIT)
        return is_first and self._contents.files(refs.head).keys() <= _TEMPLATE

    def _unlike(self, files: Mapping[str, bytes], sha: str, *, by_listing: bool = False) -> Iterator[str]:
        """Yield the paths that have other content, by the Hub's listing or by the bytes that come back."""
        for path, data in files.items():
            is_same = self._contents.lists(path, data, sha) and (
                by_listing or self._contents.text(path, sha) == data
            )
            if not is_same:
                yield path

    def _refuse_unlike(self, paths: Iterable[str]) -> None:
        _refuse([self._contents.file_problem(_NOT_SENT, path, AGAIN) for path in paths])


def _files(manifest: Manifest, withdrawn: str = "") -> Mapping[str, bytes]:
    return space_files(manifest, hub_address(manifest), withdrawn)


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise ReleaseError(problems)
