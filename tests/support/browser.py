"""A real browser, headless: the machine's Chromium, driven by Playwright; and axe, which finds barriers in pages."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.fetching import one_at_a_time
from tests.support.required import lacking

AXE = "axe-core@4.10.3"
FETCH_SECONDS = 120


def chromium() -> str:
    """The program. Ends the test where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    return lacking("chromium", "chromium is not installed")


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


def axe_script(cache: Path) -> str:
    """The source of axe-core, fetched from npm's registry once."""
    if shutil.which("npm") is None:
        lacking("node", "npm is not installed, which fetches axe-core")
    script = cache / "package/axe.min.js"
    with one_at_a_time(cache):
        if not script.exists():
            try:
                done = subprocess.run(
                    ["npm", "pack", AXE, "--silent"], cwd=cache, timeout=FETCH_SECONDS, capture_output=True, text=True,
                    check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                lacking("node", f"npm could not fetch axe-core within {FETCH_SECONDS} s")
            if done.returncode != 0:
                lacking("node", f"npm could not fetch axe-core: {' '.join(done.stderr.split())[:300]}")
            subprocess.run(["tar", "xzf", done.stdout.split()[-1]], cwd=cache, check=True)
    return script.read_text(encoding="utf-8")


def violations(page: Page, axe: str, rules: Sequence[str] = ()) -> list[str]:
    """What axe finds on a page by these rules, or by all, best practices included.

    The page's context has to bypass its policy for scripts.
    """
    page.add_script_tag(content=axe)
    run = (
        "async rules => (await axe.run(document, {...(rules.length && {runOnly: rules}), resultTypes: ['violations']}))"
    )
    found = page.evaluate(f"{run}.violations", list(rules))
    return [f"{each['id']}: {node['html'][:160]}" for each in found for node in each["nodes"]]
