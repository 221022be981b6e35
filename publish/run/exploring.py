"""A run of the explorer: thumbnails beside the release, and a page on 127.0.0.1, or a folder for a Space."""

import argparse
from pathlib import Path

from builders.files import real_path
from builders.parallel import IN_THREADS
from builders.release.thumbnails import INDEX_NAME, make_packs, pack_name
from publish.checks.files import check_files, read_manifest
from publish.explorer.space import hub_address, write_space
from publish.run.terminal import Terminal
from schemas.manifest import Manifest
from schemas.problems import Problem, Reason, ReleaseError, SettingsError

_SERVER = ("anyio", "starlette", "uvicorn")
_EXTRA = "pip install 'sfhq-release-kit[serve]', or '.[serve]' in a checkout"


def explore(options: argparse.Namespace, terminal: Terminal) -> int:
    """Show a release until Ctrl-C, or write the folder of `--space`.

    Raises:
        KitError: There is no whole release, or the flags do not go together.
    """
    if options.data is not None and options.space is None:
        raise SettingsError(_problem("--data is for --space", "--data", options.data, "add --space OUT"))
    manifest = read_manifest(options.release)
    if problems := tuple(check_files(options.release, manifest, by_size=True)):
        raise ReleaseError(problems)
    if options.space is not None:
        return _write_space(options, manifest, terminal)
    return _serve(options, manifest, terminal)


def _write_space(options: argparse.Namespace, manifest: Manifest, terminal: Terminal) -> int:
    out: Path = options.space
    if real_path(out).is_relative_to(real_path(options.release)):
        message, fix = "the page would be a part of the release", "name a folder beside the release"
        raise SettingsError(_problem(message, "--space", str(out), fix))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        message, fix = "there is something already", "name a new folder, or remove this one"
        raise SettingsError(_problem(message, "--space", str(out), fix))
    data = (options.data or hub_address(manifest)).rstrip("/") + "/"
    write_space(out, manifest, data)
    terminal.table([("page", str(out)), ("reads", data)])
    return 0


def _serve(options: argparse.Namespace, manifest: Manifest, terminal: Terminal) -> int:
    try:
        from publish.explorer.launching import launch  # noqa: PLC0415 - needs an extra
    except ImportError as error:
        if error.name not in _SERVER:
            raise
        message = f"the page needs {error.name}, which is not installed"
        raise SettingsError(Problem(Reason.SETTINGS, message, fix=_EXTRA)) from error
    release = options.release.resolve()
    thumbnails = None if options.no_thumbnails else _make_thumbnails(release, manifest, terminal)
    launch(release, manifest, thumbnails, options, terminal)
    return 0


def _make_thumbnails(release: Path, manifest: Manifest, terminal: Terminal) -> Path | None:
    """Make the missing packs of thumbnails in `RELEASE.thumbnails`, and return that folder.

    None where the folder cannot be written: the page does without.

    Raises:
        ReleaseError: A file of images is damaged, or something else is in the folder.
    """
    out = release.with_name(f"{release.name}.thumbnails")
    shards = [shard for shard in manifest.shards if shard.config == "default"]
    try:
        if not all((out / name).is_file() for name in (INDEX_NAME, *map(pack_name, shards))):
            terminal.note(f"Making thumbnails in {out}: once, and beside the release")
        with terminal.progress() as track:
            make_packs(release, shards, out, IN_THREADS.images, track)
    except OSError as error:
        terminal.note(
            f"No thumbnails, as {out} cannot be written ({error.strerror}): the page reads whole images"
        )
        return None
    return out


def _problem(message: str, column: str, value: str, fix: str) -> Problem:
    return Problem(Reason.SETTINGS, message, column=column, value=value, fix=fix)
