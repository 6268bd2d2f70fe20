# Needs Go and make, nothing else. "make" alone lists what there is.

SHELL      := /bin/sh
GO_FLOOR   := $(shell awk '$$1 == "go" { print $$2; exit }' go.mod)
VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# The race detector needs a C compiler; without one the tests run without it.
RACE       ?= $(shell [ "$$(go env CGO_ENABLED 2>/dev/null)" = 1 ] && echo -race)
TESTFLAGS  ?=
BENCHTIME  ?= 200ms
FUZZTIME   ?= 10s
FILE       ?=
ARGS       ?=
DURATION   ?= 5m
NODES      ?= 1
CHARTTEST  := deploy/helm/charttest
KUBETEST   := deploy/helm/kubetest
KUBE       := $(shell grep -o 'kubernetes v[0-9.]*' deploy/helm/kubetest/go.mod | cut -d' ' -f2)
OLD        ?=
IMAGE      ?= callbus
PLATFORM   ?= linux/amd64
# Prometheus and its promtool, built once from the module proxy, without what
# talks to clouds: that is most of their dependencies.
PROMETHEUS := bin/prometheus
PROMTOOL   := bin/promtool
RULES      := deploy/helm/callbus/rules
RULETESTS  := $(CHARTTEST)/testdata/rules
STATICCHECK = go tool -modfile=$(CURDIR)/tools/go.mod staticcheck

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: check-go
check-go:
	@command -v go >/dev/null 2>&1 || { echo "make: Go $(GO_FLOOR) or newer is needed, and there is no go on the PATH" >&2; exit 1; }
	@have=$$(go env GOVERSION 2>/dev/null | sed 's/^go//; s/[^0-9.].*//'); \
	  printf '%s\n%s\n' "$(GO_FLOOR)" "$${have:-0}" | sort -V -C || \
	  { echo "make: Go $(GO_FLOOR) or newer is needed, this is $$(GOTOOLCHAIN=local go version 2>/dev/null || echo an older one)" >&2; exit 1; }

.PHONY: build
build: check-go ## Build the programs into bin/
	go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ ./cmd/...

.PHONY: demo
demo: check-go ## Run commands on an embedded stack: a built-in sample, or FILE=x.ndjson
	@go run ./cmd/worker demo $(ARGS) $(FILE)

.PHONY: dev
dev: check-go ## Run embedded NATS, the simulated Graph and a worker on loopback
	@go run ./cmd/worker dev $(ARGS)

.PHONY: test
test: check-go ## Run all tests, the chart's too
	@[ -n "$(RACE)" ] || echo "make: no C compiler, the tests run without the race detector"
	go test $(RACE) $(TESTFLAGS) ./...
	cd $(CHARTTEST) && go test -count=1 $(TESTFLAGS) ./... # it runs the worker, which the test cache does not see
	@$(MAKE) --no-print-directory chaos-short

.PHONY: chaos
chaos: check-go ## Hold the promises to every fault for DURATION (5m), on NODES=1 or 3 NATS servers
	go run ./test/chaos run --duration $(DURATION) --nodes $(NODES) $(ARGS)

.PHONY: chaos-short
chaos-short: check-go ## The same for less than three minutes, on one server and on three
	go run ./test/chaos run --quiet --duration 30s --rate 50
	go run ./test/chaos run --quiet --duration 20s --rate 40 --nodes 3

.PHONY: chaos-mutants
chaos-mutants: check-go ## Break each promise on purpose: the checker must see it
	go run ./test/chaos mutants $(ARGS)

.PHONY: chaos-crashes
chaos-crashes: check-go ## Kill a worker between every two steps, for each action
	go run ./test/chaos crashes $(ARGS)

.PHONY: chaos-backlog
chaos-backlog: check-go ## Time a hang-up past 10,000 queued places and 100,000 waiting commands
	go run ./test/chaos backlog $(ARGS)

.PHONY: chaos-stop
chaos-stop: check-go ## SIGTERM with 128 requests in flight
	go run ./test/chaos stop $(ARGS)

.PHONY: chaos-calls
chaos-calls: check-go ## 1,000 calls, notifications lost, doubled, swapped, late: both sides compared
	go run ./test/chaos notifications $(ARGS)

.PHONY: chaos-keepalive
chaos-keepalive: check-go ## 500 calls for 3 hours, 60 times shorter, workers restarted and scaled
	go run ./test/chaos keepalive $(ARGS)

.PHONY: bench-pacing
bench-pacing: check-go ## Hold pacing to its figures, DURATION=2m a scenario; ARGS="--only quota/3" for some
	go run ./test/chaos pacing --duration $(if $(filter command line environment,$(origin DURATION)),$(DURATION),2m) $(ARGS)
	$(if $(ARGS),,@$(MAKE) --no-print-directory bench-budget)

.PHONY: bench-budget
bench-budget: check-go ## Real workers against the limits of live and of monthly calls
	go run ./test/chaos budget
	go run ./test/chaos month

.PHONY: chaos-rolling
chaos-rolling: check-go ## A rolling update under load, from OLD=<git ref> or from this source
	go run ./test/chaos rolling --old='$(OLD)' $(ARGS)

