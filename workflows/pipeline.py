"""LoadTest to WorkflowTemplate and CronWorkflow: which pod runs which step, with what; no logic of its own."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from hera.workflows import (
    DAG,
    ConfigMapEnvFrom,
    Container,
    CronWorkflow,
    EmptyDirVolume,
    Env,
    FieldEnv,
    Parameter,
    ResourceEnv,
    RunnerScriptConstructor,
    Script,
    SecretVolume,
    Task,
    WorkflowTemplate,
)
from hera.workflows import models as m

from attacker.tls import FOLDER_VARIABLE
from workflows import pod_steps
from workflows.loadtest import LoadTest
from workflows.parameters import WorkflowParameter, workflow_parameters

__all__ = [
    "CERTIFICATES_NAME",
    "CRON_NAME",
    "IN_POOL",
    "READERS",
    "TARGETS_NAME",
    "TEMPLATE_NAME",
    "cron_workflow",
    "manifest_of",
    "workflow_template",
]

TEMPLATE_NAME = "load-test"
CRON_NAME = "load-test"
TARGETS_NAME = "loadtest-targets"
"""The ConfigMap that targets come from which nobody typed in."""
CERTIFICATES_NAME = "loadtest-certs"
"""The Secret whose keys are the files that root_certs, cert and key may name."""

_LABELS = {"app.kubernetes.io/name": "load-test", "app.kubernetes.io/part-of": "load-test"}
_IMAGE = "{{workflow.parameters.attacker_image}}"
Resources = Mapping[str, Mapping[str, str]]

_TOLD = {
    "run": "{{workflow.name}}",
    "parameters": "{{workflow.parameters}}",
    "targets": "{{workflow.parameters.targets}}",
}
_CERTIFICATES = Env(name=FOLDER_VARIABLE, value="/etc/loadtest/certs")
_STEP_TIMEOUT = "20m"
_SHORT_TIMEOUT = "5m"
"""Of what has little to wait for: where the image of all pods does not exist, this is how long that takes to end."""
_DEADLINE_S = 4 * 3600
_DAY_S = 24 * 3600
# Argo's own containers need little for long and much for a moment, at which the whole pod waits for them.
_ARGOS_SHARE = {
    "requests": {"cpu": "10m", "memory": "64Mi"},
    "limits": {"cpu": "1", "memory": "256Mi"},
}
IN_POOL = (
    '{{=workflow.parameters.attacker_pool == "" ? "{}" : toJSON({"loadtest/pool": workflow.parameters.attacker_pool})}}'
)
"""For Argo, the labels of the nodes that attack pods must be on."""
READERS = '{{=workflow.parameters.readers matches "^([2-9]|[1-9][0-9]|100)$" ? workflow.parameters.readers : "0"}}'
"""For Argo, how many reader pods there are: none where the report reads alone, or where readers is no such number."""
_CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def workflow_template(loadtest: LoadTest, *, namespace: str) -> WorkflowTemplate:
    """Make the template that the Argo UI, cron and submit.py start; its defaults are this load test's values."""
    with WorkflowTemplate(
        name=TEMPLATE_NAME,
        namespace=namespace,
        labels=_LABELS,
        annotations={
            "workflows.argoproj.io/title": "Load test",
            "workflows.argoproj.io/description": "Deploys the API, attacks every target, says PASS, FAIL or INVALID.",
        },
        entrypoint="load-test",
        on_exit="exit",
        arguments=[_argument(one) for one in workflow_parameters(loadtest)],
        workflow_metadata=m.WorkflowMetadata(labels=_LABELS),
        service_account_name="loadtest-reporter",
        security_context=_pod_security(),
        # One run at a time: two would measure each other.
        synchronization=m.Synchronization(mutexes=[m.Mutex(name=TEMPLATE_NAME)]),
        active_deadline_seconds=_DEADLINE_S,
        pod_gc=m.PodGC(strategy="OnPodSuccess", delete_delay_duration="60s"),
        artifact_gc=m.WorkflowLevelArtifactGC(strategy="Never"),
        ttl_strategy=m.TTLStrategy(seconds_after_success=_DAY_S, seconds_after_failure=7 * _DAY_S),
        pod_spec_patch=json.dumps(_argos_own_containers(init=_ARGOS_SHARE, wait=_ARGOS_SHARE)),
        template_defaults=m.Template(archive_location=_archive()),
    ) as template:
        deploy = _step("deploy", pod_steps.deploy, account="loadtest-deployer", timeout=_SHORT_TIMEOUT)
        ready = _step("ready", pod_steps.ready, account="loadtest-deployer", certificates=True)
        report = _step("report", pod_steps.report, account="loadtest-reporter")
        teardown = _step("teardown", pod_steps.teardown, account="loadtest-deployer", timeout=_SHORT_TIMEOUT)
        attack = _attack()
        read = _read()
        with DAG(name="load-test", fail_fast=False):
            deployed = Task(name="deploy", template=deploy, arguments={**_TOLD, "uid": "{{workflow.uid}}"})
            # It waits for the other in a pod that has its place before the attackers take theirs.
            Task(name="ready", template=ready, arguments=_TOLD)
            attacked = Task(
                name="attack",
                template=attack,
                with_param=deployed.get_parameter("shards"),
                arguments={
                    "shard": "{{item}}",
                    "timeout": deployed.get_parameter("attack_timeout"),
                    "grace_s": deployed.get_parameter("attack_grace_s"),
                    "results": deployed.get_parameter("results"),
                },
            )
            # The attackers start while the API does, and wait at the gate until it is ready.
            deployed.next(attacked)
        # However the run came to its end, what was measured is reported, and the API removed, side by side.
        with DAG(name="exit", fail_fast=False):
            Task(
                name="report",
                template=report,
                arguments={**_TOLD, "started": "{{workflow.creationTimestamp}}", "status": "{{workflow.status}}"},
            )
            Task(
                name="read",
                template=read,
                with_sequence=m.Sequence(start="1", count=READERS),
                arguments={"reader": "{{item}}", "results": "{{workflow.parameters.results}}"},
            )
            Task(name="teardown", template=teardown, arguments=_TOLD)
    return template


