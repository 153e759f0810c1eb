"""Draws `demo.svg`, the end of what `pg-payments demo` says on a terminal: `python docs/images/demo.py`."""

import re
from io import StringIO
from pathlib import Path

from rich.console import Console

from pg_payments.demo import narrator, story

FIRST_STEP = 7
"""The picture begins here; what comes before is told, but not drawn."""
OUTSIDE_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


class Recorded(narrator.Narrator):
    """A narrator whose words are kept from `FIRST_STEP` on."""

    console = Console(record=True, force_terminal=True, width=92, file=StringIO(), highlight=False)

    def __init__(self) -> None:
        super().__init__(self.console)

    def step(self, title: str) -> None:
        if self._step == FIRST_STEP - 1:
            self.console.export_text()  # and forgets it
        super().step(title)


if __name__ == "__main__":
    setattr(story, "Narrator", Recorded)  # noqa: B010
    story.tell(keep=False, use_stripe=False, database_url=None)
    drawn = Recorded.console.export_svg(title="pg-payments demo", unique_id="demo")
    Path(__file__).with_name("demo.svg").write_text(OUTSIDE_FONTS.sub("", drawn).replace("Fira Code", "ui-monospace"))
