"""The set-up of Google Cloud, with programs on the PATH that only write down what they were asked for."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).parents[2]
FAKE = Path(__file__).with_name("fake_cloud.py")
SCRIPTS = CHECKOUT / "scripts/gcp"
ASKING = {"describe", "get-iam-policy", "get-credentials"}
ODD = """p 'q' "r" $(touch executed) `touch executed` ;touch executed; * \\ $HOME"""
POOL = "principal://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/p.svc.id.goog/subject/ns"
NODES = "serviceAccount:loadtest-nodes@p.iam.gserviceaccount.com"
BUILDS = "serviceAccount:loadtest-builds@p.iam.gserviceaccount.com"

Words = list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """A Google Cloud of a folder, and a PATH that leads nowhere else."""

    folder: Path

    def run(self, *argv: str, stdin: str = "", code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        settings = {"PATH": str(self.folder / "bin"), "FAKE_CLOUD": str(self.folder), **environment}
        done = subprocess.run(
            argv, cwd=CHECKOUT, env=settings, input=stdin, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == code, done.stderr
        return done

    def up(self, *options: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run(str(SCRIPTS / "up"), *options, code=code, **environment)

    def down(self, *options: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run(str(SCRIPTS / "down"), *options, code=code, **environment)

    def calls(self) -> list[Words]:
        """Take what was called since it was last asked for."""
        file = self.folder / "calls"
        calls = [json.loads(line) for line in file.read_text().splitlines()]
        file.write_text("")
        return calls

    def changes(self) -> list[Words]:
        return [words for words in self.calls() if not ASKING & set(words)]

    @property
    def state(self) -> dict[str, list[str]]:
        """Everything that is there, and every policy that says something."""
        state: dict[str, list[str]] = json.loads((self.folder / "state").read_text())
        return {name: content for name, content in state.items() if content}

    def fail(self, **times: int) -> None:
        """Let calls with a word fail so many times."""
        (self.folder / "failures").write_text(json.dumps({word.replace("_", "-"): n for word, n in times.items()}))

    def have(self, **things: str) -> None:
        """Have what somebody else made, or up itself: owners by kind."""
        names = {"bucket": "storage buckets gs://p-loadtest", "cluster": "container clusters loadtest"}
        (self.folder / "state").write_text(json.dumps({names[kind]: [owner] for kind, owner in things.items()}))


@pytest.fixture
def empty_cloud(tmp_path: Path) -> Cloud:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("gcloud", "kubectl", "sleep"):
        (programs / name).write_text(f"#!{sys.executable} -SE\n" + FAKE.read_text())
        (programs / name).chmod(0o755)
    for name in ("cat", "dirname", "grep", "sed", "sh"):
        (programs / name).symlink_to(shutil.which(name) or name)
    (tmp_path / "calls").write_text("")
    (tmp_path / "state").write_text("{}")
    (tmp_path / "failures").write_text("{}")
    return Cloud(folder=tmp_path)


@pytest.fixture
def made_cloud(empty_cloud: Cloud) -> Cloud:
    empty_cloud.up("--project=p")
    empty_cloud.calls()
    return empty_cloud


def with_words(calls: list[Words], *wanted: str) -> list[Words]:
    return [words for words in calls if set(wanted) <= set(words)]


# What up makes


def test_up_makes_everything_once_and_in_order(empty_cloud: Cloud) -> None:
    empty_cloud.up("--project=p")

    made = [words[:5] for words in empty_cloud.changes() if "create" in words or "enable" in words]
    assert made == [
        ["gcloud", "services", "enable", "--project=p", "artifactregistry.googleapis.com"],
        ["gcloud", "artifacts", "repositories", "create", "loadtest"],
        ["gcloud", "storage", "buckets", "create", "gs://p-loadtest"],
        ["gcloud", "iam", "service-accounts", "create", "loadtest-nodes"],
        ["gcloud", "iam", "service-accounts", "create", "loadtest-builds"],
        ["gcloud", "container", "clusters", "create", "loadtest"],
        ["gcloud", "container", "node-pools", "create", "attackers"],
    ]


def test_the_cluster_scales_knows_workload_identity_and_enforces_network_policies(empty_cloud: Cloud) -> None:
    empty_cloud.up("--project=p", "--max-nodes=9")

    (cluster,) = with_words(empty_cloud.calls(), "clusters", "create")
    assert {
        "--location=europe-west1-b",
        "--enable-autoscaling",
        "--max-nodes=9",
        "--workload-pool=p.svc.id.goog",
        "--enable-dataplane-v2",
        "--service-account=loadtest-nodes@p.iam.gserviceaccount.com",
    } <= set(cluster)


def test_attack_pods_have_nodes_that_take_nothing_else(empty_cloud: Cloud) -> None:
    empty_cloud.up("--project=p")

    (pool,) = with_words(empty_cloud.calls(), "node-pools", "create")
    assert {
        "--cluster=loadtest",
        "--min-nodes=0",
        "--node-labels=loadtest/pool=attacker",
        "--node-taints=loadtest/attacker=true:NoSchedule",
    } <= set(pool)


def test_the_bucket_has_a_lifecycle_and_no_access_rules_of_single_objects(empty_cloud: Cloud) -> None:
    empty_cloud.up("--project=p")

    (bucket,) = with_words(empty_cloud.calls(), "buckets", "create")
    assert {
        "--uniform-bucket-level-access",
        "--public-access-prevention",
        "--lifecycle-file=scripts/gcp/lifecycle.json",
    } <= set(bucket)


def test_each_identity_gets_the_roles_of_its_duty_and_no_more(empty_cloud: Cloud) -> None:
    empty_cloud.up("--project=p")

    policies = {name: set(lines) for name, lines in empty_cloud.state.items() if name.startswith("policy ")}
    assert policies == {
        "policy storage buckets gs://p-loadtest": {
            f"roles/storage.objectUser,{POOL}/loadtest/sa/loadtest-attacker",
            f"roles/storage.objectUser,{POOL}/loadtest/sa/loadtest-reporter",
            f"roles/storage.objectUser,{POOL}/loadtest/sa/loadtest-deployer",
            f"roles/storage.objectViewer,{POOL}/loadtest/sa/argo-server",
            f"roles/storage.objectViewer,{BUILDS}",
        },
        "policy artifacts repositories loadtest": {
            f"roles/artifactregistry.reader,{NODES}",
            f"roles/artifactregistry.writer,{BUILDS}",
            f"roles/artifactregistry.writer,{POOL}/loadtest-build/sa/loadtest-builder",
        },
        "policy projects p": {
            f"roles/container.defaultNodeServiceAccount,{NODES}",
            f"roles/logging.logWriter,{BUILDS}",
        },
    }


def test_argo_is_installed_by_its_pinned_version_into_the_new_cluster_only(empty_cloud: Cloud) -> None:
    empty_cloud.up("--project=p")

    assert with_words(empty_cloud.calls(), "kubectl")[:4] == [
        ["kubectl", "--context=gke_p_europe-west1-b_loadtest", *words]
        for words in (
            ["apply", "--filename=k8s/loadtest/namespace.yaml"],
            ["apply", "--server-side", "--kustomize=k8s/argo/install"],
            ["--namespace=loadtest", "rollout", "status", "deployment/workflow-controller", "--timeout=300s"],
            ["--namespace=loadtest", "rollout", "status", "deployment/argo-server", "--timeout=300s"],
        )
    ]
    install = (CHECKOUT / "k8s/argo/install/kustomization.yaml").read_text()
    assert "/argo-workflows/releases/download/v4.1.2/namespace-install.yaml" in install


def test_the_cluster_is_told_where_results_and_images_go(empty_cloud: Cloud) -> None:
    empty_cloud.up("--project=p", "--bucket=results", "manifests")

    applied, *filled_in = with_words(empty_cloud.calls(), "kubectl")
    assert applied[2:] == ["apply", "--server-side", "--force-conflicts", "--kustomize=k8s/overlays/gke"]
    told = {words[4]: json.loads(words[6].removeprefix("--patch="))["data"] for words in filled_in}
    argo, build = told["configmap/workflow-controller-configmap"], told["configmap/loadtest-build"]
    assert yaml.safe_load(argo["artifactRepository"]) == {
        "archiveLogs": True,
        "gcs": {"bucket": "results", "keyFormat": "runs/{{workflow.name}}/argo/{{pod.name}}"},
    }
    assert [link["url"] for link in yaml.safe_load(argo["links"])] == [
        "https://console.cloud.google.com/storage/browser/results/runs/${metadata.name}"
    ]
    assert build == {
        "LOADTEST_REGISTRY": "europe-west1-docker.pkg.dev/p/loadtest",
        "LOADTEST_BUILD_BUCKET": "results",
        "LOADTEST_BUILD_ACCOUNT": "loadtest-builds@p.iam.gserviceaccount.com",
    }


# Repeating and removing


def test_a_second_run_makes_nothing_anew(made_cloud: Cloud) -> None:
    before = made_cloud.state

    made_cloud.up("--project=p")

    assert made_cloud.state == before
    calls = made_cloud.calls()
    assert [words for words in calls if {"create", "update", "delete", "rm"} & set(words)] == []


def test_down_removes_all_that_up_made(made_cloud: Cloud) -> None:
    made_cloud.down("--project=p")

    assert made_cloud.state == {}


def test_a_second_down_has_nothing_to_do(made_cloud: Cloud) -> None:
    made_cloud.down("--project=p")
    made_cloud.calls()

    made_cloud.down("--project=p")

    assert made_cloud.changes() == []


def test_load_balancers_go_before_the_cluster(made_cloud: Cloud) -> None:
    made_cloud.down("--project=p", "cluster")

    assert [words[:3] for words in made_cloud.changes()] == [
        ["kubectl", "--context=gke_p_europe-west1-b_loadtest", "--namespace=loadtest"],
        ["gcloud", "container", "clusters"],
    ]


@pytest.mark.parametrize("owner", [pytest.param("", id="nobody known"), pytest.param("finance", id="somebody else")])
def test_what_others_made_is_neither_changed_nor_removed(empty_cloud: Cloud, owner: str) -> None:
    empty_cloud.have(bucket=owner, cluster=owner)

    empty_cloud.up("--project=p", "bucket", "cluster")
    made = empty_cloud.changes()
    said = empty_cloud.down("--project=p", "bucket", "cluster").stderr

    assert [words[:4] for words in made] == [["gcloud", "container", "node-pools", "create"]]
    assert empty_cloud.changes() == []
    assert said.count("left as it is, as scripts/gcp/up did not make it: gcloud ") == 2


# A dry run


@pytest.mark.parametrize("script", ["up", "down"])
def test_a_dry_run_does_nothing(empty_cloud: Cloud, script: str) -> None:
    dry = empty_cloud.run(str(SCRIPTS / script), "--dry-run", "--project=p")

    assert empty_cloud.calls() == []
    assert dry.stderr == ""


@pytest.mark.parametrize("project", [pytest.param("p", id="a usual name"), pytest.param(ODD, id="an odd name")])
def test_what_a_dry_run_prints_does_what_a_real_run_does(empty_cloud: Cloud, project: str) -> None:
    up = empty_cloud.up("--dry-run", f"--project={project}").stdout
    down = empty_cloud.down("--dry-run", f"--project={project}").stdout
    empty_cloud.run("sh", stdin=up)
    made_as_printed = (empty_cloud.calls(), empty_cloud.state)
    empty_cloud.run("sh", stdin=down)
    removed_as_printed = (empty_cloud.calls(), empty_cloud.state)

    empty_cloud.up(f"--project={project}")
    made = (empty_cloud.calls(), empty_cloud.state)
    empty_cloud.down(f"--project={project}")
    removed = (empty_cloud.calls(), empty_cloud.state)

    assert made_as_printed == made
    assert removed_as_printed == removed
    assert removed[1] == {}


# Settings


def test_odd_values_arrive_whole_and_are_never_executed(empty_cloud: Cloud) -> None:
    options = ("project", "region", "zone", "cluster", "repository", "bucket", "machine-type")

    empty_cloud.up(*(f"--{name}={name} {ODD}" for name in options))

    calls = empty_cloud.calls()
    (cluster,) = with_words(calls, "clusters", "create")
    assert cluster[4] == f"cluster {ODD}"
    assert f"--location=zone {ODD}" in cluster
    assert f"--machine-type=machine-type {ODD}" in cluster
    assert f"--workload-pool=project {ODD}.svc.id.goog" in cluster
    (registry,) = with_words(calls, "repositories", "create")
    assert registry[4:6] == [f"repository {ODD}", f"--location=region {ODD}"]
    (bucket,) = with_words(calls, "buckets", "create")
    assert bucket[4] == f"gs://bucket {ODD}"
    assert not (CHECKOUT / "executed").exists()


def test_the_environment_gives_settings_and_options_come_first(empty_cloud: Cloud) -> None:
    empty_cloud.up("bucket", "--bucket=b", PROJECT="q", BUCKET="a", REGION="us-east1")

    (bucket,) = with_words(empty_cloud.calls(), "buckets", "create")
    assert bucket[4:7] == ["gs://b", "--project=q", "--location=us-east1"]


def test_only_the_named_steps_are_done(empty_cloud: Cloud) -> None:
    empty_cloud.up("--project=p", "registry")

    assert list(empty_cloud.state) == ["artifacts repositories loadtest"]


@pytest.mark.parametrize("script", ["up", "down"])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param([], "PROJECT is missing: set it, or give --project=PROJECT", id="no project"),
        pytest.param(["--project="], "PROJECT is missing: set it, or give --project=PROJECT", id="an empty project"),
        pytest.param(["--dry-run"], "PROJECT is missing: set it, or give --project=PROJECT", id="none in a dry run"),
        pytest.param(
            ["--project", "p"],
            "--project is no option, or lacks its value: write --OPTION=VALUE; see --help",
            id="a value apart",
        ),
        pytest.param(["--projekt=p"], "--projekt is no option: see --help", id="a wrong option"),
        pytest.param(
            ["bucked"],
            "bucked is no step: give services, registry, bucket, accounts, cluster, identities, argo or manifests",
            id="a wrong step",
        ),
    ],
)
def test_wrong_use_ends_with_2_and_one_line(empty_cloud: Cloud, script: str, options: list[str], said: str) -> None:
    done = empty_cloud.run(str(SCRIPTS / script), *options, code=2)

    assert (done.stdout, done.stderr) == ("", f"{script}: {said}\n")
    assert empty_cloud.calls() == []


@pytest.mark.parametrize("script", ["up", "down"])
def test_help_tells_every_option_and_step(empty_cloud: Cloud, script: str) -> None:
    told = empty_cloud.run(str(SCRIPTS / script), "--help").stdout

    source = (SCRIPTS / "settings.sh").read_text()
    options = [line.split(")")[0].strip() for line in source.splitlines() if line.startswith("    --")]
    steps = [step.stem for step in (SCRIPTS / "steps").iterdir()]
    assert len(options) > 9
    assert [word for word in (*options, *steps) if word not in told] == []


# When it goes wrong


@pytest.mark.parametrize("program", ["gcloud", "kubectl"])
def test_a_missing_program_is_named(empty_cloud: Cloud, program: str) -> None:
    (empty_cloud.folder / "bin" / program).unlink()

    done = empty_cloud.up("--project=p", code=4)

    assert done.stderr == f"up: {program} is not on the PATH: install it\n"
    assert empty_cloud.calls() == []


def test_nothing_is_changed_where_the_project_cannot_be_read(empty_cloud: Cloud) -> None:
    empty_cloud.fail(projects=1)

    done = empty_cloud.up("--project=p", code=4)

    assert done.stderr.splitlines()[-1] == (
        "up: project p cannot be read, see above: run 'gcloud auth login', or name another"
    )
    assert empty_cloud.changes() == []


def test_a_command_that_fails_ends_the_run_which_can_be_repeated(empty_cloud: Cloud) -> None:
    empty_cloud.fail(node_pools=2)

    done = empty_cloud.up("--project=p", code=4)

    assert done.stderr.splitlines()[-1] == (
        "up: that failed, see above: mend it and run this again, which goes on where it stopped"
    )
    assert empty_cloud.calls()[-1][2:4] == ["node-pools", "create"]
    empty_cloud.up("--project=p")
    assert [words[2:5] for words in empty_cloud.changes() if "create" in words] == [
        ["node-pools", "create", "attackers"]
    ]


def test_an_account_that_is_not_known_yet_is_waited_for(empty_cloud: Cloud) -> None:
    empty_cloud.fail(add_iam_policy_binding=2)

    empty_cloud.up("--project=p")

    assert with_words(empty_cloud.calls(), "sleep") == [["sleep", "5"], ["sleep", "5"]]


def test_a_binding_that_is_refused_for_good_ends_the_run(empty_cloud: Cloud) -> None:
    empty_cloud.fail(add_iam_policy_binding=99)

    empty_cloud.up("--project=p", code=4)

    calls = empty_cloud.calls()
    assert len(with_words(calls, "add-iam-policy-binding")) == 4
    assert len(with_words(calls, "sleep")) == 3


def test_shellcheck_finds_nothing() -> None:
    files = [SCRIPTS / "up", SCRIPTS / "down", *SCRIPTS.rglob("*.sh")]
    shellcheck = Path(sys.executable).with_name("shellcheck")

    done = subprocess.run([shellcheck, *files], capture_output=True, text=True, check=False, env=os.environ)

    assert (done.returncode, done.stdout) == (0, "")