.PHONY: kube
kube: check-go ## Have a real kube-apiserver take the chart (a large build; needs kubectl)
	@command -v kubectl >/dev/null 2>&1 || { echo "make: there is no kubectl on the PATH" >&2; exit 1; }
	cd $(KUBETEST) && CGO_ENABLED=0 go build -o $(CURDIR)/bin/kube/kube-apiserver -ldflags '-s -w -X k8s.io/component-base/version.gitVersion=$(KUBE) -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$(word 2,$(subst ., ,$(KUBE)))' k8s.io/kubernetes/cmd/kube-apiserver
	cd $(KUBETEST) && CGO_ENABLED=0 go build -o $(CURDIR)/bin/kube/etcd -ldflags '-s -w' go.etcd.io/etcd/server/v3
	cd $(CHARTTEST) && MANIFESTS_DIR=$(CURDIR)/bin/kube go test -count=1 -run '^TestWriteManifests$$' .
	cd $(KUBETEST) && go run . $(CURDIR)/bin/kube $(CURDIR)/bin/kube/*.yaml

.PHONY: image
image: check-go ## Build the images with docker, podman or buildah; IMAGE=<prefix>, PLATFORM=<list>
	@builder=$$(for b in docker podman buildah; do command -v $$b && break; done) || { echo "make: no docker, podman or buildah on the PATH to build images with" >&2; exit 1; }; \
	  for target in worker publisher graphsim; do \
	    $$builder build --platform '$(PLATFORM)' --target $$target --build-arg VERSION='$(VERSION)' --tag '$(IMAGE)'/$$target:'$(VERSION)' . || exit 1; \
	  done

.PHONY: image-size
image-size: check-go ## Measure what the worker's image holds, without a builder
	@mkdir -p bin/image
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o bin/image/worker ./cmd/worker
	@certs=/etc/ssl/certs/ca-certificates.crt; [ -r $$certs ] || certs=/dev/null; \
	  tar -C bin/image -cf bin/image/layer.tar worker -C $$(dirname $$certs) $$(basename $$certs) && gzip -9 -kf bin/image/layer.tar && \
	  echo "unpacked $$(du -b bin/image/layer.tar | cut -f1) bytes, as pulled $$(du -b bin/image/layer.tar.gz | cut -f1) bytes"

.PHONY: lint
lint: check-go ## Check format, vet, staticcheck, module files and the chart
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt -w is needed for:"; echo "$$unformatted"; exit 1; }
	go mod tidy -diff
	go vet ./...
	$(STATICCHECK) ./...
	cd $(CHARTTEST) && go mod tidy -diff && go vet ./... && $(STATICCHECK) ./...
	cd $(CHARTTEST) && go test -run '^TestLint' .
	cd $(KUBETEST) && go vet .
	@$(MAKE) --no-print-directory lint-prometheus

.PHONY: lint-prometheus
lint-prometheus: check-go $(PROMTOOL) ## Check alert rules, their tests and the metrics of a live worker with promtool
	$(PROMTOOL) check rules --lint=all --lint-fatal $(RULES)/*.yaml
	$(PROMTOOL) test rules $(RULETESTS)/*.yaml
	go build -o bin/worker-lint ./cmd/worker
	go run ./test/scrape bin/worker-lint >bin/metrics.txt
	$(PROMTOOL) check metrics --extended <bin/metrics.txt >bin/metrics.lint || { cat bin/metrics.lint; exit 1; }
	@head -n 8 bin/metrics.lint

.PHONY: incident
incident: check-go $(PROMETHEUS) ## Stage five incidents with a real Prometheus: which alerts fire, after how long
	go run ./test/incident --prometheus=$(PROMETHEUS) $(ARGS) $(RULES)/alerts.yaml $(RULES)/slo.yaml

$(PROMTOOL) $(PROMETHEUS): tools/prometheus/go.mod tools/prometheus/go.sum
	go build -C tools/prometheus -trimpath -tags remove_all_sd -o $(CURDIR)/$@ github.com/prometheus/prometheus/cmd/$(@F)
	@touch $@

.PHONY: bench
bench: check-go ## Run every benchmark for BENCHTIME (200ms)
	go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) $(TESTFLAGS) ./...

.PHONY: fuzz
fuzz: check-go ## Run every fuzz test for FUZZTIME (10s)
	@found=$$(grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' cmd internal | sed 's/func //' | sort); \
	  [ -n "$$found" ] || { echo "make: no fuzz tests" >&2; exit 1; }; \
	  for target in $$found; do \
	    name=$${target##*:}; package=$$(dirname "$${target%%:*}"); \
	    echo "$$package $$name"; \
	    go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x "./$$package" || exit 1; \
	  done

.PHONY: sdk
sdk: check-go ## Hold the simulated Graph to Microsoft's own SDK (a large download)
	cd test/msgraphsdk && go test $(TESTFLAGS) ./...

.PHONY: cover
cover: check-go ## Measure coverage; writes bin/cover.html
	@mkdir -p bin
	go test -coverpkg=./internal/...,./cmd/... -coverprofile=bin/cover.out $(TESTFLAGS) ./...
	go tool cover -html=bin/cover.out -o bin/cover.html
	@go tool cover -func=bin/cover.out | tail -n 1

.PHONY: clean
clean: ## Remove what the other targets made
	rm -rf bin
