#!/bin/sh
# Host rules are seen only through the variant of iptables that the machine's engine uses: where the engine's chain is in
# the older tables alone, rules set through the newer ones would never be asked.
set -eu
if ! iptables-nft --numeric --list DOCKER-USER >/dev/null 2>&1 && iptables-legacy --numeric --list DOCKER-USER >/dev/null 2>&1; then
  update-alternatives --quiet --set iptables /usr/sbin/iptables-legacy
  update-alternatives --quiet --set ip6tables /usr/sbin/ip6tables-legacy
fi
exec "$@"
