"""The explorer: a page that shows a release, from this machine or as a static Space.

`app/` has the sources of the page, and `static/` what `make explorer` builds of them, for browsers.
The page reads the release's own files by HTTP range requests.
"""

from collections.abc import Mapping
from pathlib import Path

STATIC = Path(__file__).parent / "static"
SETTINGS_NAME = "explorer.json"
# The files of the page; nothing else of `STATIC` is served or copied.
PAGE_FILES: Mapping[str, str] = {
    "index.html": "text/html; charset=utf-8",
    "explorer.css": "text/css; charset=utf-8",
    "explorer.js": "text/javascript; charset=utf-8",
    "reader.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "licenses.txt": "text/plain; charset=utf-8",
}
