"""CPU and memory in Kubernetes' notation: `500m`, `2`, `300Mi`."""

import re
from fractions import Fraction
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

__all__ = ["Cpu", "Memory", "cpus_of"]

_CPU = re.compile(r"(\d+(?:\.\d+)?)(m?)", re.ASCII)
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|k|M|G|T)?", re.ASCII)


def cpus_of(text: str) -> float:
    """Give the processors of a CPU quantity: `500m` is 0.5.

    Raises:
        ValueError: it is none, or not above zero.
    """
    match = _CPU.fullmatch(text)
    if match is None or Fraction(match[1]) == 0:
        raise ValueError("give processors above zero, such as 2 or 500m")
    return float(Fraction(match[1]) / (1000 if match[2] else 1))


def _check_cpu(text: str) -> str:
    cpus_of(text)
    return text


def _check_memory(text: str) -> str:
    match = _MEMORY.fullmatch(text)
    if match is None or Fraction(match[1]) == 0:
        raise ValueError("give an amount of memory above zero, such as 300Mi or 2Gi")
    return text


def _spell(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Cpu = Annotated[str, BeforeValidator(_spell), AfterValidator(_check_cpu)]
Memory = Annotated[str, BeforeValidator(_spell), AfterValidator(_check_memory)]
