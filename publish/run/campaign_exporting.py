"""`sfhq campaign export`: a campaign in the form of another tool."""

import argparse
import shutil
import tempfile
from pathlib import Path

from builders.generation.campaign.exports import EXPORTS, CampaignExport
from builders.generation.campaign.folder import read_campaign
from publish.run.terminal import Terminal
from schemas.problems import Problem, Reason, SettingsError, SourceError, suggest


def export_campaign(options: argparse.Namespace, terminal: Terminal) -> int:
    """Write the folder, which is there whole or not at all; return the exit status.

    Raises:
        SettingsError: There is no such tool, or something is in the way.
        SourceError: The campaign or an image of it cannot be read, or it has no pair to ask about.
    """
    _refuse(options)
    campaign = read_campaign(options.campaign)
    export = CampaignExport(campaign.settings, campaign.pairs, campaign.path)
    if not export.asked:
        message, fix = "the campaign has no pair but gold ones", "export a campaign with other pairs"
        raise SourceError(Problem(Reason.SOURCE, message, file=str(campaign.path), fix=fix))
    kind, out = EXPORTS[options.tool], options.out
    out.parent.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        work = place / out.name  # a tool may show paths that begin with the folder's own name
        work.mkdir()
        kind.write(export, work)
        work.rename(out)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    terminal.line(f"{out}: {len(export.asked):,} pairs for {kind.title}")
    if left_out := len(campaign.pairs) - len(export.asked):
        terminal.line(f"left out: {left_out:,} gold pairs, whose answers stay here")
    terminal.line(f"next: {kind.next_steps}")
    return 0


def _refuse(options: argparse.Namespace) -> None:
    problems = []
    if options.tool not in EXPORTS:
        fix = suggest(options.tool, EXPORTS)
        message = "there is no such tool"
        problems.append(Problem(Reason.SETTINGS, message, column="--for", value=options.tool, fix=fix))
    out = Path(options.out)
    if out.exists() or out.is_symlink():
        message, fix = "this exists, and nothing is overwritten", "give another --out"
        problems.append(Problem(Reason.SETTINGS, message, file=str(out), fix=fix))
    if problems:
        raise SettingsError(problems)
