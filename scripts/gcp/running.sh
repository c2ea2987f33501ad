# How commands are run: for real, or in a dry run printed as lines of a script that does the same.
# shellcheck shell=sh disable=SC2034  # the steps use PROJECT_NUMBER

# Stands for the project's number in a dry run, which asks nobody.
UNKNOWN=@PROJECT_NUMBER@
# What up made bears this, as its label `created-by` or as its description.
OURS=loadtest-scripts
INDENT=''

say() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
}

fail() {
    say "$1"
    exit "${2:-4}"
}

# Look whether all is there to begin with, and which number the project has, before anything is changed.
begin() {
    export CLOUDSDK_CORE_DISABLE_PROMPTS=1
    set -- gcloud projects describe "$PROJECT" '--format=value(projectNumber)'
    if [ -n "$DRY_RUN" ]; then
        print "# In the folder of this repository:"
        print "set -eu"
        print "export CLOUDSDK_CORE_DISABLE_PROMPTS=1"
        print "PROJECT_NUMBER=\$($(quoted "$@"))"
        PROJECT_NUMBER=$UNKNOWN
        return
    fi
    for program in gcloud kubectl; do
        command -v "$program" >/dev/null || fail "$program is not on the PATH: install it"
    done
    PROJECT_NUMBER=$("$@") || fail "project $PROJECT cannot be read, see above: run 'gcloud auth login', or name another"
}

# Write words so that a shell reads them back as they are.
quoted() {
    line=''
    for word in "$@"; do
        case $word in
        '' | *[!A-Za-z0-9_@%+=:,./-]* | *"$UNKNOWN"*)
            word=$(printf '%s' "$word" | sed -e "s/'/'\\\\''/g" -e "s/$UNKNOWN/'\"\$PROJECT_NUMBER\"'/g")
            word="'$word'"
            ;;
        esac
        line="$line $word"
    done
    printf '%s' "${line# }"
}

# Print a line of the dry run.
print() {
    printf '%s%s\n' "$INDENT" "$1"
}

run() {
    if [ -n "$DRY_RUN" ]; then
        print "$(quoted "$@")"
    else
        printf '+ %s\n' "$(quoted "$@")" >&2
        "$@" || fail "that failed, see above: mend it and run this again, which goes on where it stopped"
    fi
}

# Run what may fail for some seconds only: Google needs them until an account that it made is known everywhere.
run_patiently() {
    if [ -z "$DRY_RUN" ]; then
        for _ in 1 2 3; do
            printf '+ %s\n' "$(quoted "$@")" >&2
            if "$@"; then
                return
            fi
            sleep 5
        done
    fi
    run "$@"
}

# Ask for a thing: is it not there? What follows is only done then, up to `end`.
absent() {
    if [ -n "$DRY_RUN" ]; then
        print "if ! $(quoted "$@") >/dev/null 2>&1; then"
        INDENT='    '
    elif "$@" >/dev/null 2>&1; then
        return 1
    fi
}

# Ask a thing for its mark: did up make it? What follows is only done then, up to `end`.
ours() {
    if [ -n "$DRY_RUN" ]; then
        print "if [ \"\$($(quoted "$@"))\" = $OURS ]; then"
        INDENT='    '
    elif ! mark=$("$@"); then
        say "nothing to remove there"
        return 1
    elif [ "$mark" != "$OURS" ]; then
        say "left as it is, as scripts/gcp/up did not make it: $(quoted "$@")"
        return 1
    fi
}

# Ask for a policy: is WANTED, a ROLE,MEMBER, among its lines? What follows is only done then, up to `end`.
has_wanted() {
    if [ -n "$DRY_RUN" ]; then
        print "if $(quoted "$@") | grep -xF $(quoted "$WANTED") >/dev/null; then"
        INDENT='    '
    else
        "$@" | grep -xF "$WANTED" >/dev/null
    fi
}

end() {
    if [ -n "$DRY_RUN" ]; then
        INDENT=''
        print 'fi'
    fi
}
