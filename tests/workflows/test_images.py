"""The images' names, their contents' tags, and the registry's answers."""

import base64
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacker.exits import InvalidLoadTestError, RunBrokenError
from workflows.images import API, ATTACKER, BuildContext, ImageReference, context_of, existing_digest, main, parse_image

CHECKOUT = Path(__file__).parents[2]
DIGEST = "sha256:" + "ab" * 32


# Names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("eu.pkg.dev/p/r/api:1", ("eu.pkg.dev", "p/r/api", "1", None), id="a tag"),
        pytest.param(f"eu.pkg.dev/p/api@{DIGEST}", ("eu.pkg.dev", "p/api", None, DIGEST), id="a digest"),
        pytest.param(f"10.240.0.2:5001/api:1@{DIGEST}", ("10.240.0.2:5001", "api", "1", DIGEST), id="both, and a port"),
        pytest.param("localhost/api", ("localhost", "api", None, None), id="neither"),
        pytest.param("[::1]:5000/api", ("[::1]:5000", "api", None, None), id="an IPv6 address"),
        pytest.param("nginx:1", ("docker.io", "library/nginx", "1", None), id="an official image of Docker Hub"),
        pytest.param("moby/buildkit:v1", ("docker.io", "moby/buildkit", "v1", None), id="an image of Docker Hub"),
        pytest.param("123/456", ("docker.io", "123/456", None, None), id="digits"),
    ],
)
def test_a_reference_is_read_into_its_parts(text: str, expected: tuple[str, str, str | None, str | None]) -> None:
    image = ImageReference.parse(text)

    assert (image.registry, image.repository, image.tag, image.digest) == expected


@given(
    st.builds(
        ImageReference,
        registry=st.from_regex(r"[a-z][a-z0-9]{0,9}\.[a-z]{2,3}(:[1-9][0-9]{0,3})?", fullmatch=True),
        repository=st.from_regex(r"[a-z0-9]{1,9}((/|-|_|\.)[a-z0-9]{1,9}){0,3}", fullmatch=True),
        tag=st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
        digest=st.none() | st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True),
    )
)
def test_what_is_written_is_read_back_as_it_was(image: ImageReference) -> None:
    assert ImageReference.parse(str(image)) == image


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        pytest.param("", "give an image, such as REGISTRY/REPOSITORY:TAG", id="nothing"),
        pytest.param("https://r.io/api", "leave out what stands before and in '://'", id="an address"),
        pytest.param(
            "r_o.io/api", "the registry 'r_o.io' is no host: write HOST or HOST:PORT", id="a host that is none"
        ),
        pytest.param(
            "r.io/My Api:1",
            "the repository 'My Api' may have lower-case letters, digits and single . _ - / only",
            id="a repository with capitals and a space",
        ),
        pytest.param(
            "r.io/api:$(id)",
            "the tag '$(id)' may have letters, digits and . _ - only, at most 128",
            id="a tag of a shell",
        ),
        pytest.param("r.io/api:", "the tag '' may have letters, digits and . _ - only, at most 128", id="an empty tag"),
        pytest.param(
            "r.io/api@sha256:12", "the digest 'sha256:12' is not 'sha256:' and 64 hex digits", id="half a digest"
        ),
        pytest.param("r.io/api@", "the digest '' is not 'sha256:' and 64 hex digits", id="an empty digest"),
        pytest.param(
            "r.io/api\n",
            "the repository 'api\\n' may have lower-case letters, digits and single . _ - / only",
            id="a line",
        ),
    ],
)
def test_a_wrong_reference_is_refused_with_field_value_and_remedy(text: str, remedy: str) -> None:
    with pytest.raises(InvalidLoadTestError) as refused:
        parse_image(text, field="api_image")

    assert str(refused.value) == f"api_image is {text!r}: {remedy}"


def test_an_image_is_named_by_its_content_under_the_registrys_prefix() -> None:
    context = BuildContext(data=b"", sha256="0123456789abcdef" + "0" * 48, dockerfile="Dockerfile")

    assert str(API.reference("eu.pkg.dev/p/r/", context)) == "eu.pkg.dev/p/r/api:0123456789abcdef"
    assert str(ATTACKER.reference("10.0.0.1:5000", context)) == "10.0.0.1:5000/attacker:0123456789abcdef"


# Contents


def a_folder(folder: Path, **files: str) -> Path:
    """Write files; the names have __ for a slash."""
    for name, text in {"Dockerfile": "FROM scratch", **files}.items():
        file = folder / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def members(context: BuildContext) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(context.data), mode="r:gz") as tar:
        return {member.name: member for member in tar.getmembers()}


def names(context: BuildContext) -> list[str]:
    return list(members(context))


