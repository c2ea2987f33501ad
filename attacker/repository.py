"""Argo's artifact repository, as a pod of a run sees it: where results go that are sent nowhere else."""

import json
from pathlib import Path

__all__ = ["repository_of_this_pod"]

_TEMPLATE = Path("/var/run/argo/template")
"""Argo's own description of the pod, which its first container leaves there for the others."""


def repository_of_this_pod(file: Path = _TEMPLATE) -> str | None:
    """Give the address of the bucket that Argo keeps this pod's log and artifacts in.

    Returns:
        `gs://BUCKET`, or None where it keeps none, or not in Google Cloud Storage.
    """
    try:
        template = json.loads(file.read_text(encoding="utf-8"))
        bucket = template["archiveLocation"]["gcs"]["bucket"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return f"gs://{bucket}" if bucket else None
