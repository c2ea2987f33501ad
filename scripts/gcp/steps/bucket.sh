# The bucket of results, and of what Cloud Build builds from; lifecycle.json says how long each stays.
# shellcheck shell=sh

make_bucket() {
    if absent gcloud storage buckets describe "gs://$BUCKET" --project="$PROJECT"; then
        run gcloud storage buckets create "gs://$BUCKET" --project="$PROJECT" --location="$REGION" \
            --uniform-bucket-level-access --public-access-prevention --lifecycle-file=scripts/gcp/lifecycle.json
        run gcloud storage buckets update "gs://$BUCKET" --project="$PROJECT" --update-labels="created-by=$OURS"
        end
    fi
}

remove_bucket() {
    if ours gcloud storage buckets describe "gs://$BUCKET" --project="$PROJECT" '--format=value(labels.created-by)'; then
        run gcloud storage rm --recursive "gs://$BUCKET" --project="$PROJECT"
        end
    fi
}
