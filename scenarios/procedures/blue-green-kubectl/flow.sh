# The release: of which lib.sh, or whoever was read after it, says how each part is done.

live=$(unverified)
if [ -n "$live" ]; then
  next=$(other "$live") # switched, and interrupted before it was verified
else
  live=$(live_colour)
  next=$(other "$live")
  deploy "$next" "$CUTOVER_CANDIDATE_IMAGE" "$CANDIDATE_ENV"
  if ! await_ready "$next" || ! smoke_test "$next"; then
    retire "$next"
    die "$next is not fit to go live"
  fi
  switch_to "$next" "$live"
fi
if ! verify; then
  switch_back "$live"
  retire "$next"
  die "$next was not what it should be, and $live is live again"
fi
settle
retire "$live"
echo "deployment complete: $next is live"
