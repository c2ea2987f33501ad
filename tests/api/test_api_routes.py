import pytest

from tests.api.serving import Serving

SEED = {"name": {"0": "user1", "1": "user2", "2": "user3"}, "age": {"0": "24", "1": "30", "2": "18"}}


def test_the_root_greets(running_api: Serving) -> None:
    answer = running_api.client.get("/")

    assert (answer.status_code, answer.json()) == (200, "Hello from the users API!")


def test_a_running_api_is_healthy(running_api: Serving) -> None:
    answer = running_api.client.get("/health")

    assert (answer.status_code, answer.json()) == (200, {"health": "ok"})


def test_the_metadata_are_the_names_and_ages_of_the_seed_users(running_api: Serving) -> None:
    answer = running_api.client.get("/metadata")

    assert (answer.status_code, answer.json()) == (200, SEED)


@pytest.mark.parametrize("route", ["/users_name/{}", "/users_name/?users_id={}", "/users_name?users_id={}"])
@pytest.mark.parametrize("users_id", ["0", "1", "2"])
def test_a_user_has_a_name(running_api: Serving, route: str, users_id: str) -> None:
    answer = running_api.client.get(route.format(users_id))

    assert (answer.status_code, answer.json()) == (200, SEED["name"][users_id])


@pytest.mark.parametrize(("attribute", "value"), [("id", 2), ("name", "user3"), ("age", "18")])
def test_a_user_has_attributes(running_api: Serving, attribute: str, value: object) -> None:
    answer = running_api.client.get(f"/users/{attribute}?users_id=2")

    assert (answer.status_code, answer.json()) == (200, value)


@pytest.mark.parametrize("users_id", ["3", "-1", "9" * 40], ids=["next", "negative", "enormous"])
@pytest.mark.parametrize("route", ["/users_name/{}", "/users_name/?users_id={}", "/users/age?users_id={}"])
def test_an_unknown_id_is_not_found(running_api: Serving, route: str, users_id: str) -> None:
    answer = running_api.client.get(route.format(users_id))

    assert answer.status_code == 404
    assert answer.json() == {"detail": f"users_id is {users_id}: no such user, see /metadata for those there are"}


def test_an_unknown_attribute_is_not_found(running_api: Serving) -> None:
    answer = running_api.client.get("/users/height?users_id=0")

    assert answer.status_code == 404
    assert answer.json() == {"detail": "attribute is 'height': give one of id, name, age"}


@pytest.mark.parametrize("path", ["/users_name/first", "/users_name/", "/users/age", "/users/age?users_id="])
def test_what_is_no_id_is_refused(running_api: Serving, path: str) -> None:
    answer = running_api.client.get(path)

    assert answer.status_code == 422


@pytest.mark.parametrize("path", ["/health/", "/metadata/", "/users/age/?users_id=0", "/users"])
def test_a_path_that_is_no_route_is_not_found_and_not_redirected(running_api: Serving, path: str) -> None:
    answer = running_api.client.get(path)

    assert answer.status_code == 404


@pytest.mark.parametrize("path", ["/add_users", "/add_users/"])
def test_an_added_user_is_answered_and_kept(fresh_api: Serving, path: str) -> None:
    user = {"id": 4, "name": "user4", "age": "100"}

    answer = fresh_api.client.post(path, json=user)

    assert (answer.status_code, answer.json()) == (200, user)
    assert fresh_api.client.get("/users_name/4").json() == "user4"
    assert fresh_api.client.get("/users/age?users_id=4").json() == "100"


@pytest.mark.parametrize("users_id", [2, 4], ids=["a seed user", "an added user"])
def test_a_user_added_again_is_replaced(fresh_api: Serving, users_id: int) -> None:
    fresh_api.client.post("/add_users/", json={"id": users_id, "name": "before", "age": "1"})

    answer = fresh_api.client.post("/add_users/", json={"id": users_id, "name": "after", "age": "2"})

    assert answer.status_code == 200
    assert fresh_api.client.get(f"/users_name/{users_id}").json() == "after"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("", id="nothing"),
        pytest.param("id=4&name=user4&age=100", id="no JSON"),
        pytest.param("[]", id="no object"),
        pytest.param('{"id": 4, "name": "user4"}', id="no age"),
        pytest.param('{"id": 4, "name": "user4", "age": "old"}', id="an age that is no number"),
        pytest.param('{"id": -4, "name": "user4", "age": "100"}', id="a negative id"),
        pytest.param('{"id": 1e400, "name": "user4", "age": "100"}', id="an infinite id"),
        pytest.param('{"id": 4, "name": "\\ud800", "age": "100"}', id="half a character"),
        pytest.param('{"id": 4, "name": "user4", "age": "100", "height": 2}', id="an unknown attribute"),
        pytest.param('{"id": 4, "name": "user4", "age": "100", "\\ud800": 2}', id="half an attribute"),
    ],
)
def test_what_is_no_user_is_refused(running_api: Serving, body: str) -> None:
    answer = running_api.client.post("/add_users/", content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 422
    assert {"loc", "msg", "type"} == set(answer.json()["detail"][0])
    assert running_api.client.get("/metadata").json() == SEED
