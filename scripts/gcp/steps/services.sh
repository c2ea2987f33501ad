# The APIs that are used. They cost nothing, and others may use them: down leaves them on.
# shellcheck shell=sh

make_services() {
    run gcloud services enable --project="$PROJECT" \
        artifactregistry.googleapis.com cloudbuild.googleapis.com container.googleapis.com \
        iam.googleapis.com logging.googleapis.com storage.googleapis.com
}

remove_services() {
    :
}
