# Ringway in a container: a slim Debian with nothing but the binary, run by a user without rights.
# docs/installing.md says how it is run, and what io_uring needs.
ARG DEBIAN=bookworm

FROM rust:1-${DEBIAN} AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked && cp target/release/ringway /ringway

FROM debian:${DEBIAN}-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 65532 ringway \
    && useradd --system --uid 65532 --gid ringway --home-dir /var/lib/ringway --shell /usr/sbin/nologin ringway \
    && install -d -o ringway -g ringway /var/lib/ringway /var/cache/ringway /run/ringway \
    && install -d /etc/ringway
COPY --from=build /ringway /usr/bin/ringway
COPY packaging/container.toml /etc/ringway/ringway.toml
USER ringway
VOLUME ["/var/lib/ringway"]
EXPOSE 8080 8443
# By the admin socket of the configuration: put it into a file of your own, too.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/usr/bin/ringway", "status"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/ringway"]
CMD ["run"]
