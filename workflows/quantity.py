"""CPU and memory in Kubernetes' notation: `500m`, `2`, `300Mi`."""

import re
from fractions import Fraction
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

__all__ = ["Cpu", "Memory", "bytes_of", "cpus_of"]

_CPU = re.compile(r"(\d+(?:\.\d+)?)(m?)", re.ASCII)
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|k|M|G|T)?", re.ASCII)
_BYTES = (
    {None: 1}
    | {f"{unit}i": 1024**n for n, unit in enumerate("KMGT", 1)}
    | {unit: 1000**n for n, unit in enumerate("kMGT", 1)}
)


def cpus_of(text: str) -> float:
    """Give the processors of a CPU quantity: `500m` is 0.5.

    Raises:
        ValueError: it is none, or not above zero.
    """
    match = _CPU.fullmatch(text)
    if match is None or Fraction(match[1]) == 0:
        raise ValueError("give processors above zero, such as 2 or 500m")
    return float(Fraction(match[1]) / (1000 if match[2] else 1))


def bytes_of(text: str) -> int:
    """Give the bytes of an amount of memory: `2Ki` is 2048; less than a whole one does not count.

    Raises:
        ValueError: it is none, or not above zero.
    """
    match = _MEMORY.fullmatch(text)
    if match is None or Fraction(match[1]) == 0:
        raise ValueError("give an amount of memory above zero, such as 300Mi or 2Gi")
    return int(Fraction(match[1]) * _BYTES[match[2]])


def _check_cpu(text: str) -> str:
    cpus_of(text)
    return text


def _check_memory(text: str) -> str:
    bytes_of(text)
    return text


def _spell(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Cpu = Annotated[str, BeforeValidator(_spell), AfterValidator(_check_cpu)]
Memory = Annotated[str, BeforeValidator(_spell), AfterValidator(_check_memory)]
