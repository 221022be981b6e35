"""Starts the explorer's server on a release, and ends it with Ctrl-C."""

import argparse
import socket
import threading
import webbrowser
import zlib
from contextlib import suppress
from pathlib import Path

import uvicorn

from builders.features.encoder import Encoder
from builders.release.embeddings import SearchedRelease
from builders.release.reader import ReleaseReader
from builders.release.thumbnails import INDEX_NAME, pack_name
from publish.checks.files import read_manifest
from publish.explorer.caption_checks import check_caption
from publish.explorer.guard import Guard
from publish.explorer.serving import Folder, Ranking, Shown, make_app
from publish.run.releasing import REJECTED
from publish.run.searching import Query, encode, note_unknown_words, open_encoder, open_release
from publish.run.terminal import Terminal
from schemas.manifest import MANIFEST_NAME, Manifest
from schemas.problems import KitError, Problem, Reason, SettingsError

HOST = "127.0.0.1"
_MOST_FOUND = 1000
# Ports that Linux gives to no connection of its own, and no browser refuses.
_FIRST_PORT, _NUM_PORTS = 20_000, 10_000


def launch(
    release: Path,
    manifest: Manifest,
    thumbnails: Path | None,
    options: argparse.Namespace,
    terminal: Terminal,
) -> None:
    """Serve a release until Ctrl-C.

    Args:
        release: Its folder.
        manifest: Its manifest.
        thumbnails: Folder of the packs, if there is one.
        options: Of the command: `port`, `no_browser`, `config`, `weights`.
        terminal: Shows the address.

    Raises:
        SettingsError: The port is taken.
    """
    rejected = release.parent / REJECTED / f"{manifest.version}.parquet"
    has_features = bool(ReleaseReader(release, manifest.shards).feature_configs)
    shown = Shown(
        release=Folder(release, _names(manifest)),
        previous=_find_previous(release, manifest),
        thumbnails=Folder(thumbnails, _pack_names(manifest)) if thumbnails else None,
        rejected=Folder(rejected.parent, {rejected.name}) if rejected.is_file() else None,
        search=Search(release, options.config, options.weights).rank if has_features else None,
        check=check_caption,
    )
    with listen(options.port, manifest.inputs.dataset.name, terminal) as listener:
        guard = Guard(make_app(shown), listener.getsockname()[1])
        config = uvicorn.Config(
            guard, log_level="error", lifespan="off", access_log=False, timeout_graceful_shutdown=1
        )
        # uvicorn raises this once more when it has ended. From the line that names Ctrl-C on, it is no error.
        with suppress(KeyboardInterrupt):
            terminal.table([("release", str(options.release)), ("page", guard.address)])
            terminal.note("Ctrl-C ends it. The address is for a browser on this machine, and for this run.")
            if not options.no_browser:
                webbrowser.open(guard.address)
            uvicorn.Server(config).run(sockets=[listener])


class Search:
    """Search by meaning as `sfhq search` does; the encoder is loaded at the first one.

    Args:
        release: The release's folder.
        config: Which features; may be left out where there is one config of them.
        weights: The model's checkpoint, in place of a download.
    """

    def __init__(self, release: Path, config: str | None, weights: Path | None) -> None:
        self._release, self._config, self._weights = release, config, weights
        self._lock = threading.Lock()
        self._opened: tuple[SearchedRelease, Encoder] | None = None

    def rank(self, text: str) -> Ranking:
        """Return the pictures that show most of what a text says.

        Raises:
            KitError: The encoder is not at hand, or knows no word of the text.
        """
        with self._lock:
            if self._opened is None:
                opened = open_release(self._release, self._config)
                self._opened = opened, open_encoder(opened.provenance, self._weights)
            release, encoder = self._opened
            note = note_unknown_words(text) if release.provenance.is_demonstration else None
            hits = release.search(encode(encoder, Query(text, None)), _MOST_FOUND)
        return Ranking(hits.rows.tolist(), hits.similarities.tolist(), note)


def _names(manifest: Manifest) -> set[str]:
    return {MANIFEST_NAME, *(entry.path for entry in manifest.all_files)}


def _pack_names(manifest: Manifest) -> set[str]:
    return {INDEX_NAME, *(pack_name(shard) for shard in manifest.shards if shard.config == "default")}


def _find_previous(release: Path, manifest: Manifest) -> Folder | None:
    """Return the release that this one follows, if it is beside it and is still the same."""
    entry = manifest.inputs.previous
    if entry is None:
        return None
    folder = release.parent / entry.version
    try:
        previous = read_manifest(folder)
    except KitError:
        return None
    return Folder(folder, _names(previous)) if previous.digest == entry.manifest_sha256 else None


def own_port(name: str) -> int:
    """Return a dataset's own port: a browser keeps marks by address, of which the port is a part."""
    return _FIRST_PORT + zlib.crc32(name.encode()) % _NUM_PORTS


def listen(port: int | None, name: str, terminal: Terminal) -> socket.socket:
    """Listen on 127.0.0.1, on the dataset's own port if none is given, or else on a free one.

    Raises:
        SettingsError: The port that was given cannot be had.
    """
    try:
        return _bind(own_port(name) if port is None else port)
    except OSError as error:
        if port is None:
            terminal.note(
                f"Port {own_port(name)} is taken, perhaps by another run; the marks that were made there "
                "are not on this page"
            )
            return _bind(0)
        message, fix = f"the port cannot be had: {error.strerror}", "name another, or leave --port out"
        problem = Problem(Reason.SETTINGS, message, column="--port", value=str(port), fix=fix)
        raise SettingsError(problem) from error


def _bind(port: int) -> socket.socket:
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener
