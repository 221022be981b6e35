"""Serve the page for voting until Ctrl-C; `publish/campaign.py` reads the flags."""

import argparse
import errno
import importlib.util
import re
import socket
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from builders.files import real_path, write_whole
from builders.generation.campaign.candidates import CODE
from builders.generation.campaign.folder import Campaign, add_annotators, read_campaign
from builders.generation.campaign.links import TOKEN_PATTERN
from builders.generation.campaign.showing import find_faults
from builders.generation.campaign.votes_log import VotesLog
from publish.run.terminal import Terminal
from schemas.problems import Problem, Reason, SettingsError, SourceError

_LIBRARIES = ("starlette", "uvicorn")
_LINK_LINE = re.compile(rf"https?://\S+/v/{TOKEN_PATTERN.pattern}".encode())
_ANY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - these are refused without a base URL


def serve(options: argparse.Namespace, terminal: Terminal) -> int:
    """Serve the page, and return 0 after Ctrl-C.

    Raises:
        KitError: The campaign cannot be read, another server has it, or a flag is wrong.
        OSError: The address is in use, or not one of this machine.
    """
    _check_libraries()
    _check_addresses(options.host, options.base_url)
    campaign = read_campaign(options.campaign)
    if options.links is not None:
        _check_links(options.links, campaign.path)
    _check_images(campaign)
    with closing(VotesLog(campaign.votes_path)) as log:
        if log.torn:
            terminal.note(
                "The last line of the votes was not complete, and never answered; it is moved to "
                f"{log.torn_path}. The page sends such a vote again."
            )
        campaign = add_annotators(campaign, options.annotators or 0)
        with _listen(options.host, options.port) as listener:
            port = listener.getsockname()[1]
            host = f"[{options.host}]" if ":" in options.host else options.host
            base_url = (options.base_url or f"http://{host}:{port}").rstrip("/")
            _show_links(campaign, base_url, options.links, terminal)
            terminal.note(
                f"Serving on http://{host}:{port}; votes go to {campaign.votes_path}. Ctrl-C ends the server."
            )
            _run(campaign, log, listener, (options.host, port, base_url))
    terminal.note("Stopped. Every vote that was answered is on the disk.")
    return 0


def _run(campaign: Campaign, log: VotesLog, listener: socket.socket, place: tuple[str, int, str]) -> None:
    # After parsing, and after the problems that need no server: these take half a second.
    import uvicorn  # noqa: PLC0415

    from publish.voting.app import Voting  # noqa: PLC0415
    from publish.voting.guarding import known_places  # noqa: PLC0415

    config = uvicorn.Config(
        Voting(campaign, log).application(known_places(*place)),
        log_level="warning",
        access_log=False,  # addresses of pages are the links of people
        proxy_headers=False,
        server_header=False,
        lifespan="off",
        timeout_keep_alive=60,
        timeout_graceful_shutdown=5,
    )
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:  # raised again by uvicorn after it has ended in order
        return


def _show_links(campaign: Campaign, base_url: str, path: Path | None, terminal: Terminal) -> None:
    links: Sequence[str] = [f"{base_url}/v/{token}" for _, token in campaign.tokens()]
    if path is not None:
        write_whole(path, "".join(f"{link}\n" for link in links).encode())
        path.chmod(0o600)
        terminal.note(f"{len(links):,} personal links are in {path}. Each is for one person.")
        return
    for link in links:
        terminal.line(link)
    terminal.note("Each link is for one person: do not publish it.")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    column, fix = "--host", "give an address of this machine"
    try:
        socket.getaddrinfo(host, port, family)  # `create_server` does not tell a wrong name from a taken port
        column, fix = "--port", "give another --port, or end what listens there"
        listener = socket.create_server((host, port), family=family, backlog=1024)
        # Without it, each answer waits 40 ms for the client's acknowledgement of its head: asyncio sets it
        # only on sockets that were made with the protocol's number.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except (OSError, OverflowError, UnicodeError) as error:  # the last: what cannot be a name
        if getattr(error, "errno", None) == errno.EADDRNOTAVAIL:  # another machine's
            column, fix = "--host", "give an address of this machine"
        message = f"the address cannot be used: {getattr(error, 'strerror', None) or error}"
        raise SettingsError(_problem(column, message, fix, f"{host}:{port}")) from error


def _check_links(path: Path, campaign: Path) -> None:
    """Refuse to write links over anything but earlier links.

    Raises:
        SettingsError: The path is in the campaign, or a file is there that has something else.
    """
    if real_path(path).is_relative_to(real_path(campaign)):
        message, fix = "the folder of the campaign is no place for links", "give a path outside of it"
        raise SettingsError(_problem("--links", message, fix, str(path)))
    if not path.is_symlink() and not path.exists():
        return
    fix = "give another path, or remove it"
    if not path.is_file():
        raise SettingsError(_problem("--links", "what is there is no file", fix, str(path)))
    with path.open("rb") as file:
        if not all(_LINK_LINE.fullmatch(line.rstrip(b"\r\n")) for line in file):
            message = "the file has something else than links, which would be lost"
            raise SettingsError(_problem("--links", message, fix, str(path)))


def _check_images(campaign: Campaign) -> None:
    """Refuse to begin with images that cannot be shown.

    Raises:
        SourceError: Some are missing, cannot be read, or have other bytes than at first; all are listed.
    """
    faults = find_faults(campaign.path, campaign.pairs)
    fix = "restore it from a copy of the campaign"
    if faults:
        raise SourceError(
            [
                Problem(Reason.SOURCE, message, file=str(campaign.path / image), fix=fix, code=CODE)
                for image, message in faults.items()
            ]
        )


def _check_libraries() -> None:
    """Refuse to go on without the libraries of the extra.

    Raises:
        SettingsError: Some are missing.
    """
    missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        message = f"the page needs {', '.join(missing)}"
        fix = "pip install '.[serve]'"
        raise SettingsError(Problem(Reason.SETTINGS, message, fix=fix, code=CODE))


def _check_addresses(host: str, base_url: str | None) -> None:
    """Refuse addresses under which no page could be reached.

    Raises:
        SettingsError: The base URL is none, or is missing where the host does not name an address.
    """
    if base_url is not None:
        try:
            parts = urlsplit(base_url)
            is_right = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query
            _ = parts.port
        except ValueError:
            is_right = False
        if not is_right:
            fix = "write it as https://example.org/faces"
            raise SettingsError(_problem("--base-url", "this is no address of a page", fix, base_url))
    elif host in _ANY_ADDRESS:
        message = "the address does not say where people reach the page"
        fix = "give --base-url, such as https://example.org/faces"
        raise SettingsError(_problem("--host", message, fix, host))


def _problem(flag: str, message: str, fix: str, value: str) -> Problem:
    return Problem(Reason.SETTINGS, message, column=flag, value=value, fix=fix, code=CODE)
