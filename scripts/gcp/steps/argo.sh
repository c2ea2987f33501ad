# Argo Workflows, in the version that k8s/argo/install pins. It goes with the cluster.
# shellcheck shell=sh

make_argo() {
    run gcloud container clusters get-credentials "$CLUSTER" --location="$ZONE" --project="$PROJECT"
    run kubectl --context="$CONTEXT" apply --filename=k8s/loadtest/namespace.yaml
    # Its CRDs are too large for an annotation, which is where kubectl would remember them otherwise.
    run kubectl --context="$CONTEXT" apply --server-side --kustomize=k8s/argo/install
    for deployment in workflow-controller argo-server; do
        run kubectl --context="$CONTEXT" --namespace=loadtest rollout status "deployment/$deployment" --timeout=300s
    done
}

remove_argo() {
    :
}
