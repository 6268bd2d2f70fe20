# syntax=docker/dockerfile:1
# The programs, each a static binary on nothing: CA certificates and no shell.
#   docker build --target worker --tag callbus/worker .
# Targets: worker, publisher, graphsim. Reproducible for a given Go image, VERSION
# and platform: no paths, no build times, no VCS stamp in the binary.
FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
ARG TARGETOS TARGETARCH VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY cmd cmd
COPY internal internal
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /out/ ./cmd/...

FROM scratch AS base
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# A number, so that Kubernetes can tell that it is not root.
USER 65532:65532

FROM base AS publisher
COPY --from=build /out/publisher /publisher
ENTRYPOINT ["/publisher"]

FROM base AS graphsim
COPY --from=build /out/graphsim /graphsim
ENTRYPOINT ["/graphsim"]

FROM base AS worker
COPY --from=build /out/worker /worker
EXPOSE 8080 9464
ENTRYPOINT ["/worker"]
