#!/bin/sh
# What callers of the shop rely on. A gate runs it against the candidate: 0 if it
# holds, 1 if not; what the test itself lacks is neither.
command -v curl >/dev/null || exit 127
url=${CUTOVER_CANDIDATE_URL:?no candidate is named: a gate of cutover starts this}

# Answers may be late or missing: that is for the limits to judge.
cart=$(curl -sS --max-time 3 --retry 2 --retry-all-errors "$url/cart") || exit 126
case $cart in
  *'"total":7'*) echo "a cart of tea and biscuits costs 7" ;;
  *) echo "a cart of tea and biscuits costs 7, and here: $cart"; exit 1 ;;
esac
