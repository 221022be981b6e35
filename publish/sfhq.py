"""The front door: `sfhq VERB …` runs the command in `publish/VERB.py` with the same arguments.

A verb's module is imported when that verb runs, so that `sfhq --help` loads no library. Exit status: the
verb's own; 2 for a verb that does not exist.
"""

import sys
from importlib import import_module
from pathlib import Path

if __package__ in (None, ""):  # run as a file: `publish/` must not stand for the libraries it is named like
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from collections.abc import Mapping, Sequence
from typing import Any

import click

from schemas.problems import suggest

# Verb → its line in `sfhq --help`. A verb is one module here, with `main(argv) -> int`, and one line.
VERBS: Mapping[str, str] = {
    "release": "Build, check and publish a release.",
    "check": "Check built releases without trusting them.",
    "status": "Show which versions are in the folder and on the hosts.",
    "verify": "Read a release again in the folder and on the hosts.",
    "yank": "Mark a release as withdrawn; remove nothing.",
    "search": "Search a release's images by text or by image.",
    "explore": "Look at a release in the browser, before it goes anywhere.",
    "prompts": "Make prompts with known attributes; check, clean or rewrite them.",
    "generate": "Make images from prompts, with a journal and a budget.",
    "screen": "Look for images to leave out of a release.",
    "caption": "Say what images show, as a source of captions.",
    "report": "Compare what models see with what prompts asked for, by group.",
    "campaign": "Collect votes between two images of one prompt.",
    "export": "Write a release's images or decided pairs for a trainer.",
    "explain": "Explain the code of a problem.",
}


class Door(click.Group):
    """A group whose commands are `VERBS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the verbs in the order of their table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Return the command of a verb, which passes its arguments on unread; None for another name."""
        if cmd_name not in VERBS:
            return None

        def run(arguments: tuple[str, ...]) -> None:
            command = import_module(f"publish.{cmd_name}")
            raise SystemExit(command.main(arguments))

        return click.Command(
            cmd_name,
            callback=run,
            params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
            short_help=VERBS[cmd_name],
            add_help_option=False,  # the command's own parser has it
            context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
        )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the verb's command and its arguments; fail for an unknown verb with the nearest one."""
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            ctx.fail(f"there is no verb {args[0]!r}; {suggest(args[0], VERBS)}")
        return super().resolve_command(ctx, args)


_door: Any = Door("sfhq", help="Build, check and publish versioned releases of an image dataset.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb with its arguments; those of the process if `argv` is None. Return its exit status."""
    try:
        _door.main(args=None if argv is None else list(argv), prog_name="sfhq")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
