# What runs need in the cluster, told where results and images go. It goes with the cluster.
# shellcheck shell=sh disable=SC2016  # Argo fills in its own names

make_manifests() {
    # What is filled in below is taken back by this, for as long as it takes.
    run kubectl --context="$CONTEXT" apply --server-side --force-conflicts --kustomize=k8s/overlays/gke
    key_format='runs/{{workflow.name}}/argo/{{pod.name}}' folder='runs/${metadata.name}'
    kept="archiveLogs: true\\ngcs:\\n  bucket: $BUCKET\\n  keyFormat: $key_format\\n"
    page=https://console.cloud.google.com/storage/browser/$BUCKET/$folder
    links="- name: Results\\n  scope: workflow\\n  url: $page\\n"
    fill_in workflow-controller-configmap artifactRepository "$kept" links "$links"
    fill_in loadtest-build LOADTEST_REGISTRY "$REGION-docker.pkg.dev/$PROJECT/$REPOSITORY" \
        LOADTEST_BUILD_BUCKET "$BUCKET" LOADTEST_BUILD_ACCOUNT "$(email "$BUILD_ACCOUNT")"
}

remove_manifests() {
    :
}

# Set values of a ConfigMap: NAME KEY VALUE...
fill_in() {
    config=$1 data=''
    shift
    while [ $# -gt 0 ]; do
        data="$data${data:+, }\"$1\": \"$2\""
        shift 2
    done
    run kubectl --context="$CONTEXT" --namespace=loadtest patch "configmap/$config" --type=merge --patch="{\"data\": {$data}}"
}