def cron_workflow(*, namespace: str, schedule: str, timezone: str, values: dict[str, str]) -> CronWorkflow:
    """Make the schedule of the template; `values` are the parameters that differ from its defaults."""
    return CronWorkflow(
        name=CRON_NAME,
        namespace=namespace,
        labels=_LABELS,
        schedules=[schedule],
        timezone=timezone,
        concurrency_policy="Forbid",
        successful_jobs_history_limit=3,
        failed_jobs_history_limit=3,
        workflow_template_ref=m.WorkflowTemplateRef(name=TEMPLATE_NAME),
        arguments=[Parameter(name=name, value=value) for name, value in values.items()],
    )


def manifest_of(template: WorkflowTemplate) -> dict[str, Any]:
    """Give a template as the cluster takes it.

    Not with Argo 4.1's pendingTimeout: a pod that gets its node at that very moment, because the others have just given
    up, is deleted while it initialises, its node stays Pending, and the workflow never ends (seen with 4.1.2).
    """
    manifest: dict[str, Any] = template.to_dict()
    return manifest


def _argument(parameter: WorkflowParameter) -> Parameter:
    common: dict[str, Any] = {"name": parameter.name, "description": parameter.description}
    if parameter.default is None:
        source = m.ConfigMapKeySelector(name=TARGETS_NAME, key=parameter.name)
        return Parameter(**common, value_from=m.ValueFrom(config_map_key_ref=source))
    return Parameter(**common, value=parameter.default, enum=list(parameter.choices) if parameter.choices else None)


def _step(
    name: str,
    function: Callable[..., object],
    *,
    account: str,
    timeout: str = _STEP_TIMEOUT,
    certificates: bool = False,
) -> Script:
    """Run one of the pods' steps in Python; it is called with what its typed input names."""
    return Script(
        name=name,
        source=function,
        constructor=RunnerScriptConstructor(),
        image=_IMAGE,
        command=["python"],
        service_account_name=account,
        timeout=timeout,
        env=[
            FieldEnv(name="LOADTEST_NAMESPACE", field_path="metadata.namespace"),
            *([_CERTIFICATES] if certificates else []),
        ],
        env_from=[ConfigMapEnvFrom(name="loadtest-env", optional=True)],
        resources=m.ResourceRequirements(
            # Little, so that there is room for it beside the attackers.
            requests={"cpu": "40m", "memory": "256Mi"},
            limits={"cpu": "2", "memory": "2Gi"},
        ),
        security_context=m.SecurityContext.model_validate(_CONTAINER_SECURITY),
        volumes=[
            EmptyDirVolume(name="tmp", mount_path="/tmp"),  # noqa: S108  (the pod's own)
            *([_certificates()] if certificates else []),
        ],
    )


