# The release: of which lib.sh, or whoever was read after it, says how each part is done.

guard
deploy canary "$CUTOVER_CANDIDATE_IMAGE" "$CANDIDATE_ENV" 1
await_ready canary
await_watched
for weight in $weights; do
  scale_for "$weight"
  shift_to "$weight"
  if ! observe; then
    roll_back
    die "rolled back at $weight %"
  fi
done
finish
echo "canary complete"
