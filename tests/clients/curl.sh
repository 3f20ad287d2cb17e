#!/usr/bin/env bash
# The calls of Ollama's API page, typed as they stand there: no content type, no stream.
set -euo pipefail
base="$OLLAMA_HOST"

call() { curl -sS --noproxy '*' "$@"; }
has() { # TEXT WHAT...
    local text="$1"
    shift
    for what in "$@"; do
        [[ "$text" == *"$what"* ]] || { echo "no $what in: $text" >&2; exit 1; }
    done
}

has "$(call "$base/")" 'Ollama is running'
has "$(call "$base/api/version")" '"version":"'
has "$(call "$base/api/generate" -d '{"model": "parrot", "prompt": "<|hello|>"}')" \
    '"done":false' '"done":true' '"done_reason":"stop"' '"eval_count":4'
has "$(call "$base/api/generate" -d '{"model": "parrot", "prompt": "<|hello|>", "stream": false}')" \
    '"response":"Hello there!"' '"context":['
has "$(call "$base/api/generate" -d '{"model": "parrot", "prompt": "<|hello|>", "raw": true, "stream": false}')" \
    '"response":"Hello there!"'
has "$(call "$base/api/generate" -d '{"model": "filler", "prompt": "a", "suffix": "b", "stream": false}')" 'return x'
has "$(call "$base/api/generate" -d '{"model": "parrot"}')" '"done_reason":"load"'
has "$(call "$base/api/chat" -d '{"model": "parrot", "messages": [{"role": "user", "content": "<|hello|>"}], "stream": false}')" \
    '"role":"assistant"' '"content":"Hello there!"'
has "$(call "$base/api/chat" -d '{"model": "parrot", "messages": []}')" '"done_reason":"load"'
has "$(call "$base/api/chat" -d '{"model": "parrot", "messages": [], "keep_alive": 0}')" '"done_reason":"unload"'
has "$(call "$base/api/tags")" '"name":"parrot:latest"' '"parameter_size":'
has "$(call "$base/api/show" -d '{"model": "parrot"}')" '"modelfile":' '"general.architecture":"llama"'
has "$(call "$base/api/create" -d '{"model": "mario", "from": "parrot", "system": "You are Mario."}')" '"status":"success"'
[ "$(call -o /dev/null -w '%{http_code}' "$base/api/copy" -d '{"source": "mario", "destination": "luigi"}')" = 200 ]
[ "$(call -o /dev/null -w '%{http_code}' -X DELETE "$base/api/delete" -d '{"model": "luigi"}')" = 200 ]
[ "$(call -o /dev/null -w '%{http_code}' -I "$base/api/blobs/sha256:$(printf '0%.0s' {1..64})")" = 404 ]
has "$(call "$base/api/embed" -d '{"model": "vectors", "input": "Why is the sky blue?"}')" '"embeddings":[[' '"prompt_eval_count":8'
has "$(call "$base/api/embeddings" -d '{"model": "vectors", "prompt": "the sky"}')" '"embedding":['
has "$(call "$base/api/ps")" '"models":['
has "$(call "$base/v1/chat/completions" -H 'Content-Type: application/json' \
    -d '{"model": "parrot", "messages": [{"role": "user", "content": "<|hello|>"}]}')" '"finish_reason":"stop"'
echo ok
