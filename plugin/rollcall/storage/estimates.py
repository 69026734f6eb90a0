"""Predictions and embeddings of faces as rows: vectors are stored as little-endian float16."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from rollcall import ages
from rollcall.ages import AGE_GROUPS
from rollcall.records import Face
from rollcall.storage import pgvector
from rollcall.storage.bulk import insert_rows
from rollcall.storage.tables import EmbeddingRow, PredictionRow


def pack(vector: NDArray[Any]) -> bytes:
    """Return the bytes of a vector as little-endian float16."""
    return np.asarray(vector, "<f2").tobytes()


def unpack(data: bytes) -> NDArray[np.float32]:
    """Return the vector of bytes that `pack` made, as float32 of shape (n,)."""
    return np.frombuffer(data, "<f2").astype(np.float32)


def prediction_columns(face: Face) -> dict[str, Any]:
    """Return the columns of a face's prediction, all computed from the distribution as it is stored, in float16."""
    stored = None if face.age_distribution is None else pack(face.age_distribution)
    ages_stored = None if stored is None else unpack(stored)
    low, high = (None, None) if ages_stored is None else ages.interval(ages_stored)
    groups = dict.fromkeys(AGE_GROUPS) if ages_stored is None else ages.group_masses(ages_stored)
    network = face.network_age_distribution
    return {
        "age_distribution": stored,
        "age": None if ages_stored is None else float(ages.estimate(ages_stored)),
        "age_low": low,
        "age_high": high,
        "p_female": face.p_female,
        **{f"p_{name}": probability for name, probability in groups.items()},
        "network_age_distribution": None if network is None else pack(network),
        "network_p_female": face.network_p_female,
    }


def replace_estimates(session: Session, face_id: int, face: Face, model_version: str) -> None:
    """Replace the stored prediction and embedding of one face."""
    delete_estimates(session, [face_id])
    insert_estimates(session, [(face_id, face)], model_version)


def delete_estimates(session: Session, face_ids: Sequence[int]) -> None:
    """Delete the predictions and embeddings of some faces."""
    session.execute(delete(PredictionRow).where(PredictionRow.face_id.in_(face_ids)))
    session.execute(delete(EmbeddingRow).where(EmbeddingRow.face_id.in_(face_ids)))


def insert_estimates(session: Session, faces: Sequence[tuple[int, Face]], model_version: str) -> list[dict[str, Any]]:
    """Insert predictions and embeddings of faces, given with their numbers.

    Returns the columns of each face's prediction; an empty dictionary where age and gender are unknown.
    """
    predictions: list[dict[str, Any]] = []
    embeddings: list[dict[str, Any]] = []
    for face_id, face in faces:
        key = {"face_id": face_id, "model_version": model_version}
        known = face.age_distribution is not None or face.p_female is not None
        predictions.append(key | prediction_columns(face) if known else {})
        if face.embedding is not None:
            embeddings.append(key | {"dimension": len(face.embedding), "vector": pack(face.embedding)})
    insert_rows(session, PredictionRow, [one for one in predictions if one])
    insert_rows(session, EmbeddingRow, embeddings)
    for dimension in {int(one["dimension"]) for one in embeddings}:
        same = [one for one in embeddings if one["dimension"] == dimension]
        pgvector.add(session, [one["face_id"] for one in same], [one["vector"] for one in same], dimension)
    return predictions


def mark_stale(session: Session, face_id: int) -> None:
    """Mark the estimates of a face as made for another box than it has now."""
    session.execute(update(PredictionRow).where(PredictionRow.face_id == face_id).values(stale=True))
    session.execute(update(EmbeddingRow).where(EmbeddingRow.face_id == face_id).values(stale=True))
