package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"
)

// dryRun has the server take the manifests without keeping them, and returns how
// many there are. A warning is an error too.
func (c *cluster) dryRun(ctx context.Context, manifests string) (int, error) {
	out, err := c.kubectl(ctx, manifests, "create", "--dry-run=server", "--validate=strict", "-n", namespace, "-f", "-")
	if err != nil || strings.Contains(out, "Warning:") {
		return 0, fmt.Errorf("%w: %s", errors.Join(errRefused, err), out)
	}
	return strings.Count(out, "(server dry run)"), nil
}

var errRefused = errors.New("refused or warned of")

// refuses sees that what must not pass does not: without that the rest would
// show nothing.
func (c *cluster) refuses(ctx context.Context) error {
	for manifest, want := range map[string]string{
		`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"a","image":"a"}]}}`:          "violates PodSecurity",
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"dat":{}}`:                                            "unknown field",
		`{"apiVersion":"keda.sh/v1alpha1","kind":"ScaledObject","metadata":{"name":"a"},"spec":{"scaleTargetRef":{}}}`:       "triggers",
		`{"apiVersion":"cilium.io/v2","kind":"CiliumNetworkPolicy","metadata":{"name":"a"},"spec":{"toFqdns":[]}}`:           "unknown field",
		`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"},"spec":{"selector":{},"template":{"spec":{}}}}`: "is invalid",
	} {
		if _, err := c.dryRun(ctx, manifest); err == nil || !strings.Contains(err.Error(), want) {
			return fmt.Errorf("%s: %w; want %q", manifest, orTaken(err), want)
		}
	}
	return nil
}

func orTaken(err error) error {
	if err == nil {
		return errors.New("taken")
	}
	return err
}

// podsOf are the pods that the controllers among the manifests would make: Pod
// Security refuses pods, and only warns of what makes them.
func podsOf(manifests string) (string, error) {
	var pods []string
	for _, text := range strings.Split(manifests, "\n---") {
		var o struct {
			Kind     string
			Metadata struct{ Name string }
			Spec     struct {
				Template struct{ Metadata, Spec map[string]any }
			}
		}
		if err := yaml.Unmarshal([]byte(text), &o); err != nil {
			return "", err
		}
		switch o.Kind {
		case "Deployment", "StatefulSet", "Job":
		default:
			continue
		}
		o.Spec.Template.Metadata["name"] = o.Metadata.Name
		pod, err := yaml.Marshal(map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": o.Spec.Template.Metadata, "spec": o.Spec.Template.Spec})
		if err != nil {
			return "", err
		}
		pods = append(pods, string(pod))
	}
	if len(pods) == 0 {
		return "", errors.New("no pods")
	}
	return strings.Join(pods, "---\n"), nil
}
