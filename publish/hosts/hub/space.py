"""The Space beside a dataset: the explorer's page, which reads the files of a release's tag.

It is published when the release is verified and tagged, in one commit. The kit knows its own Space by the
page's settings, which name the dataset and the version. It writes to no other Space, and never goes back to
an older version.
"""

from collections.abc import Iterator, Mapping, Sequence

from huggingface_hub import CommitOperation, CommitOperationAdd, CommitOperationDelete

from publish.explorer import SETTINGS_NAME
from publish.explorer.space import hub_address, space_files, version_shown
from publish.hosts.hub.client import AGAIN, Hub
from publish.hosts.hub.contents import ATTRIBUTES, BRANCH, CARD, Contents, Refs
from publish.hosts.hub.planning import SpacePlan
from publish.hosts.hub.sending import Sender
from publish.hosts.protocol import Watcher
from schemas.manifest import Manifest
from schemas.problems import Problem, ReleaseError
from schemas.versions import parse_version

_MAX_PLANS = 5  # how often the branch may move under a run
# What the Hub itself puts into a new static Space, in its first commit.
_TEMPLATE = frozenset({ATTRIBUTES, CARD, "index.html", "style.css"})
_FIRST_COMMIT = "initial commit"


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

    def publish(self, manifest: Manifest, watcher: Watcher, *, is_private: bool) -> None:
        """Have the Space show a release; this sends nothing if it does, or if it shows a newer one.

        Args:
            manifest: The release, verified and tagged.
            watcher: Is told what visitors will miss.
            is_private: Whether the dataset is private.

        Raises:
            ReleaseError: The Space is not the kit's or too public, or the Hub did not do it.
        """
        files = _files(manifest)
        with self._hub.stage("publishing the Space"):
            for _ in range(_MAX_PLANS):
                plan = self._plan(manifest, files, is_private)
                _refuse(plan.problems)
                if plan.base is None:
                    self._sender.create(private=is_private)
                    self._is_made = True
                elif plan.steps:
                    self._commit(manifest, files, plan, plan.base, watcher)
                else:
                    _refuse([*self._differences({path: files[path] for path in plan.keep}, plan.base)])
                    for note in plan.notes:
                        watcher.note(f"hub: {note}")
                    return
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
            _refuse([*self._differences(files, made, by_listing=True)])

    def _plan(self, manifest: Manifest, files: Mapping[str, bytes], is_private: bool) -> SpacePlan:
        url, sizes = self._hub.url, {path: len(data) for path, data in files.items()}
        hidden = f"the dataset is private, and so is the Space {url}: its page cannot read the dataset"
        notes = (f"{hidden}, and shows no pictures until both are public",) if is_private else ()
        refs = self._contents.refs()
        if refs is None:
            return SpacePlan(url=url, add=sizes, notes=notes)
        shown = self._shown(manifest, refs)
        is_space_private = self._contents.is_private()
        if problems := tuple(self._refusals(refs, shown, is_private and not is_space_private)):
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

    def _refusals(self, refs: Refs, shown: str | None, is_exposed: bool) -> Iterator[Problem]:
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

    def _shown(self, manifest: Manifest, refs: Refs) -> str | None:
        """Return the version of this dataset that the Space shows; None if it is not the kit's."""
        settings = self._contents.text(SETTINGS_NAME, refs.head) if refs.head is not None else None
        return version_shown(settings, manifest) if settings is not None else None

    def _is_new(self, refs: Refs) -> bool:
        """Return whether the Hub has made the Space, and no user has written to it since.

        One commit alone proves nothing: a copy of another Space, or one with a history cut off, has one, too.
        """
        if refs.head is None or refs.tags or refs.branches != {BRANCH}:
            return False
        commits = self._contents.commits()
        is_first = len(commits) == 1 and (self._is_made or commits[0].title.lower() == _FIRST_COMMIT)
        return is_first and self._contents.files(refs.head).keys() <= _TEMPLATE

    def _differences(
        self, files: Mapping[str, bytes], sha: str, *, by_listing: bool = False
    ) -> Iterator[Problem]:
        """Compare files with what the Hub lists, and unless that is enough, with the bytes that come back."""
        for path, data in files.items():
            is_same = self._contents.lists(path, data, sha) and (
                by_listing or self._contents.text(path, sha) == data
            )
            if not is_same:
                message = "the file is not the one that was sent"
                yield self._contents.file_problem(message, path, AGAIN)


def _files(manifest: Manifest) -> Mapping[str, bytes]:
    return space_files(manifest, hub_address(manifest))


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise ReleaseError(problems)
