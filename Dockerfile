# kasm-db's image: the standalone executable on a minimal base with glibc, and nothing else.
#
#   docker build -t kasm-db .
#   docker buildx build --platform linux/amd64,linux/arm64 -t registry.example/kasm-db .
#
# Build arguments, for registries of one's own and machines without the internet:
#   BUILD_BASE     Node 24 with npm and glibc
#   RUNTIME_BASE   glibc; pin it by digest (NAME@sha256:…) for a build that can be repeated
#   PREBUILT=1     take dist-exe/ as `npm run build:exe` left it: then BUILD_BASE needs only a shell
ARG BUILD_BASE=node:24-bookworm-slim
ARG RUNTIME_BASE=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILD_BASE} AS build
ARG TARGETARCH
ARG PREBUILT
WORKDIR /src
COPY . .
RUN set -eu; \
    case "${TARGETARCH:-$(uname -m)}" in amd64|x86_64) cpu=x64 ;; arm64|aarch64) cpu=arm64 ;; *) echo "no executable for this processor" >&2; exit 1 ;; esac; \
    if [ -z "${PREBUILT}" ]; then npm ci --omit=optional --ignore-scripts && node scripts/build-exe.mjs "$cpu"; fi; \
    mkdir /out; cp "dist-exe/kasm-db-linux-$cpu" /out/kasm-db; cp dist-exe/THIRD-PARTY-NOTICES.txt LICENSE /out/; chmod 755 /out/kasm-db

FROM ${RUNTIME_BASE}
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="kasm-db" \
      org.opencontainers.image.description="The database migrator for Kasm Workspaces on Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/ /
# Numeric, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 65532:65532
# Nothing is written: the root file system may be read-only.
WORKDIR /
ENTRYPOINT ["/kasm-db"]