def test_equal_content_has_one_tag_whenever_and_by_whomever_it_was_written(tmp_path: Path) -> None:
    one = a_folder(tmp_path / "one", b="1", a__c="2")
    other = a_folder(tmp_path / "other", a__c="2", b="1")
    os.utime(other / "b", (0, 0))
    (other / "b").chmod(0o600)

    assert context_of(one, ["."]) == context_of(other, ["."])
    assert names(context_of(one, ["."])) == ["Dockerfile", "a/c", "b"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda folder: (folder / "b").write_text("2"), id="content"),
        pytest.param(lambda folder: (folder / "b").rename(folder / "c"), id="name"),
        pytest.param(lambda folder: (folder / "b").chmod(0o755), id="execute bit"),
        pytest.param(lambda folder: (folder / "Dockerfile").write_text("FROM other"), id="Dockerfile"),
    ],
)
def test_a_change_changes_the_tag(tmp_path: Path, change: Callable[[Path], object]) -> None:
    folder = a_folder(tmp_path, b="1")
    before = context_of(folder, ["."])

    change(folder)

    assert context_of(folder, ["."]).content_tag != before.content_tag


def test_a_tag_is_the_first_16_digits_of_the_content_unpacked(tmp_path: Path) -> None:
    context = context_of(a_folder(tmp_path), ["."])

    assert context.content_tag == context.sha256[:16]
    assert len(context.sha256) == 64


def test_neither_times_nor_owners_are_packed(tmp_path: Path) -> None:
    member = members(context_of(a_folder(tmp_path), ["."]))["Dockerfile"]

    assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")


def test_only_the_named_paths_are_packed(tmp_path: Path) -> None:
    folder = a_folder(tmp_path, a__b="", c="", d="")

    assert names(context_of(folder, ["a", "c"])) == ["Dockerfile", "a/b", "c"]


def test_caches_environments_and_histories_are_never_packed(tmp_path: Path) -> None:
    folder = a_folder(tmp_path, a__b="")
    a_folder(folder / "__pycache__", x="")
    a_folder(folder / ".git", x="")
    a_folder(folder / "a" / ".venv", x="")

    assert names(context_of(folder, ["."])) == ["Dockerfile", "a/b"]


def test_a_symbolic_link_stays_one_so_nothing_from_outside_gets_in(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "in")
    a_folder(tmp_path / "out", secret="")
    (folder / "file").symlink_to("../out/secret")
    (folder / "folder").symlink_to("../out")

    packed = members(context_of(folder, ["."]))

    assert list(packed) == ["Dockerfile", "file", "folder"]
    assert (packed["file"].issym(), packed["file"].linkname) == (True, "../out/secret")
    assert (packed["folder"].issym(), packed["folder"].linkname) == (True, "../out")


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        pytest.param("", ["a.md", "b/a.md", "b/c.py", "c.py"], id="nothing"),
        pytest.param("# b\n\n*.md", ["b/a.md", "b/c.py", "c.py"], id="a star stays in its folder"),
        pytest.param("**/*.md", ["b/c.py", "c.py"], id="two stars go through folders"),
        pytest.param("b/**", ["a.md", "c.py"], id="two stars at the end"),
        pytest.param("/b/", ["a.md", "c.py"], id="a folder, with slashes"),
        pytest.param("*\n!*.py", ["c.py"], id="all but"),
        pytest.param("*\n!b\nb/a.md", ["b/c.py"], id="the last line decides"),
        pytest.param("?.[mn]d", ["b/a.md", "b/c.py", "c.py"], id="one character, and one of several"),
        pytest.param("a+md", ["a.md", "b/a.md", "b/c.py", "c.py"], id="other signs mean themselves"),
    ],
)
def test_dockerignore_is_obeyed(tmp_path: Path, lines: str, kept: list[str]) -> None:
    folder = a_folder(tmp_path, **{"a.md": "", "b__a.md": "", "b__c.py": "", "c.py": "", ".dockerignore": lines})

    assert names(context_of(folder, ["."])) == [".dockerignore", "Dockerfile", *kept]


def test_a_dockerfiles_own_dockerignore_comes_first(tmp_path: Path) -> None:
    files = {".dockerignore": "*", "x__Dockerfile": "", "x__Dockerfile.dockerignore": "Dockerfile", "a": ""}

    packed = names(context_of(a_folder(tmp_path, **files), ["."], dockerfile="x/Dockerfile"))

    assert packed == [".dockerignore", "a", "x/Dockerfile", "x/Dockerfile.dockerignore"]


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunBrokenError) as broken:
        context_of(a_folder(tmp_path), ["a"])

    assert str(broken.value) == f"{tmp_path / 'a'}: No such file or directory: build from a whole checkout"


