"""Make the documentation's pictures of the page, from the demonstration's library, in the system's Chromium.

Run with: uv run python scripts/screenshots.py; they are written to docs/.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from PIL import Image
from playwright.sync_api import sync_playwright

from rollcall.commands.demo_library import build

DOCS = Path(__file__).resolve().parent.parent / "docs"
QUIET = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")


def shoot(page: Any, name: str) -> None:
    """Write the page as it is shown as a JPEG."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(300)
    with Image.open(io.BytesIO(page.screenshot())) as image:
        image.convert("RGB").save(DOCS / f"{name}.jpg", quality=84)
    print(DOCS / f"{name}.jpg")


def main() -> None:
    """Build the library, serve it, and write its pictures."""
    where = shutil.which("chromium")
    if where is None:
        sys.exit("no chromium on this machine; install it to make the pictures")
    command = [sys.executable, "-m", "rollcall"]
    with tempfile.TemporaryDirectory() as folder:
        # The folder's name shows in the pictures.
        library = build(Path(folder) / "Pictures")
        database = str(Path(folder) / "rollcall.db")
        subprocess.run([*command, "index", str(library), "--database", database, "--quiet"], check=True)
        served = subprocess.Popen(
            [*command, "serve", "--port", "0", "--database", database], stdout=subprocess.PIPE, text=True
        )
        assert served.stdout is not None
        address = served.stdout.readline().strip()
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=where, args=list(QUIET))
                page = browser.new_page(viewport={"width": 1200, "height": 760})
                page.goto(address)
                # Where the page lives changes with every start.
                base = page.url.partition("?")[0].rstrip("/")
                shoot(page, "page-library")
                page.goto(f"{base}/?q=women")
                first = page.locator(".tile a").first.get_attribute("href")
                page.goto(urljoin(page.url, str(first)))
                # The second box where there is one: boxes are in the order of the detector's scores.
                page.locator("button.face").nth(1 if page.locator("button.face").count() > 1 else 0).click()
                page.locator(".curve").first.wait_for(state="attached")
                page.get_by_text(re.compile("Similar faces")).first.wait_for(state="attached")
                page.mouse.move(5, 5)
                shoot(page, "page-photo")
                page.goto(f"{base}/review")
                shoot(page, "page-review")
                browser.close()
        finally:
            served.terminate()
            served.wait(20)


if __name__ == "__main__":
    main()
