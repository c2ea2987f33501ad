# The cluster, with nodes of their own for attack pods, which come and go with the attacks.
# shellcheck shell=sh

make_cluster() {
    if absent gcloud container clusters describe "$CLUSTER" --location="$ZONE" --project="$PROJECT"; then
        # Without Dataplane V2, GKE enforces no NetworkPolicy.
        run gcloud container clusters create "$CLUSTER" --location="$ZONE" --project="$PROJECT" \
            --release-channel=regular --machine-type="$MACHINE_TYPE" \
            --enable-autoscaling --num-nodes=1 --min-nodes=1 --max-nodes="$MAX_NODES" \
            --service-account="$(email "$NODE_ACCOUNT")" --workload-pool="$PROJECT.svc.id.goog" \
            --enable-dataplane-v2 --labels="created-by=$OURS"
        end
    fi
    if absent gcloud container node-pools describe attackers --cluster="$CLUSTER" --location="$ZONE" \
        --project="$PROJECT"; then
        run gcloud container node-pools create attackers --cluster="$CLUSTER" --location="$ZONE" \
            --project="$PROJECT" --machine-type="$ATTACKER_MACHINE_TYPE" \
            --enable-autoscaling --num-nodes=0 --min-nodes=0 --max-nodes="$ATTACKER_MAX_NODES" \
            --service-account="$(email "$NODE_ACCOUNT")" --workload-metadata=GKE_METADATA \
            --node-labels=loadtest/pool=attacker --node-taints=loadtest/attacker=true:NoSchedule
        end
    fi
}

remove_cluster() {
    if ours gcloud container clusters describe "$CLUSTER" --location="$ZONE" --project="$PROJECT" \
        '--format=value(resourceLabels.created-by)'; then
        # Load balancers outlive a cluster, unless their Services go first.
        run gcloud container clusters get-credentials "$CLUSTER" --location="$ZONE" --project="$PROJECT"
        run kubectl --context="$CONTEXT" --namespace=loadtest delete services --all --timeout=300s
        run gcloud container clusters delete "$CLUSTER" --location="$ZONE" --project="$PROJECT"
        end
    fi
}
