# Builds with: docker build -t blackbox-exporter .
# Releases pass both images by digest, and the binaries that they offer anyway as the context `build`, in place of the stage.
ARG BUILD_IMAGE=rust:1.95-bookworm
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12
FROM ${BUILD_IMAGE} AS build
ARG TARGETARCH
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    packaging/optimise \
    && host=$(rustc -vV | sed -n 's/^host: //p') \
    && install -D "target/$host/dist/blackbox_exporter" "/out/$TARGETARCH/blackbox_exporter" \
    && python3 .ci/sbom.py "$host" > "/out/$TARGETARCH/blackbox_exporter.cdx.json"

# glibc, libgcc, CA certificates, time zones and /etc/passwd; no shell, no package manager.
FROM ${RUNTIME_IMAGE}
ARG TARGETARCH
LABEL org.opencontainers.image.title="blackbox_exporter" \
      org.opencontainers.image.description="Probes endpoints over HTTP, TCP, ICMP, DNS, gRPC, Unix sockets and WebSocket" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/${TARGETARCH}/blackbox_exporter /bin/blackbox_exporter
# What the program is made of, where scanners of images find it.
COPY --from=build /out/${TARGETARCH}/blackbox_exporter.cdx.json /usr/share/sbom/blackbox_exporter.cdx.json
COPY blackbox.yml /etc/blackbox_exporter/config.yml
COPY LICENSE /licenses/LICENSE
USER 65534:65534
EXPOSE 9115
ENTRYPOINT ["/bin/blackbox_exporter"]
CMD ["--config.file=/etc/blackbox_exporter/config.yml"]
