"""Say words about people at random by the command line, and do everything to files, networks and database in between.

No word may be lost or move to somebody else. Run with: python tests/soak/people.py --minutes 10 --seed 1
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from PIL import Image

from soak import child
from soak.common import Clock, environment, parser, report
from soak.people_words import Library

PHOTOS: Final = 14
#: Words before the first event, and between two of them.
FIRST_WORDS: Final = (6, 16)
WORDS: Final = (0, 4)
#: Events in one library, after which another one is drawn.
EVENTS: Final = 7
#: What pictures are saved as again, without loss.
SAVED_AS: Final[dict[str, dict[str, Any]]] = {".png": {}, ".webp": {"lossless": True}, ".bmp": {}, ".tif": {}}


class Tormented(Library):
    """A library to which everything happens."""

    def happen(self) -> None:
        """Do something to the library, and demand that nothing that was said is lost."""
        events: tuple[Callable[[], None], ...] = (
            self.force,
            self.renew,
            self.rename,
            self.save_again,
            self.group,
            self.away,
            self.import_again,
            self.rebuild,
            self.rebuild,
            self.rebuild,
        )
        event = self.chance.choice(events)
        event()
        self.done[f"event {event.__name__}"] += 1
        self.compare(f"the event {event.__name__}")

    def force(self) -> None:
        self.index("--force")

    def renew(self) -> None:
        self.version += 1
        self.index()

    def group(self) -> None:
        self.surely("people", "group")

    def rename(self) -> None:
        self._move_files()
        self.index()

    def save_again(self) -> None:
        self._save_files()
        self.index()

    def away(self) -> None:
        """Take files away for one run."""
        some = [photo for photo in self.files if self.chance.random() < 0.4]
        hidden = {photo: self.work / f"away-{photo}" for photo in some}
        for photo, place in hidden.items():
            self.files[photo].rename(place)
        self.index()
        for photo, place in hidden.items():
            place.rename(self.files[photo])
        self.index()

    def import_again(self) -> None:
        self.surely("corrections", "import", str(self._exported()))

    def rebuild(self) -> None:
        """Make the database anew, with the log imported before or after it is indexed, and perhaps other files."""
        exported = self._exported()
        self.database = self.work / f"{int(self.database.stem) + 1}.db"
        if self.chance.random() < 0.4:
            self.chance.choice((self._move_files, self._save_files))()
        before = self.chance.random() < 0.5
        if before:
            self.surely("corrections", "import", str(exported))
        if self.chance.random() < 0.3:
            self.version += 1
        self.index()
        if not before:
            self.surely("corrections", "import", str(exported))
        if self.chance.random() < 0.3:
            self.group()

    def _exported(self) -> Path:
        file = self.work / "exported.jsonl"
        self.surely("corrections", "export", str(file))
        return file

    def _move_files(self) -> None:
        """Move files into other folders, or give them each other's names."""
        some = [photo for photo in self.files if self.chance.random() < 0.5]
        if self.chance.random() < 0.4:
            names = [self.files[photo].with_suffix("") for photo in some]
            self.chance.shuffle(names)
        else:
            names = [self.folder / f"d{self.chance.randrange(4)}" / self.files[photo].stem for photo in some]
        between = {photo: self.files[photo].rename(self.work / f"between-{photo}") for photo in some}
        for photo, name in zip(some, names, strict=True):
            before = self.files[photo]
            if name.name != before.stem:
                # Its date was that of the name, which may be read again or not.
                self.capture.pop(photo, None)
            self.files[photo] = name.with_name(name.name + before.suffix)
            self.files[photo].parent.mkdir(exist_ok=True)
            between[photo].rename(self.files[photo])

    def _save_files(self) -> None:
        """Save pictures again in other formats, some of them in other places."""
        for photo, path in self.files.items():
            if self.chance.random() < 0.5:
                suffix = self.chance.choice(list(SAVED_AS))
                with Image.open(path) as picture:
                    picture.load()
                path.unlink()
                place = path.parent if self.chance.random() < 0.6 else self.folder / f"s{self.chance.randrange(3)}"
                place.mkdir(exist_ok=True)
                self.files[photo] = place / f"{path.stem}{suffix}"
                picture.save(self.files[photo], **SAVED_AS[suffix])


def run(
    minutes: float, seed: int, work: Path, *, photos: int = PHOTOS, first: tuple[int, int] = FIRST_WORDS
) -> dict[str, Any]:
    """Torment libraries for some minutes, one at least; return a report. `first` is how many words begin each.

    Raises
    ------
    AssertionError
        If a word was lost, or somebody shown who was not said; it names the seed of the library.
    """
    child.preload()
    for name in [name for name in os.environ if name.startswith("ROLLCALL_")]:
        del os.environ[name]
    os.environ.update(environment(work))
    clock, done = Clock(minutes), Counter[str]()
    faults: list[str] = []
    libraries = 0
    while not clock.over or not libraries:
        folder = work / f"library-{seed + libraries}"
        (folder / "photos").mkdir(parents=True)
        try:
            _torment(Tormented(folder, random.Random(seed + libraries), photos, done), clock, first)
            shutil.rmtree(folder)
        except Exception as error:
            faults.append(f"seed {seed + libraries}: {error!r}")
            traceback.print_exc()
        libraries += 1
    assert not faults, "\n".join(faults)
    return {"minutes": minutes, "libraries": libraries, "of which": dict(done.most_common())}


def _torment(library: Tormented, clock: Clock, first: tuple[int, int]) -> None:
    for _ in range(library.chance.randint(*first)):
        library.say()
    for event in range(EVENTS):
        if clock.over and event:
            return
        library.happen()
        for _ in range(library.chance.randint(*WORDS)):
            library.say()


def main() -> None:
    """Run it as a program."""
    arguments = parser(__doc__)
    arguments.add_argument("--photos", type=int, default=PHOTOS, help=f"how many photos (default {PHOTOS})")
    arguments.add_argument("--words", type=int, help="how many words before anything happens (default: some)")
    options = arguments.parse_args()
    first = FIRST_WORDS if options.words is None else (options.words, options.words)
    with tempfile.TemporaryDirectory(prefix="people-") as temporary:
        folder = options.keep or Path(temporary)
        report(run(options.minutes, options.seed, folder, photos=options.photos, first=first))


if __name__ == "__main__":
    main()
