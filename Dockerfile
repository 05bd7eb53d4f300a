# Ringway in a container: one static binary, the authorities that it trusts, and nothing else, run by a user without rights.
# docs/installing.md says how it is run, and what io_uring needs.
FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
# musl is not for it: its ring for files (tokio-uring) is written for glibc, which links statically as well.
RUN target=$(rustc -vV | sed -n 's/^host: //p') \
    && RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --target "$target" \
    && ./packaging/rootfs /image "target/$target/release/ringway"

FROM scratch
COPY --from=build /image/etc /etc
COPY --from=build /image/usr /usr
# What the process writes to is its own.
COPY --from=build --chown=65532:65532 /image/run /run
COPY --from=build --chown=65532:65532 /image/tmp /tmp
COPY --from=build --chown=65532:65532 /image/var /var
USER 65532:65532
VOLUME ["/var/lib/ringway"]
EXPOSE 8080 8443
# By the admin socket of the configuration: put it into a file of your own, too.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/usr/bin/ringway", "status"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/ringway"]
CMD ["run"]
