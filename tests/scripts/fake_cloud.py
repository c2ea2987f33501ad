"""Stands for gcloud, kubectl and sleep on the PATH: writes down each call, and remembers what was made.

Runs as a program of its own, without the project's packages.
"""

import json
import os
import sys
from pathlib import Path

__all__: list[str] = []

POLICY_ACTIONS = {"get-iam-policy", "add-iam-policy-binding", "remove-iam-policy-binding"}
ACTIONS = {"describe", "create", "update", "delete", "rm"}
OWNER_KEYS = {"--labels": "created-by=", "--update-labels": "created-by=", "--description": ""}


def thing(words: list[str]) -> str:
    """Name what a gcloud command is about: its group and the name, such as `storage buckets gs://b`."""
    plain = [word for word in words if not word.startswith("--")]
    group, name = plain[:-2], plain[-1].split("@")[0]
    if plain[:2] == ["storage", "rm"]:
        group = ["storage", "buckets"]
    return " ".join([*group, name])


def gcloud(words: list[str], state: dict[str, list[str]]) -> int:
    """Do as gcloud does; `state` maps things to [owner] and, as `policy …`, to their bindings."""
    if words[:2] == ["projects", "describe"]:
        sys.stdout.write("42\n")
        return 0
    if words[:2] == ["services", "enable"] or "get-credentials" in words:
        return 0
    options = dict(word.split("=", 1) for word in words if word.startswith("--") and "=" in word)
    action = next(word for word in words if word in POLICY_ACTIONS | ACTIONS)
    if action in POLICY_ACTIONS:
        return on_policy(action, options, state.setdefault(f"policy {thing(words)}", []))
    return on_thing(action, thing(words), options, state)


def on_policy(action: str, options: dict[str, str], bindings: list[str]) -> int:
    """Show or change the bindings of a thing, one `ROLE,MEMBER` a line."""
    binding = f"{options.get('--role')},{options.get('--member')}"
    if action == "get-iam-policy":
        sys.stdout.write("".join(f"{line}\n" for line in bindings))
    elif action == "add-iam-policy-binding":
        bindings[:] = [*(line for line in bindings if line != binding), binding]
    else:
        bindings.remove(binding)
    return 0


def on_thing(action: str, name: str, options: dict[str, str], state: dict[str, list[str]]) -> int:
    """Make, mark, describe or remove a thing."""
    if (action == "create") == (name in state):
        sys.stderr.write(f"ERROR: {name} is {'' if name in state else 'not '}there\n")
        return 1
    if action in ("create", "update"):
        owners = [options[key].removeprefix(prefix) for key, prefix in OWNER_KEYS.items() if key in options]
        state[name] = owners or [""]
    elif action == "describe":
        sys.stdout.write(f"{state[name][0]}\n")
    else:
        gone = {name, f"policy {name}"}
        if name.startswith("container clusters "):
            gone.add("container node-pools attackers")
        for one in gone & set(state):
            del state[one]
    return 0


def main() -> int:
    """Fail as often as the file `failures` says for the call's words, else do as is said above."""
    folder = Path(os.environ["FAKE_CLOUD"])
    words = [Path(sys.argv[0]).name, *sys.argv[1:]]
    with (folder / "calls").open("a", encoding="utf-8") as calls:
        calls.write(json.dumps(words) + "\n")
    failures = json.loads((folder / "failures").read_text())
    for part, left in failures.items():
        if part in words and left:
            (folder / "failures").write_text(json.dumps(failures | {part: left - 1}))
            sys.stderr.write("ERROR: it cannot be done\n")
            return 1
    if words[0] != "gcloud":
        return 0
    state = json.loads((folder / "state").read_text())
    code = gcloud(words[1:], state)
    (folder / "state").write_text(json.dumps(state))
    return code


if __name__ == "__main__":
    sys.exit(main())