def test_the_apis_image_is_made_of_its_folder() -> None:
    packed = names(API.context(CHECKOUT))

    assert {"Dockerfile", "main.py", "gunicorn_conf.py", "requirements.lock"} <= set(packed)
    assert not [name for name in packed if "/" in name]


def test_the_attackers_image_is_made_of_the_attacker_the_workflows_and_what_they_apply() -> None:
    packed = names(ATTACKER.context(CHECKOUT))

    assert {"attacker/Dockerfile", "attacker/go.sum", "workflows/images.py"} <= set(packed)
    assert {name.partition("/")[0] for name in packed} <= {".dockerignore", "attacker", "workflows", "k8s"}


def test_the_command_prints_what_gcloud_wants(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["eu.pkg.dev/p/r"])

    api, attacker = API.context(CHECKOUT).content_tag, ATTACKER.context(CHECKOUT).content_tag
    assert code == 0
    assert capsys.readouterr().out == f"_REGISTRY=eu.pkg.dev/p/r,_API_TAG={api},_ATTACKER_TAG={attacker}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param([], "images: registry is missing: write python -m workflows.images REGISTRY\n", id="no registry"),
        pytest.param(
            ["Not A/Registry"],
            "images: registry is 'Not A/Registry': the registry 'Not A' is no host: write HOST or HOST:PORT\n",
            id="a wrong one",
        ),
    ],
)
def test_the_command_used_wrongly_ends_with_2_and_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr() == ("", said)


# The registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as the registry got it."""

    method: str
    path: str
    accept: str
    authorization: str | None


@dataclass(slots=True, kw_only=True)
class Registry:
    """A registry that has one image, for whoever comes with the token that it gave out."""

    host: str = ""
    wants_token: bool = False
    status: int | None = None
    """What it answers to everything, if anything."""
    digest: str | None = DIGEST
    asked: list[Asked] = field(default_factory=list)

    def answer(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(asked)
        if self.status is not None:
            return self.status, {}, b""
        if asked.path.startswith("/token?"):
            return 200, {}, b'{"token": "for-pulls"}'
        if self.wants_token and asked.authorization != "Bearer for-pulls":
            scope = 'service="registry",scope="repository:r/api:pull"'
            return 401, {"WWW-Authenticate": f'Bearer realm="http://{self.host}/token",{scope}'}, b""
        if asked.path != "/v2/r/api/manifests/1":
            return 404, {}, b""
        return 200, {} if self.digest is None else {"Docker-Content-Digest": self.digest}, b""


@contextmanager
def serving(registry: Registry) -> Iterator[Registry]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            headers = self.headers
            asked = Asked(
                method=self.command,
                path=self.path,
                accept=headers["Accept"],
                authorization=headers["Authorization"],
            )
            status, given, body = registry.answer(asked)
            self.send_response(status)
            for name, value in given.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815  (http.server's name)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    registry.host = f"127.0.0.1:{server.server_port}"
    try:
        yield registry
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def no_token() -> str:
    raise AssertionError("this registry is not Google's")


def ask(registry: Registry, name: str = "r/api:1") -> str | None:
    return existing_digest(ImageReference.parse(f"{registry.host}/{name}"), insecure=True, token=no_token)


def test_an_image_that_is_there_has_a_digest_and_takes_one_request() -> None:
    with serving(Registry()) as registry:
        digest = ask(registry)

    assert digest == DIGEST
    assert [(asked.method, asked.path, asked.authorization) for asked in registry.asked] == [
        ("HEAD", "/v2/r/api/manifests/1", None)
    ]
    assert registry.asked[0].accept.split(", ") == [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ]


def test_an_image_that_is_not_there_has_none() -> None:
    with serving(Registry()) as registry:
        assert ask(registry, "r/api:2") is None


@pytest.mark.parametrize(
    ("name", "path"),
    [
        pytest.param(f"r/api:1@{DIGEST}", f"/v2/r/api/manifests/{DIGEST}", id="its digest before its tag"),
        pytest.param("r/api", "/v2/r/api/manifests/latest", id="latest where nothing is said"),
    ],
)
def test_an_image_is_asked_for_by(name: str, path: str) -> None:
    with serving(Registry()) as registry:
        ask(registry, name)

    assert registry.asked[0].path == path


def test_a_registry_that_wants_a_token_gets_the_one_that_it_gives_out() -> None:
    with serving(Registry(wants_token=True)) as registry:
        digest = ask(registry)

    assert digest == DIGEST
    assert [(asked.method, asked.path.partition("?")[0], asked.authorization) for asked in registry.asked] == [
        ("HEAD", "/v2/r/api/manifests/1", None),
        ("GET", "/token", None),
        ("HEAD", "/v2/r/api/manifests/1", "Bearer for-pulls"),
    ]
    assert registry.asked[1].path == "/token?service=registry&scope=repository%3Ar%2Fapi%3Apull"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        pytest.param(403, "answered 403 Forbidden: use a registry that lets anybody pull", id="refused"),
        pytest.param(401, "answered 401 Unauthorized: use a registry that lets anybody pull", id="no way to sign in"),
        pytest.param(503, "answered 503 Service Unavailable: try again when it answers", id="out of order"),
    ],
)
def test_a_registry_that_does_not_tell_breaks_the_run(status: int, said: str) -> None:
    with serving(Registry(status=status)) as registry, pytest.raises(RunBrokenError) as broken:
        ask(registry)

    assert str(broken.value) == f"{registry.host}/r/api:1: {registry.host} {said}"


