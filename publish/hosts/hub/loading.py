"""Loads a release from the Hub as a user would: with `datasets` alone, one row of each config."""

from collections.abc import Iterator

from publish.checks.loading import CONSUMER, LoadingError
from publish.hosts.hub.client import AGAIN, Hub
from publish.hosts.hub.contents import Contents
from publish.network import StalledError
from schemas.manifest import Manifest
from schemas.problems import Problem


class Loader:
    """Has `datasets` load releases, within a stage of `hub`."""

    def __init__(self, hub: Hub, contents: Contents) -> None:
        self._hub, self._contents = hub, contents

    def load(self, manifest: Manifest, sha: str) -> Iterator[Problem]:
        """Have `datasets` load one row of each config; once more if it cannot: some faults pass."""
        try:
            try:
                found = self._load(sha)
            except LoadingError:
                # `datasets` does not repeat its first request: one 503 ended a run between commit and tag.
                self._hub.pause()
                found = self._load(sha)
        except StalledError as error:
            message = f"`datasets` takes too long to load the release: {error}"
            yield self._contents.problem(message, self._hub.longer, "host/not-loadable")
            return
        except LoadingError as error:
            message = f"`datasets` cannot load the release: {self._hub.redact(str(error))}"
            yield self._contents.problem(
                message, f"see the message; if it may pass, {AGAIN}", "host/not-loadable"
            )
            return
        wanted = {config: sorted(splits) for config, splits in manifest.configs.items()}
        loaded = {config: sorted(splits) for config, splits in found.items()}
        if loaded != wanted:
            message = f"`datasets` finds other configs and splits: {loaded}, not {wanted}"
            yield self._contents.problem(message, "see the card's header", "host/not-loadable")

    def _load(self, sha: str) -> dict[str, dict[str, list[str]]]:
        order = {"repository": self._hub.repository, "revision": sha, "token": self._hub.token}
        watch = self._hub.watch

        def tell(config: str, number: int, total: int) -> None:
            watch.succeed()
            watch.await_answer(f"`datasets` to load {config}")
            self._hub.tell(f"loading {config} with `datasets` ({number} of {total})")

        def load() -> dict[str, dict[str, list[str]]]:
            found: dict[str, dict[str, list[str]]] = CONSUMER.ask(order, tell, HF_ENDPOINT=self._hub.endpoint)
            return found

        watch.succeed()
        watch.await_answer("`datasets`")
        return watch.run(load, CONSUMER.close)
