package graph_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"callbus/internal/graph"
	"callbus/internal/graphsim"
)

const appID = graphsim.DefaultAppID

// rig is the simulated Graph with its authority, somewhere for notifications to
// go, and a client that gets its tokens as environment variables say.
type rig struct {
	*graph.Client
	sim      *graphsim.Server
	callback string
}

func startRig(t *testing.T, sim graphsim.Options, family graph.Family, env map[string]string) *rig {
	t.Helper()
	callback := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(callback.Close)
	server, err := graphsim.Start(t.Context(), sim, "", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: server.CACertPool(), MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	credentials := graph.CredentialOptions{
		Kind: graph.EnvironmentCredential, AuthorityHost: server.AuthorityURL(), DisableInstanceDiscovery: true,
		Transport: transport,
		Getenv: func(name string) string {
			switch name {
			case "AZURE_TENANT_ID":
				return graphsim.DefaultTenantID
			case "AZURE_CLIENT_ID":
				return appID
			default:
				return env[name]
			}
		},
	}
	client, err := graph.New(graph.Options{
		BaseURL: server.GraphURL(), Route: family,
		NewCredential: graph.CredentialFactory(credentials), DefaultTenant: graphsim.DefaultTenantID,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &rig{Client: client, sim: server, callback: callback.URL + "/v1/notifications/crm/order-1/cmd-1/1"}
}

func (r *rig) place(t *testing.T) string {
	t.Helper()
	resp, err := r.Do(t.Context(), graph.Request{Operation: graph.CreateCall, Body: []byte(`{
		"@odata.type": "#microsoft.graph.call", "callbackUri": "` + r.callback + `",
		"targets": [{"@odata.type": "#microsoft.graph.invitationParticipantInfo", "identity": {
			"@odata.type": "#microsoft.graph.identitySet",
			"user": {"@odata.type": "#microsoft.graph.identity", "id": "112f7296-5fa4-42ca-bae8-6a692b15d4b8"}}}],
		"requestedModalities": ["audio"], "tenantId": "` + graphsim.DefaultTenantID + `",
		"mediaConfig": {"@odata.type": "#microsoft.graph.serviceHostedMediaConfig"}}`)})
	if err != nil {
		t.Fatal(err)
	}
	call, err := resp.Call()
	if err != nil || call.ID == "" || call.State != "establishing" || graph.IDFromLocation(resp.Location) != call.ID || resp.Status != 201 {
		t.Fatalf("create = %+v, call %+v, %v; want 201 and an establishing call", resp, call, err)
	}
	return call.ID
}

// eventually polls until ok, for ten seconds at most.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s did not happen within 10s", what)
		}
	}
}

// control sends a request to the simulator's control API.
func (r *rig) control(t *testing.T, method, path, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.sim.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	if resp.StatusCode/100 != 2 {
		t.Fatalf("%s %s = %d %s", method, path, resp.StatusCode, answer)
	}
}

func wantReason(t *testing.T, err error, want graph.Reason, code string) {
	t.Helper()
	e, ok := errors.AsType[*graph.Error](err)
	if !ok || e.Reason != want || e.Code != code {
		t.Errorf("error = %v; want %s, code %q", err, want, code)
	}
}

func certificate(t *testing.T) (path string, cert *x509.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "callbus"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "app.pem")
	data := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, cert
}

