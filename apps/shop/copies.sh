#!/bin/sh
# What a pod of the shop counts of the requests that it has answered. A gate runs it while
# the candidate gets nothing but copies: 0 if few enough failed, 1 if too many did, and no
# word before there were enough to say.
command -v curl >/dev/null || exit 127
url=${CUTOVER_CANDIDATE_URL:?no candidate is named: a gate of cutover starts this}

for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  metrics=$(curl -sS --max-time 3 --retry 2 --retry-all-errors "$url/metrics") || exit 126
  set -- $(printf '%s\n' "$metrics" | awk '/^shop_requests_total/ { n += $2; if ($1 ~ /code="5/) bad += $2 } END { print n + 0, bad + 0 }')
  if [ "$1" -ge 100 ]; then
    echo "$2 of the $1 requests that a pod has answered failed"
    [ $(($2 * 100)) -le "$1" ] # 1 %
    exit
  fi
  sleep 1
done
echo "a pod has answered $1 requests, too few to say"
exit 126
