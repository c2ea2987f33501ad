"""The users that the API serves: those it starts with, and those added since."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from pydantic import BaseModel, Field

__all__ = ["SEED", "User", "Users"]


class User(BaseModel, frozen=True, extra="forbid"):
    """One user. All fields are bounded, so that what can be stored is too."""

    id: int = Field(ge=0, lt=2**63)
    name: str = Field(min_length=1, max_length=100)
    age: str = Field(pattern=r"^[0-9]{1,3}$")
    """A number of years, as text."""


SEED = (User(id=0, name="user1", age="24"), User(id=1, name="user2", age="30"), User(id=2, name="user3", age="18"))


class Users:
    """Users by id, in the memory of one process.

    The seeded users stay. Of the added ones there is room for so many; beyond that, each new one drops the one
    added longest ago, so that a load test may add new ids for ever.
    """

    def __init__(self, seed: Iterable[User] = SEED, *, room: int = 1000) -> None:
        self._seeded = {user.id: user for user in seed}
        self._added: OrderedDict[int, User] = OrderedDict()
        self._room = room

    def __iter__(self) -> Iterator[User]:
        yield from self._seeded.values()
        yield from self._added.values()

    def find(self, users_id: int) -> User | None:
        """Give the user of this id, if there is one."""
        return self._seeded.get(users_id) or self._added.get(users_id)

    def add(self, user: User) -> None:
        """Store a user; one of the same id is replaced, and counts as added last."""
        if user.id in self._seeded:
            self._seeded[user.id] = user
            return
        self._added[user.id] = user
        self._added.move_to_end(user.id)
        if len(self._added) > self._room:
            self._added.popitem(last=False)
