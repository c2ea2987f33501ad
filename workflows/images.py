"""The two images of a run: what they are made of, how they are called, and whether a registry has them already."""

import gzip
import hashlib
import io
import ipaddress
import os
import re
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx

from attacker.exits import Exit, InvalidLoadTestError, LoadTestError, RunBrokenError

__all__ = [
    "API",
    "ATTACKER",
    "BuildContext",
    "ImageReference",
    "ImageSource",
    "context_of",
    "existing_digest",
    "google_token",
    "parse_image",
]

_NEVER = frozenset({"__pycache__", ".venv", ".git"})
_IGNORE_TOKEN = re.compile(r"(\*\*/?|\*|\?|\[[^]]+]|\\.)")

_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+])(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE)
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+|/)[a-z0-9]+)*", re.ASCII)
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_DOCKER_HUB = "docker.io"
_DOCKER_HUB_HOST = "registry-1.docker.io"

_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_CLOUD_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_ANSWER_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReference:
    """An image's full name, in the parts that registries and Kubernetes know."""

    registry: str
    """Host, perhaps with a port."""
    repository: str
    tag: str | None = None
    digest: str | None = None
    """`sha256:…`; where there is one, the tag is for people only."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `REGISTRY/REPOSITORY:TAG@DIGEST`; without a registry it is Docker Hub's, as everywhere.

        Raises:
            ValueError: it is none; the text says what is wrong and what to write, not the field or the value.
        """
        if not text.strip():
            raise ValueError("give an image, such as REGISTRY/REPOSITORY:TAG")
        if "://" in text:
            raise ValueError("leave out what stands before and in '://'")
        name, at, digest = text.partition("@")
        head, _, tail = name.rpartition(":")
        name, tag = (head, tail) if head and "/" not in tail else (name, None)
        registry, repository = _registry_and_repository(name)
        if _HOST.fullmatch(registry) is None:
            raise ValueError(f"the registry {registry!r} is no host: write HOST or HOST:PORT")
        if _REPOSITORY.fullmatch(repository) is None:
            raise ValueError(
                f"the repository {repository!r} may have lower-case letters, digits and single . _ - / only"
            )
        if tag is not None and _TAG.fullmatch(tag) is None:
            raise ValueError(f"the tag {tag!r} may have letters, digits and . _ - only, at most 128")
        if at and _DIGEST.fullmatch(digest) is None:
            raise ValueError(f"the digest {digest!r} is not 'sha256:' and 64 hex digits")
        return cls(registry=registry, repository=repository, tag=tag, digest=digest or None)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"


def parse_image(text: str, *, field: str) -> ImageReference:
    """Read what a user wrote into a field.

    Raises:
        InvalidLoadTestError: it is no image; the text names field, value and remedy.
    """
    try:
        return ImageReference.parse(text)
    except ValueError as error:
        raise InvalidLoadTestError(f"{field} is {text!r}: {error}") from error


