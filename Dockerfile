# A node of Groundswell. nats-server is in it too, so that `demo` and a node without NATS_URL work.
#   docker build -t groundswell .
#   docker run --rm -p 127.0.0.1:7380:7380 -e NATS_URL=nats://… groundswell start --region sf
ARG NODE_IMAGE=node:20-bookworm-slim
ARG NATS_IMAGE=nats:2.15.1-alpine

FROM ${NATS_IMAGE} AS nats

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
# Scripts of packages are not run: what is native in them comes ready-made for each platform.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json rolldown.config.ts ./
COPY src ./src
COPY actors ./actors
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM ${NODE_IMAGE}
WORKDIR /opt/groundswell
COPY --from=nats /usr/local/bin/nats-server /usr/local/bin/nats-server
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
# The page is served as it is written.
COPY --from=build /build/src/serve/page ./src/serve/page
COPY package.json LICENSE ./
COPY config ./config
RUN install -d -o 1000 -g 1000 -m 0700 /var/lib/groundswell
# As a number: Kubernetes can only tell from a number that it is not root.
USER 1000:1000
# A container’s own loopback address reaches nobody; what the world sees is what is published of it.
ENV NODE_ENV=production \
    GROUNDSWELL_DATA=/var/lib/groundswell \
    GROUNDSWELL_HTTP_HOST=0.0.0.0 \
    GROUNDSWELL_HTTP_PORT=7380
VOLUME /var/lib/groundswell
EXPOSE 7380
STOPSIGNAL SIGTERM
# HTTP answers once the node has recovered; that may take minutes after a crash.
HEALTHCHECK --interval=10s --timeout=5s --retries=6 --start-period=300s --start-interval=2s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.GROUNDSWELL_HTTP_PORT}/healthz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Node is the first process, so SIGTERM reaches it.
ENTRYPOINT ["node", "--min-semi-space-size=16", "--max-semi-space-size=64", "dist/cli/main.js"]
CMD ["start"]
