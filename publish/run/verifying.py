"""A release read again wherever it is; `publish/verify.py` reads its flags.

The folder is compared byte for byte with its manifest. Each host's listing is compared with the manifest, the
Hub's copy is loaded, and some files, or all, are downloaded and hashed. A release whose folder is gone is
compared with each host's own manifest, and these with each other. Nothing is changed.
"""

import argparse
from collections.abc import Iterator
from typing import Any

from publish.checks.files import check_files, read_manifest
from publish.hosts.protocol import Host
from publish.hosts.publishing import differences, open_hosts, sample_paths
from publish.run.command import host_options
from publish.run.results import VerifyResult
from publish.run.settings import Flags, load_settings
from publish.run.terminal import Terminal
from schemas.manifest import Manifest
from schemas.problems import KitError, Problem, Reason


def verify(options: argparse.Namespace, terminal: Terminal) -> int:
    """Verify a release in the folder and on every host; return 0 if it is sound, 1 if not."""
    settings = load_settings(options.config, Flags(to=options.to))
    folder = options.out / options.version
    hosts = open_hosts(settings, options.out, host_options(options, terminal))
    own = read_manifest(folder) if folder.exists() or not hosts else None
    found = {} if own is None else {"folder": list(check_files(folder, own))}
    digests = {} if own is None else {"folder": own.digest}
    for name, host in hosts.items():
        terminal.note(f"{name}: comparing what is there, and downloading")
        try:
            # Where the folder is gone, each host is held against itself, and against the others below.
            manifest = own or host.manifest(options.version)
        except KitError as error:
            found[name] = list(error.problems)
            continue
        digests[name] = manifest.digest
        found[name] = list(_verify_host(terminal, name, host, manifest, read_all=options.all))
    problems = [problem for each in found.values() for problem in each]
    if len(set(digests.values())) > 1:
        told = ", ".join(f"{digest[:12]}… on {name}" for name, digest in digests.items())
        message = f"the hosts hold different releases {options.version}: manifest {told}"
        problems.append(
            Problem(
                Reason.RELEASE, message, fix="withdraw it and give the next version", code="host/file-differs"
            )
        )
    terminal.title(f"{settings.dataset.name} {options.version}")
    terminal.table([("manifest", digest) for digest in dict.fromkeys(digests.values())])
    if own is None:
        terminal.table([("folder", "not here: each host was compared with its own manifest")])
    counts = {name: len(differences(each)) for name, each in found.items()}
    terminal.table([(name, f"{count} problems" if count else "sound") for name, count in counts.items()])
    terminal.problems(problems)
    terminal.give(
        VerifyResult(
            dataset=settings.dataset.name,
            version=options.version,
            manifests=digests,
            places=counts,
        )
    )
    return 1 if differences(problems) else 0


def _verify_host(
    terminal: Terminal, name: str, host: Host[Any], manifest: Manifest, *, read_all: bool
) -> Iterator[Problem]:
    try:
        problems = host.verify(manifest)
        yield from problems
        if differences(problems):
            return
        paths = None if read_all else sample_paths(manifest, name)
        with terminal.transfer() as watcher:
            yield from host.read_back(manifest, paths, watcher)
        yield from host.verify_beside(manifest)
    except KitError as error:
        yield from error.problems
