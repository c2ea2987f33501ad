"""A newer template in the place of an older one."""

from typing import Any

import pytest

from workflows.loadtest import LoadTest
from workflows.published_template import defaults_of, renewed
from workflows.render import template_manifest

Manifest = dict[str, Any]


def a_template(**fields: object) -> Manifest:
    return template_manifest(LoadTest().model_copy(update=fields), namespace="loadtest")


def of_an_older_project(template: Manifest) -> Manifest:
    """The same defaults in a template of another structure."""
    return {**template, "spec": {**template["spec"], "activeDeadlineSeconds": 60}}


def test_where_there_is_none_the_newer_one_is_taken_as_it_is() -> None:
    made = a_template(api_image="api:1", attacker_image="attacker:1")

    assert renewed(None, made, fresh=()) == made


def test_what_somebody_chose_as_a_default_stays() -> None:
    found = a_template(api_image="api:1", attacker_image="attacker:1", results="gs://theirs", keep=True)
    made = a_template(api_image="api:2", attacker_image="attacker:2", results="gs://mine")

    assert renewed(found, made, fresh=()) == found


def test_what_was_empty_is_filled_in() -> None:
    made = renewed(a_template(), a_template(api_image="api:2", attacker_image="attacker:2"), fresh=())

    assert {"api_image": "api:2", "attacker_image": "attacker:2"}.items() <= defaults_of(made).items()


def test_images_that_were_just_built_are_the_new_defaults() -> None:
    found = a_template(api_image="api:1", attacker_image="attacker:1")
    made = a_template(api_image="api:2", attacker_image="attacker:2")

    assert renewed(found, made, fresh=("api_image", "attacker_image")) == made


def test_a_template_of_another_structure_gets_the_image_that_it_calls() -> None:
    found = of_an_older_project(a_template(api_image="api:1", attacker_image="attacker:1"))
    made = renewed(found, a_template(api_image="api:2", attacker_image="attacker:2"), fresh=())

    assert {"api_image": "api:1", "attacker_image": "attacker:2"}.items() <= defaults_of(made).items()
    assert "activeDeadlineSeconds" in made["spec"]
    assert made["spec"]["activeDeadlineSeconds"] != 60


@pytest.mark.parametrize(("name", "value"), [("order", "sideways"), ("gone", "value")])
def test_a_default_that_can_be_no_longer_is_dropped(name: str, value: str) -> None:
    found = a_template()
    others = [one for one in found["spec"]["arguments"]["parameters"] if one["name"] != name]
    found["spec"]["arguments"]["parameters"] = [*others, {"name": name, "value": value}]

    assert renewed(found, a_template(), fresh=()) == a_template()
