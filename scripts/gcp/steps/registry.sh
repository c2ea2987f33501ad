# Artifact Registry, for both images.
# shellcheck shell=sh

make_registry() {
    if absent gcloud artifacts repositories describe "$REPOSITORY" --location="$REGION" --project="$PROJECT"; then
        run gcloud artifacts repositories create "$REPOSITORY" --location="$REGION" --project="$PROJECT" \
            --repository-format=docker --labels="created-by=$OURS"
        end
    fi
}

remove_registry() {
    if ours gcloud artifacts repositories describe "$REPOSITORY" --location="$REGION" --project="$PROJECT" \
        '--format=value(labels.created-by)'; then
        run gcloud artifacts repositories delete "$REPOSITORY" --location="$REGION" --project="$PROJECT"
        end
    fi
}
