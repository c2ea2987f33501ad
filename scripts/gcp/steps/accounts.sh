# Google's own accounts: what the nodes run as, which also pulls the images, and what Cloud Build builds as.
# shellcheck shell=sh

make_accounts() {
    for account in "$NODE_ACCOUNT" "$BUILD_ACCOUNT"; do
        if absent gcloud iam service-accounts describe "$(email "$account")" --project="$PROJECT"; then
            run gcloud iam service-accounts create "$account" --project="$PROJECT" --description="$OURS"
            end
        fi
    done
    each_account_role bind
}

remove_accounts() {
    each_account_role unbind
    for account in "$BUILD_ACCOUNT" "$NODE_ACCOUNT"; do
        if ours gcloud iam service-accounts describe "$(email "$account")" --project="$PROJECT" \
            '--format=value(description)'; then
            run gcloud iam service-accounts delete "$(email "$account")" --project="$PROJECT"
            end
        fi
    done
}

each_account_role() {
    "$1" project "serviceAccount:$(email "$NODE_ACCOUNT")" roles/container.defaultNodeServiceAccount
    "$1" registry "serviceAccount:$(email "$NODE_ACCOUNT")" roles/artifactregistry.reader
    "$1" registry "serviceAccount:$(email "$BUILD_ACCOUNT")" roles/artifactregistry.writer
    "$1" bucket "serviceAccount:$(email "$BUILD_ACCOUNT")" roles/storage.objectViewer
    "$1" project "serviceAccount:$(email "$BUILD_ACCOUNT")" roles/logging.logWriter
}

email() {
    printf '%s@%s.iam.gserviceaccount.com' "$1" "$PROJECT"
}
