# The release: of which lib.sh, or whoever was read after it, says how each part is done.

deploy v2 "$CUTOVER_CANDIDATE_IMAGE" "$CANDIDATE_ENV"
await_ready "$app-v2"
for weight in 25 50 100; do
  shift_to "$weight"
  if ! verify; then
    shift_to 0
    retire v2
    die "v2 was not what it should be at $weight %, and v1 serves alone again"
  fi
done
sleep "$drain" # the answers that v1 still owes
retire v1
echo "release complete: v2 serves alone"
