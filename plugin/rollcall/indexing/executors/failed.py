"""The outcome of a photo whose process died twice."""

from __future__ import annotations

from rollcall.indexing.executors.analysis import Outcome, Task
from rollcall.records import FileStat


def lost(task: Task, cause: str, failure_key: str | None) -> Outcome:
    """Return the outcome of a photo that was alone in a process that died; `cause` is what ended the process."""
    stat = task.listed
    if stat is None:
        try:
            stat = FileStat.of("", task.path.stat())
        except OSError:
            stat = FileStat("", task.size, 0)
    reason = f"the process that analysed it died twice ({cause}); copy the file again, or report this photo"
    return Outcome(task.number, stat, reason=reason, failure_key=failure_key)
