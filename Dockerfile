# kasm-db in a container: the Node bundle on a minimal Node base. Both images can be replaced, for registries of one's own:
#   docker build --build-arg BUILD_BASE=registry.example/node:24 --build-arg RUN_BASE=registry.example/nodejs24 .
ARG BUILD_BASE=node:24-bookworm-slim
ARG RUN_BASE=gcr.io/distroless/nodejs24-debian12

FROM ${BUILD_BASE} AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=optional --ignore-scripts
COPY scripts scripts
COPY src src
COPY migrations migrations
COPY seeds seeds
COPY tsconfig.json tsconfig.types.json ./
RUN npm run build

FROM ${RUN_BASE}
COPY --from=build /src/dist/*.cjs /src/dist/libpg-query.wasm /app/
LABEL org.opencontainers.image.title="kasm-db" \
      org.opencontainers.image.description="The database migrator for Kasm Workspaces on Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 65532:65532
ENTRYPOINT ["/nodejs/bin/node", "/app/main.cjs"]
