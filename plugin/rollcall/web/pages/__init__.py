"""The pages, a module each: a router with what the page shows and what it changes."""

from fastapi import APIRouter

from rollcall.web.pages import indexing, insight, library, people, person, photo, review, tags

routers: tuple[APIRouter, ...] = (
    library.router,
    photo.router,
    tags.router,
    review.router,
    people.router,
    person.router,
    insight.router,
    indexing.router,
)