def _registry_and_repository(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if slash and (first == "localhost" or first != first.lower() or {".", ":"} & set(first)):
        return first, rest
    return _DOCKER_HUB, name if slash else f"library/{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildContext:
    """The files that an image is built from, packed."""

    data: bytes
    """A tar.gz."""
    sha256: str
    """Of the tar in it, as another zlib packs the same tar into other bytes."""
    dockerfile: str
    """Its path among the files."""

    @property
    def content_tag(self) -> str:
        """The tag of every image that is made of these files, whoever builds it."""
        return self.sha256[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSource:
    """Where in this project's checkout an image comes from."""

    name: str
    folder: str
    """The build's context; its .dockerignore says what of it is needed."""
    dockerfile: str
    """Its path in that folder."""

    def context(self, checkout: Path) -> BuildContext:
        """Pack what the image is made of; raises as `context_of` does."""
        return context_of(checkout / self.folder, (".",), dockerfile=self.dockerfile)

    def reference(self, prefix: str, context: BuildContext) -> ImageReference:
        """Name the image of that content under a prefix such as `REGION-docker.pkg.dev/PROJECT/REPOSITORY`.

        Raises:
            InvalidLoadTestError: no image can have that prefix.
        """
        try:
            return ImageReference.parse(f"{prefix.rstrip('/')}/{self.name}:{context.content_tag}")
        except ValueError as error:
            raise InvalidLoadTestError(f"registry is {prefix!r}: {error}") from error


API = ImageSource(name="api", folder="api", dockerfile="Dockerfile")
ATTACKER = ImageSource(name="attacker", folder=".", dockerfile="attacker/Dockerfile")


def context_of(root: Path, paths: Iterable[str], *, dockerfile: str = "Dockerfile") -> BuildContext:
    """Pack files so that equal content gives equal bytes: sorted, and without times and owners.

    What `.dockerignore` names stays out (or `DOCKERFILE.dockerignore`, where there is one, as for BuildKit); it and
    the Dockerfile are always in.

    Args:
        root: the context's folder.
        paths: files and folders in it; nothing else is taken.
        dockerfile: its path in the folder.

    Raises:
        RunBrokenError: one of them is missing or cannot be read.
    """
    own, folder_wide = f"{dockerfile}.dockerignore", ".dockerignore"
    ignore_file = own if (root / own).is_file() else folder_wide
    try:
        ignored = _ignored(root / ignore_file)
        found = {path.relative_to(root).as_posix(): path for path in _files(root, (*paths, dockerfile))}
        if (root / ignore_file).is_file():
            found[ignore_file] = root / ignore_file
        kept = {name: found[name] for name in sorted(found) if name in {dockerfile, ignore_file} or not ignored(name)}
        content = _tar(kept)
    except OSError as error:
        raise RunBrokenError(f"{error.filename}: {error.strerror}: build from a whole checkout") from error
    return BuildContext(
        data=gzip.compress(content, mtime=0), sha256=hashlib.sha256(content).hexdigest(), dockerfile=dockerfile
    )


def _files(root: Path, paths: Iterable[str]) -> Iterator[Path]:
    """Find files and symbolic links, which are not followed."""
    for path in paths:
        start = root / path
        if not start.is_dir():
            start.lstat()
            yield start
            continue
        for folder, folders, names in os.walk(start, onerror=_fail):
            folders[:] = [name for name in folders if name not in _NEVER]
            for name in (*names, *folders):
                file = Path(folder, name)
                if name not in _NEVER and (file.is_symlink() or file.is_file()):
                    yield file


def _fail(error: OSError) -> None:
    raise error


def _tar(files: dict[str, Path]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, file in files.items():
            entry = tarfile.TarInfo(name)
            if file.is_symlink():
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, str(file.readlink()), 0o777
                tar.addfile(entry)
            else:
                data = file.read_bytes()
                # Of the mode, only this bit is the same in every checkout.
                entry.size, entry.mode = len(data), 0o755 if file.stat().st_mode & 0o100 else 0o644
                tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _ignored(file: Path) -> Callable[[str], bool]:
    """Read a .dockerignore: the last line that matches a path, or a folder that it is in, decides."""
    lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()] if file.is_file() else []
    rules = [(not line.startswith("!"), _rule(line)) for line in lines if line and not line.startswith("#")]

    def is_ignored(path: str) -> bool:
        return next((ignore for ignore, rule in reversed(rules) if rule.fullmatch(path)), False)

    return is_ignored


def _rule(line: str) -> re.Pattern[str]:
    pattern = os.path.normpath(line.removeprefix("!").strip().lstrip("/"))
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}

    def translated(token: str) -> str:
        if token in wild:
            return wild[token]
        if token.startswith("[") and token.endswith("]"):
            return token
        return re.escape(token.removeprefix("\\") if len(token) == 2 else token)

    return re.compile("".join(map(translated, _IGNORE_TOKEN.split(pattern))) + "(?:/.*)?", re.DOTALL)


def google_token() -> str:
    """Give an access token of whoever runs this.

    Raises:
        RunBrokenError: there are no Google credentials here.
    """
    import google.auth  # noqa: PLC0415  (a fifth of a second, and for Google's registries only)
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
    from google.auth.transport.requests import Request  # noqa: PLC0415

    try:
        credentials, _ = google.auth.default(scopes=[_CLOUD_SCOPE])
        credentials.refresh(Request())  # type: ignore[no-untyped-call]
    except GoogleAuthError as error:
        raise RunBrokenError(
            f"there are no Google credentials here ({str(error).splitlines()[0]}): "
            "run 'gcloud auth application-default login'"
        ) from error
    return str(credentials.token)


def existing_digest(
    reference: ImageReference,
    *,
    insecure: bool = False,
    token: Callable[[], str] = google_token,
    transport: httpx.BaseTransport | None = None,
) -> str | None:
    """Ask the registry for an image; one that it has need not be built.

    Args:
        reference: the image.
        insecure: ask by plain HTTP, which is for registries of a private network only.
        token: gives the access token for Google's registries; others are asked without credentials.
        transport: what carries the requests, if not the network.

    Returns:
        Its digest, `sha256:…`, or None where the registry does not have it.

    Raises:
        InvalidLoadTestError: plain HTTP to a public address.
        RunBrokenError: the registry does not answer, or refuses to.
    """
    host = _DOCKER_HUB_HOST if reference.registry == _DOCKER_HUB else reference.registry
    if insecure and not _is_private(host):
        raise InvalidLoadTestError(f"registry is {host!r}: plain HTTP is for private addresses only: use HTTPS there")
    # A proxy has no way into a private network.
    client = httpx.Client(timeout=_ANSWER_TIMEOUT_S, follow_redirects=True, trust_env=not insecure, transport=transport)
    try:
        with client:
            answer = _manifest(client, "https" if not insecure else "http", host, reference, token)
            return None if answer is None else answer.headers["Docker-Content-Digest"]
    except KeyError as error:
        raise RunBrokenError(
            f"{reference}: {host} has it but does not tell its digest: name the image by digest"
        ) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise RunBrokenError(
            f"{reference}: no answer from {host} ({str(error) or type(error).__name__}): check the registry's address"
        ) from error


def _manifest(
    client: httpx.Client, scheme: str, host: str, reference: ImageReference, token: Callable[[], str]
) -> httpx.Response | None:
    url = f"{scheme}://{host}/v2/{reference.repository}/manifests/{reference.digest or reference.tag or 'latest'}"
    headers = {"Accept": _MANIFESTS}
    answer = client.head(url, headers=headers)
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        pull_token = _pull_token(client, answer.headers.get("WWW-Authenticate", ""), host, token)
        if pull_token is not None:
            answer = client.head(url, headers=headers | {"Authorization": f"Bearer {pull_token}"})
    if answer.is_success:
        return answer
    if answer.status_code == httpx.codes.NOT_FOUND:
        return None
    remedy = "try again when it answers"
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        remedy = "grant roles/artifactregistry.reader" if _is_google(host) else "use a registry that lets anybody pull"
    raise RunBrokenError(f"{reference}: {host} answered {answer.status_code} {answer.reason_phrase}: {remedy}")


def _pull_token(client: httpx.Client, challenge: str, host: str, token: Callable[[], str]) -> str | None:
    """Get what the registry wants instead of credentials; None where it does not say from whom.

    Source: the token authentication of the distribution project; Google's user is `oauth2accesstoken`.
    """
    asked = dict(_CHALLENGE.findall(challenge))
    if not challenge.lower().startswith("bearer ") or "realm" not in asked:
        return None
    realm = httpx.URL(asked.pop("realm"))
    # Google's token goes to Google only, whatever a registry names as its realm.
    is_google = _is_google(host) and _is_google(realm.host) and realm.scheme == "https"
    answer = client.get(realm.copy_merge_params(asked), auth=("oauth2accesstoken", token()) if is_google else None)
    if not answer.is_success:
        return None
    given: dict[str, str] = answer.json()
    return given.get("token") or given.get("access_token")


def _is_google(host: str) -> bool:
    return host.endswith((".pkg.dev", ".gcr.io")) or host == "gcr.io"


def _is_private(host: str) -> bool:
    name = host.rpartition(":")[0] if re.search(r":[0-9]+$", host) else host
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return "." not in name or name.endswith((".localhost", ".local", ".internal", ".svc"))
    return address.is_private


def main(arguments: list[str]) -> int:
    """Print what `gcloud builds submit` wants as --substitutions for scripts/cloudbuild.yaml."""
    checkout = Path(__file__).parents[1]
    try:
        if len(arguments) != 1:
            raise InvalidLoadTestError("registry is missing: write python -m workflows.images REGISTRY")
        prefix = arguments[0].rstrip("/")
        tags = {source.name: source.reference(prefix, source.context(checkout)).tag for source in (API, ATTACKER)}
    except LoadTestError as error:
        sys.stderr.write(f"images: {error}\n")
        return error.exit
    sys.stdout.write(f"_REGISTRY={prefix},_API_TAG={tags['api']},_ATTACKER_TAG={tags['attacker']}\n")
    return Exit.PASS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
