# What can be set, by environment or option. Read by scripts/gcp/up and down.
# shellcheck shell=sh disable=SC2034  # the steps use them

usage() {
    cat <<EOF
Usage: scripts/gcp/${0##*/} --project=PROJECT [OPTION...] [STEP...]

Steps: services registry bucket accounts cluster identities argo manifests; all of them, where none is named.
What is there already stays as it is, and only what scripts/gcp/up made is ever removed.

  --dry-run                       print the commands, as a script for sh, and do nothing
  --project=PROJECT               the project's id
  --region=REGION                 of the registry and the bucket (europe-west1)
  --zone=ZONE                     of the cluster: one, so that no attack crosses zones (REGION-b)
  --cluster=CLUSTER               (loadtest)
  --repository=REPOSITORY         of images, in Artifact Registry (loadtest)
  --bucket=BUCKET                 of results (PROJECT-loadtest)
  --machine-type=TYPE             of the nodes for the API and Argo (e2-standard-4)
  --max-nodes=N                   (5)
  --attacker-machine-type=TYPE    of the nodes for attack pods (n2-standard-4)
  --attacker-max-nodes=N          (4); without attacks there are none

Each option can be an environment variable too: PROJECT, REGION, ATTACKER_MAX_NODES and so on.
EOF
}

read_settings() {
    DRY_RUN='' STEPS=''
    while [ $# -gt 0 ]; do
        case $1 in
        --help) usage && exit 0 ;;
        --dry-run) DRY_RUN=yes ;;
        --*=*) set_option "${1%%=*}" "${1#*=}" ;;
        --*) fail "$1 is no option, or lacks its value: write --OPTION=VALUE; see --help" 2 ;;
        services | registry | bucket | accounts | cluster | identities | argo | manifests) STEPS="$STEPS $1" ;;
        *) fail "$1 is no step: give services, registry, bucket, accounts, cluster, identities, argo or manifests" 2 ;;
        esac
        shift
    done
    [ -n "${PROJECT:-}" ] || fail "PROJECT is missing: set it, or give --project=PROJECT" 2
    REGION=${REGION:-europe-west1}
    ZONE=${ZONE:-$REGION-b}
    CLUSTER=${CLUSTER:-loadtest}
    REPOSITORY=${REPOSITORY:-loadtest}
    BUCKET=${BUCKET:-$PROJECT-loadtest}
    MACHINE_TYPE=${MACHINE_TYPE:-e2-standard-4}
    MAX_NODES=${MAX_NODES:-5}
    ATTACKER_MACHINE_TYPE=${ATTACKER_MACHINE_TYPE:-n2-standard-4}
    ATTACKER_MAX_NODES=${ATTACKER_MAX_NODES:-4}
    NODE_ACCOUNT=$CLUSTER-nodes
    BUILD_ACCOUNT=$CLUSTER-builds
    CONTEXT=gke_${PROJECT}_${ZONE}_$CLUSTER
}

set_option() {
    case $1 in
    --project) PROJECT=$2 ;;
    --region) REGION=$2 ;;
    --zone) ZONE=$2 ;;
    --cluster) CLUSTER=$2 ;;
    --repository) REPOSITORY=$2 ;;
    --bucket) BUCKET=$2 ;;
    --machine-type) MACHINE_TYPE=$2 ;;
    --max-nodes) MAX_NODES=$2 ;;
    --attacker-machine-type) ATTACKER_MACHINE_TYPE=$2 ;;
    --attacker-max-nodes) ATTACKER_MAX_NODES=$2 ;;
    *) fail "$1 is no option: see --help" 2 ;;
    esac
}
