"""The pictures of the README, from the real pages of a running ``make demo``.

python scripts/screenshots.py [--dashboards http://127.0.0.1:8050] [--analysis http://127.0.0.1:4320]

Run it after the first rollback of the story. Needs Chromium.
"""

from __future__ import annotations

import argparse
import json
import shutil
import urllib.request
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).parents[1] / "docs" / "images"
SETTLE_MS = 4_000
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def failed_canary(analysis_url: str) -> str:
    """The newest canary that failed."""
    with urllib.request.urlopen(f"{analysis_url}/api/v1/canaries") as reply:  # noqa: S310
        canaries = json.load(reply)["canaries"]
    return next(one["deployment_id"] for one in canaries if one["state"] == "failed")


def shoot(page: Page, url: str, name: str, *, is_full: bool = False) -> None:
    """Open, let two refreshes pass, keep the picture."""
    page.goto(url)
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=FOLDER / f"{name}.png", full_page=is_full)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dashboards", default="http://127.0.0.1:8050")
    parser.add_argument("--analysis", default="http://127.0.0.1:4320")
    parser.add_argument("--chromium", default="chromium")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which(options.chromium)
    canary = failed_canary(options.analysis)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme=scheme)
            shoot(page, f"{options.dashboards}/", f"fleet-{scheme}")
            shoot(page, f"{options.dashboards}/service/playback", f"service-{scheme}")
            shoot(page, f"{options.dashboards}/canary/{canary}", f"canary-{scheme}")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
