"""Estimates that are switched off are not computed or stored; stored ones and searches that need them give notices."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from blobs import BlobAnalyzer, draw
from rollcall import events, search
from rollcall.host import Plugin
from rollcall.indexing.indexer import Indexer
from rollcall.inference.analyzer import Analyzer
from rollcall.model_version import ModelVersion
from rollcall.privacy.switches import needed_switches
from rollcall.records import Picture
from rollcall.settings import SWITCHES, AttributeSettings, Settings
from rollcall.storage.database import Database


def settings(**off: str) -> Settings:
    return Settings(attributes=AttributeSettings(**off))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def portrait() -> Picture:
    data = pytest.importorskip("skimage.data")
    pixels = np.ascontiguousarray(data.astronaut())
    return Picture(Path("astronaut"), pixels, *pixels.shape[1::-1])


@pytest.mark.parametrize("off", [("embeddings",), ("age", "gender"), ("age", "gender", "embeddings")], ids="-".join)
def test_a_switched_off_estimate_is_neither_computed_nor_returned(
    compiled: Path, portrait: Picture, off: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rollcall_model.attributes import model as attributes

    made: list[tuple[str, ...]] = []
    whole = attributes.AttributeModel.__init__

    def watched(
        self: attributes.AttributeModel, path: Path | None = None, heads: tuple[str, ...] = (), *, quick: bool = False
    ) -> None:
        made.append(tuple(heads))
        whole(self, path, heads, quick=quick)

    monkeypatch.setattr(attributes.AttributeModel, "__init__", watched)
    analyzer = Analyzer(
        Settings.model_validate({"attributes": dict.fromkeys(off, "off"), "cache": {"folder": str(compiled)}})
    )
    ((face,),) = analyzer.analyze([portrait])
    expected = [head for switch, head in zip(SWITCHES, attributes.HEADS, strict=True) if switch not in off]
    assert made == ([tuple(expected)] if expected else []), "the network was loaded though all of it is off"
    estimates = {"age": face.age_distribution, "gender": face.p_female, "embeddings": face.embedding}
    assert {switch for switch, value in estimates.items() if value is None} == set(off)
    assert face.sharpness > 0


def test_a_head_that_is_off_is_not_in_the_compiled_program() -> None:
    from rollcall_model.attributes.model import AttributeModel
    from rollcall_model.types import EMBEDDING

    def program(model: AttributeModel) -> str:
        crops = np.zeros((model._buckets[0], model.size, model.size, 3), np.uint8)
        return str(model._run.lower(crops).compile().as_text())  # type: ignore[attr-defined]

    weights = f"f32[320,{EMBEDDING}]"
    assert weights in program(AttributeModel())
    assert weights not in program(AttributeModel(heads=("age", "gender")))


@pytest.mark.parametrize("stored", list(product((False, True), repeat=3)))
@pytest.mark.parametrize("wanted", list(product((False, True), repeat=3)))
def test_a_version_is_sufficient_if_no_more_is_switched_off(stored: tuple[bool, ...], wanted: tuple[bool, ...]) -> None:
    def version(flags: tuple[bool, ...]) -> str:
        off = tuple(switch for switch, flag in zip(SWITCHES, flags, strict=True) if flag)
        version = ModelVersion("", "net", options="1", switched_off=off)
        assert ModelVersion.parse(str(version)) == version
        return str(version)

    enough = all(b or not a for a, b in zip(stored, wanted, strict=True))
    assert (version(stored) in ModelVersion.parse(version(wanted)).sufficient) is enough


def test_switching_on_analyses_photos_again_and_switching_off_does_not(
    indexer: Indexer, analyzer: BlobAnalyzer, library: Path
) -> None:
    draw(library / "a.png", (5, 0))
    indexer.run([library])
    analyzer.model_version = "blobs-1-age"
    assert indexer.run([library]).indexed == 0
    assert indexer.run([library], force=True).indexed == 1
    analyzer.model_version = "blobs-1"
    assert indexer.run([library]).indexed == 1


def test_estimates_stored_before_a_switch_stay_and_a_warning_names_how_to_remove_them(
    make_indexer: Callable[..., Indexer], database: Database, library: Path, events_seen: list[events.Event]
) -> None:
    draw(library / "a.png", (5, 0))
    make_indexer().run([library])
    summary = make_indexer(settings(embeddings="off", gender="off")).run([library])
    assert [one.split(";")[1] for one in summary.warnings] == [
        " `rollcall forget --genders` removes them",
        " `rollcall forget --embeddings` removes them",
    ]
    with database.read() as session:
        assert session.execute(text("SELECT COUNT(embedding), COUNT(p_female) FROM v1_faces")).one() == (1, 1)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("children", {"age"}),
        ("girls", {"age", "gender"}),
        ("gender:male", {"gender"}),
        ("a woman and a baby", {"age", "gender"}),
        ("not children", {"age"}),
        ("only adults", {"age"}),
        ("people", set()),
        ("faces:2 path:x", set()),
        ("similar:face:1", {"embeddings"}),
    ],
)
def test_the_switches_that_a_query_needs(query: str, expected: set[str]) -> None:
    assert needed_switches(search.parse(query)) == expected


def test_a_search_that_needs_a_switched_off_estimate_publishes_a_warning(tmp_path: Path, library: Path) -> None:
    events_seen: list[events.Event] = []
    plugin = Plugin({"database.url": f"sqlite:///{tmp_path / 'x.db'}", "attributes.age": "off"}, events_seen.append)
    plugin.start()
    try:
        assert plugin.search("photos of children") == []
        assert [event.message for event in events_seen if isinstance(event, events.Warned)] == [
            "ages are not estimated (attributes.age = off), so only people whose age you gave are found;"
            " set it to on and run `rollcall index` for the others"
        ]
        events_seen.clear()
        plugin.search("faces:2")
        assert events_seen == []
    finally:
        plugin.stop()
