"""Codes of problems: what each means and what to do, for `sfhq explain CODE` and for programs.

A code is stable: scripts may match it, and another kind of problem never gets it. Problems of rows have the
code of their reason, `row/` and the reason's word; problems that stop a run may have one of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a code means.

    Attributes:
        meaning: What is wrong, for a reader who has only the code.
        fix: What to do.
    """

    meaning: str
    fix: str


_SEE_ROW = "Correct the row, or leave it: a rejected row is listed in OUT/rejected/VERSION.parquet."
_SEE_IMAGE = "Replace the image file with a sound copy, or leave it: the row is listed in OUT/rejected."
_NOTHING = "Nothing has to be done: the row is published, and the case is counted on the card."
_PRIVATE = (
    "Remove the data from the source; leave an extra column out with `drop_columns` of [privacy]; or set the "
    "rows aside with its `texts`, images with its `images`."
)
_PRIVATE_IMAGE = "Remove the data from the files, or set the images aside with `images` of [privacy]."


def write_table() -> str:
    """Return the codes that are not of single rows as a Markdown table, for PUBLISHING.md."""
    lines = ["| Code | Meaning | What to do |", "|---|---|---|"]
    for code, known in CODES.items():
        if not code.startswith("row/"):
            lines.append(f"| `{code}` | {known.meaning} | {known.fix} |")
    return "\n".join(lines)


