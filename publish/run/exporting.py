"""A release written in a trainer's layout; `publish/export.py` reads its flags."""

import argparse
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from builders.card.export import ExportSource, read_export_facts, render_export
from builders.card.notes import CITATION_NAME, bibtex, cite_only, parse_citation
from builders.parallel import Track
from builders.release.exports import Export, write_export
from builders.release.reader import ReleaseReader
from builders.release.trainers import LAYOUTS, ExportOptions, LeftOut, Option, TextChoice
from builders.sources import SAMPLE_KIND
from builders.sources.sample import NOTICE
from publish.checks.files import check_files, read_manifest
from publish.run.terminal import Terminal
from schemas.configs import CONFIGS, Table
from schemas.generators import terms_by_model
from schemas.manifest import Manifest
from schemas.problems import Problem, Reason, ReleaseError, SettingsError, suggest

_FIXES = {
    LeftOut.NO_IMAGES: "build the release with `images` or --fetch-images",
    LeftOut.NO_PROMPT: "use a release with prompts; text-to-image also takes --text caption",
    LeftOut.NO_CAPTION: "choose --text prompt, or another --captioner",
    LeftOut.TOO_SMALL: "choose a smaller --size, or none",
}


def run_export(options: argparse.Namespace, terminal: Terminal) -> int:
    """Write the export and show its numbers; return the exit status."""
    problems = [*_check_flags(options), *_check_out(options.out)]
    if problems:
        raise SettingsError(problems)
    chosen = ExportOptions(
        TextChoice(options.text or TextChoice.PROMPT), options.captioner, size_px=options.size
    )
    with terminal.progress() as track:
        made = export(options.release, options.layout, chosen, options.out, track)
    terminal.line(f"{options.out}: {made.num_rows:,} rows in the layout {options.layout}")
    for reason, count in made.left_out.items():
        terminal.line(f"left out: {count:,}, because {reason}")
    return 0


def export(release: Path, layout: str, options: ExportOptions, out: Path, track: Track) -> Export:
    """Write an export into a new folder, which is there whole or not at all.

    Args:
        release: Folder of the release.
        layout: A key of `LAYOUTS`.
        options: What the user chose; the layout takes it.
        out: The folder to make.
        track: Shows progress.

    Raises:
        SettingsError: The release has no captions by the captioner.
        ReleaseError: There is no release, its files are damaged, or it has no row to write.
    """
    manifest = read_manifest(release)
    problems = tuple(check_files(release, manifest))
    if problems:
        raise ReleaseError(problems)
    reader = ReleaseReader(release, manifest.shards)
    if options.text is not TextChoice.PROMPT:
        _check_captions(reader, options)
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        terms = terms_by_model(manifest.inputs.all_generators)
        made = write_export(reader, LAYOUTS[layout], options, terms, work, track)
        if not made.num_rows:
            raise ReleaseError(_explain_nothing(release, LAYOUTS[layout].config, made))
        facts = read_export_facts(work, LAYOUTS[layout], made)
        has_captions = options.text is not TextChoice.PROMPT
        cited = {CONFIGS[LAYOUTS[layout].config].table, *([Table.CAPTIONS] if has_captions else [])}
        source = _describe_source(reader, manifest, cited)
        for name, text in render_export(layout, LAYOUTS[layout], options, source, made, facts).items():
            (work / name).write_text(text, encoding="utf-8", newline="\n")
        work.chmod(0o755)
        work.rename(out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return made


def _check_flags(options: argparse.Namespace) -> Iterator[Problem]:
    """Yield what is wrong with the layout and its options."""
    given = {Option.TEXT: options.text, Option.CAPTIONER: options.captioner, Option.SIZE: options.size}
    layout = LAYOUTS.get(options.layout)
    if layout is None:
        fix = suggest(options.layout, LAYOUTS)
        yield _settings("there is no such layout", "--layout", options.layout, fix)
    else:
        for flag, value in given.items():
            if value is not None and flag not in layout.takes:
                fix = f"leave out {flag}"
                yield _settings(f"the layout {options.layout} does not take this flag", flag, value, fix)
    if options.text is not None and options.text not in list(TextChoice):
        yield _settings("there is no such text", Option.TEXT, options.text, suggest(options.text, TextChoice))
    if options.captioner is not None and options.text in (None, TextChoice.PROMPT):
        message = "a captioner is chosen, but the text is the prompt"
        yield _settings(message, Option.CAPTIONER, options.captioner, "add --text caption")
    if options.size is not None and options.size < 1:
        message = "a size is a number of pixels above 0"
        yield _settings(message, Option.SIZE, options.size, "give such a number, such as 512")


def _check_out(out: Path) -> Iterator[Problem]:
    if out.exists():
        problem = "this exists, and nothing is overwritten"
        yield Problem(Reason.SETTINGS, problem, file=str(out), fix="give another --out")


def _check_captions(release: ReleaseReader, options: ExportOptions) -> None:
    """Refuse a choice of captions that no caption of the release fits.

    Raises:
        SettingsError: There are no captions, or none by the captioner.
    """
    if not release.shards_of("captions"):
        message = "the release has no captions"
        raise SettingsError(_settings(message, Option.TEXT, options.text, "use --text prompt"))
    if options.captioner is not None:
        known = {name for name in release.column("captions", "captioner") if name is not None}
        if options.captioner not in known:
            fix = suggest(options.captioner, sorted(known)) if known else "leave out --captioner"
            message = "the release has no caption by this captioner"
            raise SettingsError(_settings(message, Option.CAPTIONER, options.captioner, fix))


def _explain_nothing(release: Path, config: str, made: Export) -> list[Problem]:
    """Return why no row is left: a problem for each reason."""
    if not made.left_out:
        fix = "build it with images and preferences"
        return [_nothing(release, f"no row is left: the release has no rows in `{config}`", fix)]
    return [
        _nothing(release, f"no row is left: {count:,} left out, because {reason}", _FIXES[reason])
        for reason, count in made.left_out.items()
    ]


def _nothing(release: Path, message: str, fix: str) -> Problem:
    return Problem(Reason.RELEASE, message, file=str(release), fix=fix)


def _describe_source(release: ReleaseReader, manifest: Manifest, cited: Collection[str]) -> ExportSource:
    """Collect what the card of an export says of its release; `cited` are the scopes of its references."""
    text = (release.folder / CITATION_NAME).read_text(encoding="utf-8")
    citation = cite_only(parse_citation(text), cited)
    kinds = {source.kind for source in manifest.inputs.sources}
    return ExportSource(
        dataset=manifest.inputs.dataset,
        version=manifest.version,
        manifest_sha256=manifest.digest,
        notices=(NOTICE,) if SAMPLE_KIND in kinds else (),
        bibtex=bibtex(citation, manifest.inputs.dataset.name),
        digital_source_types=tuple(sorted(set(release.column("prompts", "digital_source_type")))),
        generators=manifest.inputs.all_generators,
    )


def _settings(message: str, flag: str, value: object, fix: str) -> Problem:
    return Problem(Reason.SETTINGS, message, column=flag, value=str(value), fix=fix)
