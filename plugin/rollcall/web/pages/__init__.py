"""The pages, a module each: a router with what the page shows and what it changes."""

from fastapi import APIRouter

from rollcall.web.pages import (
    albums,
    chips,
    completing,
    folders,
    in_folder,
    indexing,
    insight,
    language,
    library,
    people,
    people_questions,
    person,
    photo,
    review,
    selection,
    sharing,
    tags,
    undoing,
)

routers: tuple[APIRouter, ...] = (
    library.router,
    albums.router,
    photo.router,
    tags.router,
    review.router,
    people.router,
    people_questions.router,
    person.router,
    insight.router,
    in_folder.router,
    indexing.router,
    undoing.router,
    chips.router,
    completing.router,
    selection.router,
    sharing.router,
    folders.router,
    language.router,
)
