"""The load test: one model, from which YAML keys, command-line options and workflow parameters all come."""

import re
from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from attacker.bucket import parse_address
from attacker.duration import Duration, DurationField
from attacker.exits import InvalidLoadTestError
from attacker.plan import Load, plan
from attacker.rate import RateField
from attacker.report.objectives import OVERALL, Objective, parse_objective
from attacker.report.validity.rules import Thresholds, thresholds_of
from attacker.sending import USUAL, Sending, contradictions
from attacker.targets import Target, check_absolute_url, parse_target_line
from workflows import sending_fields
from workflows.form_text import list_of_lines, none_if_empty
from workflows.quantity import Cpu, Memory
from workflows.shard_fields import ShardRate, Shards

__all__ = ["MOST_READERS", "LoadTest", "Order", "ServiceType"]

MOST_READERS = 100
"""One process joins what all of them answer."""


_SERVICE_NAME = re.compile(r"service/[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
"""An `api_url` that names a Service of the cluster."""
_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)


class Order(StrEnum):
    """When the targets are attacked."""

    PARALLEL = "parallel"
    SEQUENTIAL = "sequential"


class ServiceType(StrEnum):
    """How the deployed API is reachable."""

    LOAD_BALANCER = "LoadBalancer"
    CLUSTER_IP = "ClusterIP"


def _positive(duration: Duration) -> Duration:
    if duration.ns == 0:
        raise ValueError("give a duration above zero, such as 60s")
    return duration


def _without_slash(url: str | None) -> str | None:
    if url is not None and not _SERVICE_NAME.fullmatch(url):
        check_absolute_url(url)
    return None if url is None else url.rstrip("/")


def _as_targets(value: object) -> object:
    """Accept lines of text and a mapping from names as well as a list."""
    if isinstance(value, str):
        lines = (line.strip() for line in value.splitlines())
        return [line for line in lines if line and not line.startswith("#")]
    if isinstance(value, Mapping):
        return [_named(name, target) for name, target in value.items()]
    return value


def _named(name: object, target: object) -> object:
    if isinstance(target, str):
        return {**parse_target_line(target), "name": name}
    return {**target, "name": name} if isinstance(target, Mapping) else target


def _not_empty(targets: tuple[Target, ...]) -> tuple[Target, ...]:
    if not targets:
        raise ValueError("give at least one target, such as 'GET /health'")
    names = [target.name for target in targets]
    for index, name in enumerate(names):
        if name.lower() in (known.lower() for known in names[:index]):
            raise ValueError(
                f"two targets have the name {name!r}: give each a 'name' of its own (capitals do not count)"
            )
    return targets


def _readable(objectives: tuple[str, ...]) -> tuple[str, ...]:
    for text in objectives:
        try:
            parse_objective(text)
        except ValueError as error:
            raise ValueError(f"{text!r}: {error}") from error
    return objectives


def _of_rules(changes: tuple[str, ...]) -> tuple[str, ...]:
    thresholds_of(changes)
    return changes


def _label_value(text: str | None) -> str | None:
    if text is not None and not _LABEL_VALUE.fullmatch(text):
        raise ValueError("give the value of a node's label: letters, digits and - _ . between them, at most 63")
    return text


def _place(text: str) -> str:
    if text.startswith("gs:"):
        parse_address(text)
    if not text.strip() or "\x00" in text:
        raise ValueError("give a folder or gs://BUCKET/PREFIX")
    return text.rstrip("/") or "/"