func TestCallsOnTheSimulatedGraph(t *testing.T) {
	path, cert := certificate(t)
	for _, row := range []struct {
		name   string
		family graph.Family
		sim    graphsim.Options
		env    map[string]string
	}{
		{"with a client secret", graph.Communications, graphsim.Options{AppID: appID, ClientSecret: "s3cret"},
			map[string]string{"AZURE_CLIENT_SECRET": "s3cret"}},
		{"with a client certificate, under the alias", graph.App, graphsim.Options{AppID: appID, ClientCertificate: cert},
			map[string]string{"AZURE_CLIENT_CERTIFICATE_PATH": path}},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.sim.AnswerAfter, row.sim.StepDuration = 20*time.Millisecond, 5*time.Millisecond
			r := startRig(t, row.sim, row.family, row.env)
			id := r.place(t)
			do := func(op graph.Operation, body string) (*graph.Response, error) {
				return r.Do(t.Context(), graph.Request{Operation: op, CallID: id, Body: []byte(body)})
			}
			eventually(t, "established with audio", func() bool {
				resp, err := do(graph.GetCall, "")
				if err != nil {
					t.Fatal(err)
				}
				call, err := resp.Call()
				if err != nil || call.ID != id || call.Group {
					t.Fatalf("call = %+v, %v", call, err)
				}
				return call.State == "established" && call.AudioActive != nil && *call.AudioActive
			})
			resp, err := do(graph.PlayPrompt, `{"clientContext": "cmd-2", "prompts": [{"@odata.type": "#microsoft.graph.mediaPrompt",
				"mediaInfo": {"@odata.type": "#microsoft.graph.mediaInfo", "uri": "https://cdn.contoso.com/beep.wav"}}]}`)
			if err != nil {
				t.Fatal(err)
			}
			if op, err := resp.CommsOperation(); err != nil || op.ID == "" || op.Status != "running" || op.ClientContext != "cmd-2" {
				t.Errorf("operation = %+v, %v; want one that runs", op, err)
			}
			if resp, err := do(graph.CancelMediaProcessing, ""); err != nil {
				t.Error(err)
			} else if op, err := resp.CommsOperation(); err != nil || op.Status != "completed" {
				t.Errorf("operation = %+v, %v; want it completed", op, err)
			}
			for _, op := range []graph.Operation{graph.KeepAlive, graph.ListParticipants, graph.ListContentSharingSessions} {
				if _, err := do(op, ""); err != nil {
					t.Error(err)
				}
			}
			_, err = do(graph.Mute, "")
			wantReason(t, err, graph.Invalid, "8548")
			if _, err := do(graph.DeleteCall, ""); err != nil {
				t.Error(err)
			}
			eventually(t, "the end of the call", func() bool {
				_, err = do(graph.GetCall, "")
				return err != nil
			})
			wantReason(t, err, graph.NotFound, "8522")
		})
	}
}

func TestSimulatedAuthorityRefusesAWrongSecret(t *testing.T) {
	r := startRig(t, graphsim.Options{ClientSecret: "s3cret"}, "", map[string]string{"AZURE_CLIENT_SECRET": "wrong"})
	_, err := r.Do(t.Context(), graph.Request{Operation: graph.GetCall, CallID: "c1"})
	wantReason(t, err, graph.TokenFailed, "")
	if err == nil || !strings.Contains(err.Error(), "AADSTS7000215: Invalid client secret provided.") {
		t.Errorf("error = %v; want Entra ID's words", err)
	}
}

func TestTokensAreRefreshedAndOutlastAnOutage(t *testing.T) {
	r := startRig(t, graphsim.Options{TokenLifetime: 2 * time.Second}, "", map[string]string{"AZURE_CLIENT_SECRET": "s3cret"})
	token := func() (string, error) {
		token, err := r.Token(t.Context(), "")
		return token.Token, err
	}
	getCall := func() error {
		_, err := r.Do(t.Context(), graph.Request{Operation: graph.GetCall, CallID: "unknown"})
		return err
	}
	first, err := token()
	if err != nil {
		t.Fatal(err)
	}
	wantReason(t, getCall(), graph.NotFound, "8522")

	eventually(t, "a refresh before the token's end", func() bool {
		wantReason(t, getCall(), graph.NotFound, "8522")
		now, err := token()
		return err == nil && now != first
	})

	r.control(t, "PUT", "/_sim/faults", `{"faults": [{"operation": "token", "status": 503, "count": 1000000}]}`)
	wantReason(t, getCall(), graph.NotFound, "8522") // the token in hand is still good
	eventually(t, "the end of the token during the outage", func() bool {
		_, err := token()
		return err != nil
	})
	wantReason(t, getCall(), graph.TokenFailed, "")

	r.control(t, "DELETE", "/_sim/faults", "")
	eventually(t, "recovery", func() bool {
		_, err := token()
		return err == nil
	})
	wantReason(t, getCall(), graph.NotFound, "8522")
}