CODES: Mapping[str, Explanation] = {
    # A row that cannot be read as text
    "row/wrong-cell-count": Explanation("The row has more or fewer cells than the header.", _SEE_ROW),
    "row/broken-quotes": Explanation("A quote in the row is never closed, or closes too early.", _SEE_ROW),
    "row/cell-too-long": Explanation("A cell of a CSV has more than 131,072 characters.", _SEE_ROW),
    "row/not-utf8": Explanation("The row is not text in UTF-8.", "Save the table as UTF-8."),
    "row/control-character": Explanation("A cell has a control character, such as a null byte.", _SEE_ROW),
    "row/bad-json": Explanation("The line or cell is not valid JSON.", _SEE_ROW),
    # A cell that has the wrong value
    "row/bad-value": Explanation("A cell has a value that its column does not allow.", _SEE_ROW),
    "row/empty-name": Explanation("The row names no image.", "Write the file name of the image."),
    "row/unsafe-name": Explanation(
        "The file name is absolute, leaves the folder, or is no name that every system allows.",
        "Rename the file, and write the new name into the table.",
    ),
    "row/unknown-generator": Explanation(
        "The kit does not know the generator, so it knows neither its settings nor its terms.",
        "Correct the name, or declare the generator in release.toml, [[generators]], as RELEASING.md shows.",
    ),
    "row/bad-config": Explanation("The settings of the generator have a wrong key or value.", _SEE_ROW),
    "row/empty-caption": Explanation("The row has neither a caption nor attributes.", _SEE_ROW),
    "row/unknown-label": Explanation("The vote is none of the labels of its form.", _SEE_ROW),
    "row/unequal-lists": Explanation("Lists that belong together have different lengths.", _SEE_ROW),
    "row/sexual-prompt": Explanation(
        "The prompt has sexual content, which the kit never makes and never sends to a generator.",
        "Remove the prompt, or write it in other words; builders/generation/rules.toml lists the words.",
    ),
    "row/adult-words-for-minor": Explanation(
        "The prompt is about a person under 18 and has words on the body, makeup, jewellery, or clothing and "
        "places of adults.",
        "Remove the prompt or these words; builders/generation/rules.toml lists them.",
    ),
    # Rows and files that do not fit together
    "row/duplicate-row": Explanation("The same row is there more than once; one is kept.", _SEE_ROW),
    "row/conflicting-rows": Explanation(
        "Rows on the same thing contradict each other.", "Keep the true one."
    ),
    "row/duplicate-image": Explanation("Two rows have the same image; one is kept.", _SEE_ROW),
    "row/name-with-two-contents": Explanation("One name stands for two different images.", "Rename one."),
    "row/image-missing": Explanation(
        "The folder has no image of this name.", "Add the image, or correct the name in the table."
    ),
    "row/image-without-row": Explanation(
        "No row of the table names this image.", "Add a row for it, or move the file out of the folder."
    ),
    "row/sidecar-not-read": Explanation(
        "A folder of captions has a metadata table, so its .txt, .caption and .json sidecars are not read.",
        "Add the texts to the table, or move the files away.",
    ),
    "row/excluded": Explanation(
        "The maintainer's list of exclusions names the image.", "No action is needed."
    ),
    # Rows that point at an image
    "row/unknown-image": Explanation(
        "No source has the image that the row names.", "Correct the name; the message lists the nearest."
    ),
    "row/ambiguous-image": Explanation(
        "Several images have this name.", "Write source/name or the image id, or set `of` for the source."
    ),
    "row/rejected-image": Explanation("The image that the row names was rejected itself.", _SEE_IMAGE),
    "row/same-image-twice": Explanation("Both sides of the pair are the same image.", "Correct one side."),
    # An image file that cannot be published
    "row/not-a-regular-file": Explanation("The image is a folder, a pipe or a device.", _SEE_IMAGE),
    "row/link-leaves-folder": Explanation(
        "The image is a link to a place outside its folder.", "Put a copy into the folder."
    ),
    "row/image-unreadable": Explanation("The system cannot read the image file.", "Check its permissions."),
    "row/image-format": Explanation("The file is not a JPEG, PNG or WebP image.", _SEE_IMAGE),
    "row/image-damaged": Explanation("The image does not decode to its end.", _SEE_IMAGE),
    "row/image-too-large": Explanation(
        "The image has more bytes or pixels than the settings allow.",
        "Raise the limit in [build], or resize it.",
    ),
    # Private data that [privacy] sets aside
    "row/private-text": Explanation(
        "A text of the row holds an e-mail address, an IP address or a home path, and `texts` of [privacy] "
        'is "reject".',
        _SEE_ROW,
    ),
    "row/private-image": Explanation(
        "The image file holds private data beside its pixels, or data after its end, and `images` of "
        '[privacy] is "reject".',
        _SEE_IMAGE,
    ),
    # Published all the same, but counted
    "row/empty-prompt": Explanation("The image or the pair has no prompt.", _NOTHING),
    "row/looks-empty": Explanation(
        "A prompt or caption is a word such as nan or N/A, by which programs write that there is none.",
        "To publish such a prompt as null, name it in `null_texts` of the source.",
    ),
    "row/empty-config": Explanation("The row has no settings of the generator.", _NOTHING),
    "row/unknown-setting": Explanation(
        "The generator's settings have a key that the kit does not know.", _NOTHING
    ),
    "row/unknown-attribute": Explanation("The attribute has no preset in schemas/attributes.py.", _NOTHING),
    "row/unusual-value": Explanation("The attribute's value is not one of its preset values.", _NOTHING),
    "row/number-not-finite": Explanation(
        "A number is NaN or infinite, which JSON does not have; it is published as null.", _NOTHING
    ),
    "row/no-status": Explanation("The responses have no status, so all count as submitted.", _NOTHING),
    "row/image-not-here": Explanation(
        "A side of the pair has no image file, only an address.",
        "Give the folder of images with `images`, or download them with --fetch-images.",
    ),
    "row/image-not-usable": Explanation("The image of a pair was found and cannot be published.", _SEE_IMAGE),
    "row/format-differs-from-name": Explanation("The file's ending is not its real format.", _NOTHING),
    "row/shared-name": Explanation("Different images in several sources share a file name.", _NOTHING),
    "row/unknown-column": Explanation("The table has a column that is not published.", _NOTHING),
    "row/unpublished-columns": Explanation(
        "A file of preferences has columns that its form does not have, so they are not published.",
        "Nothing has to be done, unless a name is misspelled; RELEASING.md lists the forms.",
    ),
    "row/one-sided-annotator": Explanation(
        "An annotator chose one side far more often than chance allows, with sides that were shuffled.",
        "Look at the annotator's votes, and remove them from the source if they were given without looking.",
    ),
    "row/missing-changes": Explanation(
        "The changelog has no entry for this version.", "Add one under `## Dataset`; a host demands it."
    ),
    "row/idle-exclusion": Explanation(
        "A line of the exclusion list excludes nothing.", "Correct or remove it."
    ),
    # Private data that is published all the same
    "row/email-address": Explanation("Texts or image files hold e-mail addresses.", _PRIVATE),
    "row/ip-address": Explanation("Texts or image files hold IP addresses.", _PRIVATE),
    "row/home-path": Explanation(
        "Texts or image files hold paths of home folders, which have the name of a user.", _PRIVATE
    ),
    "row/image-position": Explanation("Image files hold a position on the earth (GPS).", _PRIVATE_IMAGE),
    "row/image-owner": Explanation(
        "Image files name a person or a device: artist, owner, serial number, host or a comment.",
        _PRIVATE_IMAGE,
    ),
    "row/image-camera": Explanation(
        "Image files name a camera and the time of the picture, so they may be no synthetic images.",
        "Look at these images, and exclude photographs.",
    ),
    "row/data-after-image": Explanation(
        "Image files go on after the end of the image. Programs hide files there, and cameras and editors "
        "leave other data.",
        _PRIVATE_IMAGE,
    ),
    "row/dropped-column": Explanation(
        "`drop_columns` of [privacy] names the column, so it is not published.", "No action is needed."
    ),
    "row/idle-dropped-column": Explanation(
        "`drop_columns` of [privacy] names a column that no row has among its extras.",
        "Correct the name, or remove it.",
    ),
    # What stops a run
    "secret": Explanation(
        "A text or an image that would be published holds a token, a key or a password. Messages and files "
        "of the kit show only its beginning.",
        "Revoke the secret, because others may have seen it, and remove it from the source.",
    ),
    "settings": Explanation(
        "The settings file or a flag asks for something that cannot be done.",
        "Correct the key or flag that the message names; RELEASING.md lists them.",
    ),
    "run/no-generator": Explanation(
        "Neither a column nor the settings say which model made the images, so their terms are not known.",
        'Give --generator NAME, or generator = "NAME" at the source; [[generators]] declares other models.',
    ),
    "run/grammar": Explanation(
        "A grammar of prompts cannot be read, contradicts itself, or breaks the rules of age and content.",
        "Correct the key that the message names; GENERATING.md describes the format.",
    ),
    "run/prompt-request": Explanation(
        "The grammar does not have what --where, --balance or --count asks for, or rules it out.",
        "Correct the name or value; `sfhq prompts --values` lists attributes, and `--values NAME` values.",
    ),
    "run/image-request": Explanation(
        "What `sfhq generate` is asked for cannot be done: a flag, a setting, a price or a key is missing or "
        "wrong.",
        "Do what the message says; nothing was sent.",
    ),
    "run/caption": Explanation(
        "`sfhq caption` cannot do what it is asked for: a flag, a model, an extra or a server is missing or "
        "wrong.",
        "Do what the message says; the file of captions is unchanged, and nothing is measured twice.",
    ),
    "run/image-folder": Explanation(
        "The folder for images has a table of another form, or something is in the way of its folders.",
        "Give another `--out`; a release reads several folders.",
    ),
    "run/generation-journal": Explanation(
        "The journal of a folder of generated images cannot be read, or a newer kit wrote it.",
        "Keep it, since it says what was paid for. Use the kit that wrote it, or another `--out`.",
    ),
    "run/images-failed": Explanation(
        "Some requests for images failed: no image was made, and nothing was charged.",
        "Run the same command again: it sends them again.",
    ),
    "run/images-uncertain": Explanation(
        "Some requests were sent and have no usable answer: an image may have been made and charged for.",
        "Run the same command again: it fetches what can be fetched. See at the provider what was made; "
        "`--send-again` sends them once more, and may pay twice.",
    ),
    "run/images-missing": Explanation(
        "The table of a folder of generated images names files that the folder does not have.",
        "Put them back; they are paid for and are not made again. Or remove their rows from the table.",
    ),
    "run/chat-request": Explanation(
        "What a language model is asked for cannot be done: its address, its name, a price or the library is "
        "missing or wrong.",
        "Do what the message says; nothing was sent.",
    ),
    "run/chat-answers": Explanation(
        "A language model gave one unusable answer after the other, so no more requests were sent.",
        "Correct the server or its address, and run the same command again. Answers are kept.",
    ),
    "run/budget": Explanation(
        "The next image or sentence would cost more than the budget allows. The budget counts all that the "
        "folder, or the file of captions, has cost, with requests that have no answer.",
        "Give a larger `--budget` to go on.",
    ),
    "run/prompt-file": Explanation(
        "A file of prompts cannot be read as a whole, has no prompts, or is in the way of the file to write.",
        "Correct the path, or give --overwrite.",
    ),
    "run/campaign": Explanation(
        "A campaign cannot be made of the folder, or its files cannot be read, or another server has it.",
        "Correct what the message names.",
    ),
    "run/provider-refused": Explanation(
        "A provider of images, or a language model, accepts no request of this run: its key, its account's "
        "credit, the model, a setting or the address is wrong. What was delivered is kept.",
        "Correct what the message names, and run the same command again.",
    ),
    "source": Explanation(
        "A source as a whole cannot be read or published.",
        "Correct the file or folder that the message names.",
    ),
    "notes": Explanation(
        "The citation, the changelog or the exclusion list does not fit this version.",
        "Correct the file that the message names.",
    ),
    "release": Explanation(
        "A release is not what its manifest says, or cannot be placed.",
        "Do what the message says after the arrow.",
    ),
    "embedding": Explanation(
        "CLIP features are damaged, or do not fit each other.", "Build the release again from its images."
    ),
    # What refuses a version, in the output folder and on every host
    "host/version-exists": Explanation(
        "The version is published with other content, and a published version is never overwritten.",
        "Release the next version.",
    ),
    "host/version-respelled": Explanation(
        "The version is there under another spelling, such as 1.1 for 1.1.0.",
        "Use the spelling that is there, or release the next version.",
    ),
    "host/version-older": Explanation(
        "The version is not newer than the one that it would follow.", "Give a later version."
    ),
    "host/in-the-way": Explanation(
        "Something that the kit did not put there is in the release's place.", "Move it away, or rename it."
    ),
    # What a host answers
    "host/silent": Explanation(
        "Nothing moved for as long as --patience allows (5 minutes), and the run gave the host up.",
        "Look at the connection and at the host's status page. Run the same command again, with a longer "
        "--patience if the host needs it.",
    ),
    "host/unreachable": Explanation(
        "The host gave no usable answer: no connection, a proxy that cannot be used, no answer in time, or "
        "an error of its own. The kit has waited and tried several times.",
        "Look at the connection and at the host's status page, and run the same command again. In a proxy's "
        "password, write `/` as `%2F` and `@` as `%40`.",
    ),
    "host/client": Explanation(
        "The host's client is missing, too old, or set to write elsewhere.", "Do what the message names."
    ),
    "host/sign-in": Explanation(
        "There are no credentials, or the host does not accept them.",
        "Make a token with write access, and set it as PUBLISHING.md says.",
    ),
    "host/no-rights": Explanation(
        "The credentials are accepted, and do not allow this.",
        "Use a token with write access to the repository's owner, or correct the repository's name.",
    ),
    "host/unknown-rights": Explanation(
        "The host does not say whether this user may write there: the dataset is another user's or an "
        "organisation's, or hidden. Nothing was written anywhere.",
        "See on the host's page that they may, and add `--force-unknown-rights`; or use another token.",
    ),
    "host/no-space": Explanation(
        "The host takes no more data from this account.",
        "Free or buy space, and run the same command again: finished uploads are kept.",
    ),
    "host/refused": Explanation(
        "The host refuses the request and says why, so the same request would not help.",
        "Do what the message says, such as verifying the phone number of the account.",
    ),
    "host/limits": Explanation(
        "The release has more or larger files than the host takes.",
        "Build with another build.max_shard_bytes, or leave the host out.",
    ),
    "host/page": Explanation(
        "A setting of the host's page breaks one of the host's rules.",
        "Correct the key in release.toml that the message names.",
    ),
    # What a host holds
    "host/not-found": Explanation(
        "The host has no such repository or release, or does not show it to this token.",
        "See what is there with `sfhq status`, and correct the name or the version.",
    ),
    "host/file-differs": Explanation(
        "What the host has differs from the manifest: a file is missing, added, or has other bytes.",
        "Publish the release again; if it stays so, withdraw it and release the next version.",
    ),
    "host/unfinished": Explanation(
        "The release is on the host and not complete: it is not processed, verified or tagged yet, or the "
        "host's answer was lost.",
        "Run the same command again later: it continues, and creates no second version. Where Kaggle did "
        "not answer, runs look for a version for an hour, and then ask again; `--wait` stays that long.",
    ),
    "host/release-twice": Explanation(
        "The host holds a release twice, in two versions of its own with the same files: two runs published "
        "it at the same time, or a version was repaired.",
        "People get the newer one, so nothing has to be done; the other can be deleted on the host's page.",
    ),
    "host/not-loadable": Explanation(
        "`datasets` cannot load the release from the host, so it gets no tag.",
        "Do what the message says; if it is the host's trouble, run the same command again later.",
    ),
    "host/moved": Explanation(
        "The repository changed while this run was publishing: another client publishes there.",
        "See which, and run the same command again.",
    ),
    "host/withdrawn": Explanation(
        "This version was withdrawn; a withdrawn version is never published again.",
        "Release the next version.",
    ),
    # What is wrong with a built release
    "check/manifest": Explanation(
        "The folder is no release: manifest.json is missing, damaged, or of another version of the kit.",
        "Build the release, or use the kit that built it.",
    ),
    "check/file": Explanation(
        "A file of the release is missing, added, or is not the one that the manifest names.",
        "Build the release again, or restore the file.",
    ),
    "check/content": Explanation(
        "Rows, columns, images or limits of a file are not what the manifest and the schemas say.",
        "Build the release again.",
    ),
    "check/features": Explanation(
        "CLIP features or near-duplicates are not what the manifest says of them.", "Build the release again."
    ),
    "check/card": Explanation("A number on the card is not true.", "Build the release again."),
    "check/loading": Explanation(
        "`datasets` cannot load a config, or reads something else than was written.",
        "Read the message; then build the release again.",
    ),
    "check/viewer-statistics": Explanation(
        "A column has two adjacent whole numbers only, such as 0 and 1; or the lengths of its lists or texts "
        "or the widths of its images are such numbers. The code of Data Studio fails on these, and shows no "
        "statistics of the config's split.",
        "No action is needed: the fault is the viewer's, and its rows, search and filters work. One more "
        "value in the column ends it.",
    ),
    # What refuses a run
    # Executors: what does the work of a release
    "run/executor-missing": Explanation(
        "The executor of this run needs a library that is not installed.",
        "Install what the message names, or leave `--on` and `executor` of [run] out.",
    ),
    "run/cluster-unreachable": Explanation(
        "There is no Ray cluster at RAY_ADDRESS, or Ray does not start on this machine.",
        "Correct RAY_ADDRESS, or unset it to start Ray on this machine.",
    ),
    "run/cluster-machine": Explanation(
        "A machine of the cluster does not see a folder, cannot write there, has other versions of "
        "libraries, or does not answer.",
        "Do what the message says for the machine that it names. Nothing was built.",
    ),
    "run/cluster-job": Explanation(
        "A job failed twice on the cluster: its workers died, or the same error came again.",
        "Run the same command again: it reuses finished work. If the same file is named again, look at it.",
    ),
    "run/folder-locked": Explanation(
        "Another run is working in the same output folder.", "Wait for it to end, or give another --out."
    ),
    "run/strict": Explanation(
        "Rows are rejected, and --strict allows none.", "Correct the rows, or run without --strict."
    ),
    "run/unknown-generator": Explanation(
        "No image of a source can be published, because the kit does not know the generators that it names, "
        "so it does not know their terms.",
        "Declare each in release.toml, [[generators]], as RELEASING.md shows, or correct the names.",
    ),
    "run/system": Explanation(
        "The system refuses a file or folder: the disk is full, or a permission is missing.",
        "Correct that, and run the same command again; finished work is used again.",
    ),
    "run/output-in-source": Explanation(
        "The output folder lies in a source, which is only ever read.", "Give an --out elsewhere."
    ),
    "run/other-dataset": Explanation(
        "The previous release is of another dataset.", "Name one of this dataset with --previous."
    ),
    "run/receipt": Explanation(
        "A receipt in OUT/receipts cannot be read.", "Remove it; the release command writes it again."
    ),
    "run/bump": Explanation(
        "The version claims a smaller change than what differs from the previous release: removed or edited "
        "rows need a new MAJOR number, added ones a new MINOR number.",
        "Give the version that the message names, or insist with --allow-bump.",
    ),
    "run/plan-changed": Explanation(
        "Sources, settings or a host have changed since the plan was saved.",
        "Make a new plan, look at it, and apply that.",
    ),
    "run/nothing-compared": Explanation(
        "A report compares what prompts ask for, or what is true of images, with what models see, and the "
        "release does not have both for the same attributes.",
        "Publish captions with attributes, or give labels of your own with --truth.",
    ),
    "run/truth": Explanation(
        "A row of the labels that --truth names is of no image of the release.",
        "Name images by their file name in the source, or by their image_id.",
    ),
    "run/changelog-entry": Explanation(
        "The changelog has no entry for this version, and a host keeps a version for ever.",
        "Add a heading `### VERSION - YYYY-MM-DD` under `## Dataset` with what changed.",
    ),
}
