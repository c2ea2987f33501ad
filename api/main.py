"""The example API under test: a few routes over users in memory.

Every worker process has users of its own: what one POST adds, a GET that another worker answers does not find.
Handlers are coroutines, since none of them ever waits: a thread for each would only cost time.
"""

import json
from typing import Literal

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError

from api.users import User, Users

__all__ = ["app"]

# A redirect would make two requests of one under load: a path with and without its slash are two routes, or one is 404.
app = FastAPI(title="Users", redirect_slashes=False)
users = Users()


def _user(users_id: int) -> User:
    user = users.find(users_id)
    if user is None:
        raise HTTPException(404, f"users_id is {users_id}: no such user, see /metadata for those there are")
    return user


@app.exception_handler(RequestValidationError)
async def refuse(_: Request, error: RequestValidationError) -> Response:
    """Tell what is wrong with a request.

    FastAPI's own handler echoes the input, and itself fails where that is no JSON text: 1e400, or half a character.
    """
    faults = [{key: fault[key] for key in ("loc", "msg", "type")} for fault in error.errors()]
    return Response(json.dumps({"detail": faults}), 422, media_type="application/json")


@app.get("/")
async def root() -> str:
    """Greet."""
    return "Hello from the users API!"


@app.get("/health")
async def health() -> dict[Literal["health"], Literal["ok"]]:
    """Say that this process serves requests."""
    return {"health": "ok"}


@app.get("/metadata")
async def metadata() -> dict[Literal["name", "age"], dict[int, str]]:
    """Tell all users' names and ages by id."""
    return {"name": {user.id: user.name for user in users}, "age": {user.id: user.age for user in users}}


@app.get("/users_name/{users_id}")
@app.get("/users_name/")
@app.get("/users_name")
async def users_name(users_id: int) -> str:
    """Tell the name of one user, whose id comes in the path or in the query."""
    return _user(users_id).name


@app.get("/users/{attribute}")
async def users_attribute(attribute: str, users_id: int) -> int | str:
    """Tell one attribute of one user."""
    if attribute not in User.model_fields:
        raise HTTPException(404, f"attribute is {attribute!r}: give one of {', '.join(User.model_fields)}")
    value: int | str = getattr(_user(users_id), attribute)
    return value


@app.post("/add_users/")
@app.post("/add_users")
async def add_users(user: User) -> User:
    """Store a user and answer with it; one of the same id is replaced."""
    users.add(user)
    return user
