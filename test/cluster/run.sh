#!/usr/bin/env bash
# npm run test:cluster [-- -t NAME]: the charts on a real cluster, with kasm-db's image and PostgreSQL for real, and stand-ins for Kasm's images.
#   KUBECONFIG       the cluster. It needs a default StorageClass; namespaces kasm-test-*, vdi, elsewhere and kasm-helm are made and deleted.
#   KASM_TEST_LOAD   puts an image of the local docker into it (see images.sh); unset: the images are there already
# Without KUBECONFIG a one-node cluster is started from KASM_TEST_CLUSTER (default ../shared/cluster).
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -z "${KUBECONFIG:-}" ]; then
  cluster="${KASM_TEST_CLUSTER:-../shared/cluster}"
  [ -x "$cluster/up.sh" ] || { echo "set KUBECONFIG to a cluster; $cluster is not there" >&2; exit 2; }
  export CLUSTER_DIR="${CLUSTER_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/kasm-db-cluster}"
  trap '"$cluster/down.sh"' EXIT
  "$cluster/up.sh"; "$cluster/build.sh" helm3 helm4
  # shellcheck disable=SC1091
  . "$cluster/env.sh"
  export KUBECONFIG="$ADMIN_KUBECONFIG" KASM_TEST_LOAD="$cluster/load-image.sh" BASE=kc/base:1
  docker image inspect "$BASE" > /dev/null 2>&1 || "$cluster/load-image.sh" --base "$BASE"
fi
if [ -n "${KASM_TEST_LOAD:-}" ] && [ -z "${KASM_TEST_KEEP_IMAGES:-}" ]; then test/cluster/images.sh; fi
npx vitest run --project cluster "$@"