class LoadTest(BaseModel):
    """What to attack, how hard, and what must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    targets: Annotated[
        tuple[Target, ...],
        BeforeValidator(_as_targets),
        AfterValidator(_not_empty),
        Field(description="What to attack: 'METHOD /path' each, or with name, headers, json or text, expected_status."),
    ] = (  # type: ignore[assignment]  # the short forms are validated as a user's are
        "GET /health",
        "GET /metadata",
        {
            "name": "post-add_users",
            "method": "POST",
            "url": "/add_users/",
            "json": {"id": 4, "name": "user4", "age": "100"},
        },
    )
    rate: Annotated[
        RateField, Field(description="Requests a second for each target, or over another time: 60, 1000/3s, 1/2s.")
    ] = "60"  # type: ignore[assignment]
    duration: Annotated[
        DurationField, AfterValidator(_positive), Field(description="How long to measure: 500ms, 60s, 1m30s.")
    ] = "60s"  # type: ignore[assignment]
    warmup: Annotated[
        DurationField, Field(description="How long to send at the same rate before; in no figure of the report.")
    ] = "0s"  # type: ignore[assignment]
    shards: Shards = 1
    shard_rate: ShardRate = None
    timeout: Annotated[
        DurationField, AfterValidator(_positive), Field(description="How long to wait for one answer.")
    ] = "30s"  # type: ignore[assignment]
    order: Annotated[
        Order, Field(description="parallel: all targets at once. sequential: one after the other, undisturbed.")
    ] = Order.PARALLEL
    objectives: Annotated[
        tuple[str, ...],
        BeforeValidator(list_of_lines),
        AfterValidator(_readable),
        Field(description="What must hold, for each target or for one: 'p99 < 50ms', 'get-health: success >= 99.9%'."),
    ] = ("success >= 99%",)
    validity: Annotated[
        tuple[str, ...],
        BeforeValidator(list_of_lines),
        AfterValidator(_of_rules),
        Field(
            description="Other thresholds for what is a valid measurement: 'sent_ratio >= 95%', 'lag.p99 <= 200ms'. "
            "The report shows each."
        ),
    ] = ()
    api_url: Annotated[
        str | None,
        BeforeValidator(none_if_empty),
        AfterValidator(_without_slash),
        Field(description="Attack the API there, a URL or service/NAME; nothing is deployed or torn down."),
    ] = None
    api_image: Annotated[
        str | None,
        BeforeValidator(none_if_empty),
        Field(description="Image of the API, best by digest; without one it is built. Not used on one machine."),
    ] = None
    api_service: Annotated[
        ServiceType, Field(description="How the API is reachable: LoadBalancer from outside, ClusterIP only within.")
    ] = ServiceType.LOAD_BALANCER
    api_port: Annotated[int, Field(ge=1, le=65535, description="Port that the deployed API listens on.")] = 5000
    api_replicas: Annotated[int, Field(ge=1, le=1000, description="Pods of the API; on one machine there is one.")] = 3
    api_workers: Annotated[int, Field(ge=1, le=256, description="gunicorn workers in each of them.")] = 4
    api_cpu: Annotated[Cpu, Field(description="CPU of each API pod; not limited on one machine.")] = "500m"
    api_memory: Annotated[Memory, Field(description="Memory of each API pod; not limited on one machine.")] = "300Mi"
    attacker_image: Annotated[
        str | None,
        BeforeValidator(none_if_empty),
        Field(description="Image of the attackers, best by digest; without one it is built. Not used on one machine."),
    ] = None
    attacker_cpu: Annotated[Cpu, Field(description="CPU of each attacker; vegeta uses as many processors.")] = "1"
    attacker_memory: Annotated[Memory, Field(description="Memory of each attack pod; not limited on one machine.")] = (
        "1Gi"
    )
    attacker_pool: Annotated[
        str | None,
        BeforeValidator(none_if_empty),
        AfterValidator(_label_value),
        Field(
            description="Nodes that attack pods must be on, by their label loadtest/pool; without one, those labelled "
            "attacker are preferred. Not used on one machine."
        ),
    ] = None
    workers: sending_fields.Workers = USUAL.workers
    max_workers: sending_fields.MaxWorkers = USUAL.max_workers
    connections: sending_fields.Connections = USUAL.connections
    max_connections: sending_fields.MaxConnections = USUAL.max_connections
    keepalive: sending_fields.Keepalive = USUAL.keepalive
    http2: sending_fields.Http2 = USUAL.http2
    h2c: sending_fields.H2c = USUAL.h2c
    redirects: sending_fields.Redirects = USUAL.redirects
    max_body: sending_fields.MaxBody = USUAL.max_body
    dns_ttl: sending_fields.DnsTtl = USUAL.dns_ttl
    insecure: sending_fields.Insecure = USUAL.insecure
    root_certs: sending_fields.RootCerts = USUAL.root_certs
    cert: sending_fields.Cert = USUAL.cert
    key: sending_fields.Key = USUAL.key
    proxies: sending_fields.Proxies = USUAL.proxies
    ready_timeout: Annotated[
        DurationField, AfterValidator(_positive), Field(description="How long to wait for the API to be ready.")
    ] = "60s"  # type: ignore[assignment]
    start_timeout: Annotated[
        DurationField,
        AfterValidator(_positive),
        Field(description="How long attack pods wait for each other before nobody attacks; not used on one machine."),
    ] = "180s"  # type: ignore[assignment]
    results: Annotated[
        str,
        AfterValidator(_place),
        Field(description="Where the run folder goes, as runs/RUN: a folder or gs://BUCKET/PREFIX."),
    ] = "."
    readers: Annotated[
        int,
        Field(
            ge=1,
            le=MOST_READERS,
            description="How many read what was measured, one for 250 million requests: 1 is the report, more are "
            "pods of their own, or processes on one machine.",
        ),
    ] = 1
    keep: Annotated[bool, Field(description="Leave the API running afterwards.")] = False

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [target.name for target in self.targets]
        for objective in self.parsed_objectives:
            if objective.target not in (None, OVERALL, *names):
                raise ValueError(
                    f"objectives has {objective.target!r}, which is no target: the targets are {', '.join(names)}"
                )
        urls = [target.at(self.api_url or "").url for target in self.targets]
        if ignored := contradictions(self.sending, urls):
            raise ValueError("\n".join(ignored))
        try:
            plan(self.targets, self.load, base_url="")
        except InvalidLoadTestError as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def load(self) -> Load:
        """How hard each target is attacked."""
        return Load(
            rate=self.rate,
            warmup=self.warmup,
            duration=self.duration,
            shards=self.shards,
            shard_rate=self.shard_rate,
            timeout=self.timeout,
            sending=self.sending,
        )

    @property
    def sending(self) -> Sending:
        """How vegeta sends."""
        return Sending(**{field.name: getattr(self, field.name) for field in fields(Sending)})

    @cached_property
    def parsed_objectives(self) -> tuple[Objective, ...]:
        """The objectives, read."""
        return tuple(parse_objective(text) for text in self.objectives)

    @property
    def thresholds(self) -> Thresholds:
        """Those of the rules of validity."""
        return thresholds_of(self.validity)

    @property
    def bucket(self) -> tuple[str, str] | None:
        """Bucket and prefix of the results; None where they go to a folder."""
        return parse_address(self.results) if self.results.startswith("gs:") else None

    def as_run(self) -> dict[str, JsonValue]:
        """The load test with every default filled in, as reports show it: without secrets."""
        shown = self.model_copy(update={"targets": tuple(target.without_secrets() for target in self.targets)})
        fields: dict[str, Any] = shown.model_dump(mode="json", by_alias=True)
        return fields