def test_a_registry_that_hides_the_digest_breaks_the_run() -> None:
    with serving(Registry(digest=None)) as registry, pytest.raises(RunBrokenError) as broken:
        ask(registry)

    assert str(broken.value) == (
        f"{registry.host}/r/api:1: {registry.host} has it but does not tell its digest: name the image by digest"
    )


def test_a_registry_that_is_not_there_breaks_the_run() -> None:
    with serving(Registry()) as registry:
        pass

    with pytest.raises(RunBrokenError, match=r"no answer from 127\.0\.0\.1:\d+ \(.+\): check the registry's address"):
        ask(registry)


@pytest.mark.parametrize("host", ["europe-docker.pkg.dev", "8.8.8.8:5000", "registry.example.com:5000"])
def test_plain_http_is_refused_to_public_addresses(host: str) -> None:
    with pytest.raises(InvalidLoadTestError) as refused:
        existing_digest(ImageReference.parse(f"{host}/api:1"), insecure=True, token=no_token)

    assert str(refused.value) == f"registry is '{host}': plain HTTP is for private addresses only: use HTTPS there"


@dataclass(slots=True, kw_only=True)
class GoogleRegistry:
    """Artifact Registry's way to sign in, without the network."""

    realm: str = "https://eu.pkg.dev/v2/token"
    tokens: list[tuple[str, str | None]] = field(default_factory=list)
    """Who was asked for a token, and with which credentials."""

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            self.tokens.append((str(request.url), request.headers.get("Authorization")))
            return httpx.Response(200, json={"access_token": "for-pulls"})
        if request.headers.get("Authorization") == "Bearer for-pulls":
            return httpx.Response(200, headers={"Docker-Content-Digest": DIGEST})
        challenge = f'Bearer realm="{self.realm}",service="eu.pkg.dev",scope="repository:p/r/api:pull"'
        return httpx.Response(401, headers={"WWW-Authenticate": challenge})

    def digest(self, image: str = "eu.pkg.dev/p/r/api:1") -> str | None:
        transport = httpx.MockTransport(self.answer)
        return existing_digest(ImageReference.parse(image), token=lambda: "of-the-user", transport=transport)


def test_googles_registry_is_signed_in_to_with_the_users_token() -> None:
    registry = GoogleRegistry()

    assert registry.digest() == DIGEST
    basic = base64.b64encode(b"oauth2accesstoken:of-the-user").decode()
    assert registry.tokens == [
        ("https://eu.pkg.dev/v2/token?service=eu.pkg.dev&scope=repository%3Ap%2Fr%2Fapi%3Apull", f"Basic {basic}")
    ]


@pytest.mark.parametrize(
    ("realm", "image"),
    [
        pytest.param("https://example.com/token", "eu.pkg.dev/p/r/api:1", id="sent elsewhere"),
        pytest.param("http://eu.pkg.dev/v2/token", "eu.pkg.dev/p/r/api:1", id="sent without encryption"),
        pytest.param("https://eu.pkg.dev/v2/token", "example.com/p/r/api:1", id="sent by another"),
        pytest.param("https://notpkg.dev/token", "notpkg.dev/p/r/api:1", id="a name that only looks like Google's"),
    ],
)
def test_googles_token_goes_to_google_only(realm: str, image: str) -> None:
    registry = GoogleRegistry(realm=realm)

    registry.digest(image)

    assert [credentials for _, credentials in registry.tokens] == [None]


def test_a_google_registry_that_refuses_names_the_role() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(403))

    with pytest.raises(RunBrokenError) as broken:
        existing_digest(ImageReference.parse("eu.pkg.dev/p/r/api:1"), token=no_token, transport=transport)

    assert str(broken.value) == (
        "eu.pkg.dev/p/r/api:1: eu.pkg.dev answered 403 Forbidden: grant roles/artifactregistry.reader"
    )
