import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from api.users import SEED, User, Users

ids = st.integers(min_value=0, max_value=30)


def a_user(users_id: int = 7, name: str = "somebody") -> User:
    return User(id=users_id, name=name, age="40")


def test_the_seed_is_users_0_to_2() -> None:
    assert [(user.id, user.name, user.age) for user in SEED] == [
        (0, "user1", "24"),
        (1, "user2", "30"),
        (2, "user3", "18"),
    ]


@given(added=st.lists(ids))
def test_a_user_is_found_right_after_it_was_added(added: list[int]) -> None:
    users = Users(room=5)

    found = []
    for number, users_id in enumerate(added):
        users.add(a_user(users_id, name=f"user {number}"))
        found.append(users.find(users_id))

    assert found == [a_user(users_id, name=f"user {number}") for number, users_id in enumerate(added)]


@given(added=st.lists(ids), room=st.integers(min_value=1, max_value=10))
def test_however_many_are_added_no_more_are_kept_than_there_is_room_for(added: list[int], room: int) -> None:
    users = Users(room=room)

    for users_id in added:
        users.add(a_user(users_id))

    assert len(list(users)) <= len(SEED) + room
    assert {user.id for user in SEED} <= {user.id for user in users}


def test_the_user_added_longest_ago_makes_room() -> None:
    users = Users(seed=(), room=2)

    for users_id in (10, 11, 10, 12):
        users.add(a_user(users_id))

    assert [user.id for user in users] == [10, 12]


def test_an_unknown_user_is_not_found() -> None:
    assert Users().find(3) is None


@pytest.mark.parametrize("name", ["", "n" * 101], ids=["empty", "long"])
def test_a_name_is_bounded(name: str) -> None:
    with pytest.raises(ValidationError, match=r"String should have at (least 1 character|most 100 characters)"):
        a_user(name=name)
