# What the pods may do, by Workload Identity: roles go to Kubernetes' service accounts as they are (k8s/loadtest, k8s/build).
# shellcheck shell=sh disable=SC2034  # has_wanted uses WANTED

make_identities() {
    each_workload_role bind
}

remove_identities() {
    each_workload_role unbind
}

each_workload_role() {
    for name in loadtest-attacker loadtest-reporter loadtest-deployer; do
        "$1" bucket "$(workload loadtest "$name")" roles/storage.objectUser
    done
    "$1" bucket "$(workload loadtest argo-server)" roles/storage.objectViewer
    # Builds are asked for by whoever runs submit.py; in the cluster, BuildKit pushes.
    "$1" registry "$(workload loadtest-build loadtest-builder)" roles/artifactregistry.writer
}

# Name a service account of the cluster: NAMESPACE NAME.
workload() {
    printf 'principal://iam.googleapis.com/projects/%s/locations/global/workloadIdentityPools/%s/subject/ns/%s/sa/%s' \
        "$PROJECT_NUMBER" "$PROJECT.svc.id.goog" "$1" "$2"
}

# Give a role: project|registry|bucket|builds MEMBER ROLE.
bind() {
    on "$1" run_patiently add-iam-policy-binding --member="$2" --role="$3" --condition=None
}

# Take a role away, where there is one.
unbind() {
    WANTED=$3,$2
    if on "$1" has_wanted get-iam-policy '--flatten=bindings[].members' \
        '--format=csv[no-heading](bindings.role,bindings.members)'; then
        on "$1" run remove-iam-policy-binding --member="$2" --role="$3" --condition=None
        end
    fi
}

# Run a command about a policy: WHERE HOW COMMAND OPTION...
on() {
    where=$1 how=$2 command=$3
    shift 3
    case $where in
    project) "$how" gcloud projects "$command" "$PROJECT" "$@" ;;
    registry)
        "$how" gcloud artifacts repositories "$command" "$REPOSITORY" --location="$REGION" --project="$PROJECT" "$@"
        ;;
    bucket) "$how" gcloud storage buckets "$command" "gs://$BUCKET" --project="$PROJECT" "$@" ;;
    builds) "$how" gcloud iam service-accounts "$command" "$(email "$BUILD_ACCOUNT")" --project="$PROJECT" "$@" ;;
    esac
}