def _attack() -> Container:
    """Run one shard in a pod whose CPU and memory are fixed, away from the API where there are nodes for attackers."""
    return Container(
        name="attack",
        inputs=[Parameter(name=name) for name in ("shard", "timeout", "grace_s", "results")],
        image=_IMAGE,
        command=["python", "-m", "attacker"],
        args=["attack", "--", "{{inputs.parameters.shard}}"],  # a target may be named --help
        service_account_name="loadtest-attacker",
        timeout="{{inputs.parameters.timeout}}",
        env=[
            Env(name="LOADTEST_RUN", value="{{workflow.name}}"),
            Env(name="LOADTEST_RESULTS", value="{{inputs.parameters.results}}"),
            Env(name="ATTACKER_IMAGE_DIGEST", value=_IMAGE),
            _CERTIFICATES,
            ResourceEnv(name="ATTACKER_CPUS", resource="limits.cpu", container_name="main"),
            FieldEnv(name="NODE_NAME", field_path="spec.nodeName"),
        ],
        env_from=[ConfigMapEnvFrom(name="loadtest-env", optional=True)],
        security_context=m.SecurityContext.model_validate(_CONTAINER_SECURITY),
        pod_security_context=_pod_security(
            # vegeta binds each connection: its ports are one pool for all targets.
            sysctls=[m.Sysctl(name="net.ipv4.ip_local_port_range", value="1024 65535")]
        ),
        pod_spec_patch=_attackers_own(),
        affinity=_away_from_the_api(),
        tolerations=[_on_attackers_nodes()],
        volumes=[EmptyDirVolume(name="tmp", mount_path="/tmp"), _certificates()],  # noqa: S108
    )


def _read() -> Container:
    """Read a share of what was measured, on any node: the attackers are done with theirs."""
    return Container(
        name="read",
        inputs=[Parameter(name=name) for name in ("reader", "results")],
        image=_IMAGE,
        command=["python", "-m", "attacker"],
        args=["read", "{{inputs.parameters.reader}}"],
        service_account_name="loadtest-attacker",
        timeout=_STEP_TIMEOUT,
        env=[
            Env(name="LOADTEST_RUN", value="{{workflow.name}}"),
            Env(name="LOADTEST_RESULTS", value="{{inputs.parameters.results}}"),
        ],
        env_from=[ConfigMapEnvFrom(name="loadtest-env", optional=True)],
        resources=m.ResourceRequirements(
            requests={"cpu": "250m", "memory": "1Gi"},
            limits={"cpu": "2", "memory": "1Gi"},
        ),
        security_context=m.SecurityContext.model_validate(_CONTAINER_SECURITY),
        tolerations=[_on_attackers_nodes()],
        volumes=[EmptyDirVolume(name="tmp", mount_path="/tmp")],  # noqa: S108
    )


def _on_attackers_nodes() -> m.Toleration:
    return m.Toleration(key="loadtest/attacker", operator="Equal", value="true", effect="NoSchedule")


def _certificates() -> SecretVolume:
    """Bring the files that TLS may need, where the Secret for them is there."""
    return SecretVolume(
        name="certs", secret_name=CERTIFICATES_NAME, mount_path=_CERTIFICATES.value, optional=True, read_only=True
    )


def _attackers_own() -> str:
    """Fix what the attacker may use: requests equal limits. Such values cannot be parameters but in a patch."""
    share = {"cpu": "{{workflow.parameters.attacker_cpu}}", "memory": "{{workflow.parameters.attacker_memory}}"}
    fixed = {"requests": share, "limits": share}
    waiting = {"cpu": "100m", "memory": "128Mi"}
    # What runs before the attacker may use what the attacker may.
    patch = _argos_own_containers(init=fixed, wait={"requests": waiting, "limits": waiting})
    patch["containers"].append({"name": "main", "resources": fixed})
    # What is no text in the patch.
    unquoted = {"terminationGracePeriodSeconds": "{{inputs.parameters.grace_s}}", "nodeSelector": IN_POOL}
    text = json.dumps({**unquoted, **patch})
    for value in unquoted.values():
        text = text.replace(json.dumps(value), value)
    return text


def _argos_own_containers(*, init: Resources, wait: Resources) -> dict[str, list[dict[str, object]]]:
    """Let Argo's own containers pass the Pod Security Standard `restricted`; each has the resources given here."""
    return {
        "initContainers": [{"name": "init", "securityContext": _CONTAINER_SECURITY, "resources": init}],
        "containers": [{"name": "wait", "securityContext": _CONTAINER_SECURITY, "resources": wait}],
    }


def _pod_security(**more: object) -> m.PodSecurityContext:
    context = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    return m.PodSecurityContext.model_validate({**context, **more})


def _archive() -> m.ArtifactLocation:
    """Have Argo keep the pods' logs in the run's folder; where `results` names no bucket, in its own repository."""
    key = f"{pod_steps.IN_RUNS}/{{{{workflow.name}}}}/argo/{{{{pod.name}}}}"
    return m.ArtifactLocation(archive_logs=True, gcs=m.GCSArtifact(bucket=pod_steps.IN_BUCKET, key=key))


def _away_from_the_api() -> m.Affinity:
    """Prefer the nodes for attackers, and avoid those of the API."""
    return m.Affinity.model_validate(
        {
            "nodeAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 100,
                        "preference": {
                            "matchExpressions": [{"key": "loadtest/pool", "operator": "In", "values": ["attacker"]}]
                        },
                    }
                ]
            },
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 100,
                        "podAffinityTerm": {
                            "topologyKey": "kubernetes.io/hostname",
                            "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "loadtest-api"}},
                        },
                    }
                ]
            },
        }
    )
