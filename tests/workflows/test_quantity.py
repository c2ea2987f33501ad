"""Kubernetes' quantities."""

import pytest

from workflows.quantity import cpus_of


@pytest.mark.parametrize(("text", "cpus"), [("500m", 0.5), ("2", 2.0), ("0.25", 0.25), ("1500m", 1.5)])
def test_a_cpu_quantity_is_so_many_processors(text: str, cpus: float) -> None:
    assert cpus_of(text) == cpus


@pytest.mark.parametrize("text", ["", "0", "-1", "1k", "m"])
def test_other_text_is_no_cpu_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="give processors above zero, such as 2 or 500m"):
        cpus_of(text)
