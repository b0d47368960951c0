# syntax=docker/dockerfile:1

# OpenSSL, libpq and SQLite are compiled in: the image has cc, make and perl, and nothing else is needed.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin rollcall \
    && install -D target/release/rollcall /out/rollcall \
    && strip --strip-debug /out/rollcall

FROM debian:bookworm-slim
# The roots are for a PostgreSQL reached with sslrootcert=system; the OpenSSL inside the binary is told where they are.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 rollcall \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/rollcall --create-home --shell /usr/sbin/nologin rollcall
COPY --from=build /out/rollcall /usr/local/bin/rollcall

USER 10001:10001
WORKDIR /var/lib/rollcall
ENV ROLLCALL_LISTEN=0.0.0.0:8080 \
    ROLLCALL_DATABASE=sqlite:/var/lib/rollcall/rollcall.sqlite \
    SSL_CERT_DIR=/etc/ssl/certs
VOLUME /var/lib/rollcall
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["rollcall", "healthcheck"]
ENTRYPOINT ["rollcall"]
CMD ["serve"]
