#!/bin/sh
# Ask a Neocog server about files with curl.
#
#     neocog serve model.neocog
#     sh client.sh photo.jpg [MORE ...]
#
# NEOCOG_URL is the server's address, by default http://127.0.0.1:8000. If it asks for a key, set NEOCOG_API_KEY.
# --fail-with-body prints the server's reason and returns 22 for 4xx and 5xx; --retry waits as long as a 503 asks for.
set -eu

for file in "$@"; do
  curl --silent --show-error --fail-with-body --retry 3 --max-time 60 \
    ${NEOCOG_API_KEY:+--header "Authorization: Bearer $NEOCOG_API_KEY"} \
    --form "file=@\"$file\"" \
    "${NEOCOG_URL:-http://127.0.0.1:8000}/predict"
  echo
done

# Several files in one request have a list of answers; one that can't be read fails alone:
#     curl --form file=@a.jpg --form file=@b.jpg http://127.0.0.1:8000/predict
# A mask as a PNG file, from a network that predicts one:
#     curl --header "Accept: image/png" --form file=@slide.png --output mask.png http://127.0.0.1:8000/predict
# The Open Inference Protocol: what is served, and what it takes and gives:
#     curl http://127.0.0.1:8000/v2/models/NAME
