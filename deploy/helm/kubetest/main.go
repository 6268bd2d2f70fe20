package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

const namespace = "calling"

// crds are files of modules that define the kinds the chart uses beside
// Kubernetes' own.
var crds = []struct{ module, file string }{
	{"github.com/kedacore/keda/v2@v2.21.0", "config/crd/bases/keda.sh_scaledobjects.yaml"},
	{"github.com/prometheus-operator/prometheus-operator@v0.94.0", "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"},
	{"github.com/prometheus-operator/prometheus-operator@v0.94.0", "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"},
	{"sigs.k8s.io/gateway-api@v1.5.1", "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"},
	{"github.com/cilium/cilium@v1.20.2", "pkg/k8s/apis/cilium.io/client/crds/v2/ciliumnetworkpolicies.yaml"},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "kubetest: %v\n", err)
		os.Exit(1)
	}
}

// run checks files of manifests. Programs are in bin.
func run(ctx context.Context, args []string) (err error) {
	if len(args) < 2 {
		return errors.New("usage: kubetest BIN MANIFESTS.yaml…")
	}
	dir, err := os.MkdirTemp("", "callbus-kube-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c, err := startCluster(ctx, args[0], dir)
	if err != nil {
		return err
	}
	defer c.stop()
	if err := c.prepare(ctx); err != nil {
		return err
	}
	if err := c.refuses(ctx); err != nil {
		return err
	}
	for _, file := range args[1:] {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		n, err := c.dryRun(ctx, string(text))
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
		pods, err := podsOf(string(text))
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
		if _, err := c.dryRun(ctx, pods); err != nil {
			return fmt.Errorf("%s: its pods: %w", filepath.Base(file), err)
		}
		fmt.Printf("%s: %d objects and their pods are taken\n", filepath.Base(file), n)
	}
	return nil
}
