package msgraphsdk

import (
	"crypto/tls"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoft/kiota-abstractions-go/serialization"
	azureauth "github.com/microsoft/kiota-authentication-azure-go"
	httpclient "github.com/microsoft/kiota-http-go"
	jsonserialization "github.com/microsoft/kiota-serialization-json-go"
	textserialization "github.com/microsoft/kiota-serialization-text-go"
	graphcore "github.com/microsoftgraph/msgraph-sdk-go-core"
	"github.com/microsoftgraph/msgraph-sdk-go/communications"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/models/odataerrors"

	"callbus/internal/graphsim"
)

const tenant = "aa67bd4c-8475-432d-bd41-39f255720e0a"

// setup starts a simulator and a client of it that gets its tokens from it by
// azidentity. Only the SDK's package for communications is used: the root package
// adds nothing but the other half of Graph.
func setup(t *testing.T, opts graphsim.Options) (*graphsim.Sim, *communications.CallsRequestBuilder) {
	t.Helper()
	opts.AnswerAfter, opts.StepDuration = -1, -1
	srv, err := graphsim.Start(t.Context(), opts, "", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: srv.CACertPool(), MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	credential, err := azidentity.NewClientSecretCredential(tenant, graphsim.DefaultAppID, "secret", &azidentity.ClientSecretCredentialOptions{
		ClientOptions: azcore.ClientOptions{
			Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: srv.AuthorityURL()},
			Transport: &http.Client{Transport: transport},
		},
		DisableInstanceDiscovery: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	auth, err := azureauth.NewAzureIdentityAuthenticationProviderWithScopesAndValidHosts(credential,
		[]string{"https://graph.microsoft.com/.default"}, []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	parsers := serialization.NewParseNodeFactoryRegistry()
	parsers.ContentTypeAssociatedFactories["application/json"] = jsonserialization.NewJsonParseNodeFactory()
	parsers.ContentTypeAssociatedFactories["text/plain"] = textserialization.NewTextParseNodeFactory()
	adapter, err := graphcore.NewGraphRequestAdapterBaseWithParseNodeFactoryAndSerializationWriterFactory(auth,
		graphcore.GraphClientOptions{GraphServiceLibraryVersion: "test"}, parsers, jsonserialization.NewJsonSerializationWriterFactory())
	if err != nil {
		t.Fatal(err)
	}
	adapter.SetBaseUrl(srv.GraphURL())
	root := communications.NewCommunicationsRequestBuilderInternal(map[string]string{"baseurl": srv.GraphURL()}, adapter)
	return srv.Sim, root.Calls()
}

func ptr[T any](v T) *T { return &v }

// identity is somebody's.
func identity(id string) models.Identityable {
	who := models.NewIdentity()
	who.SetId(ptr(id))
	who.SetDisplayName(ptr("Somebody"))
	return who
}

func user(id string) models.InvitationParticipantInfoable {
	set := models.NewIdentitySet()
	set.SetUser(identity(id))
	target := models.NewInvitationParticipantInfo()
	target.SetIdentity(set)
	return target
}

// call is the body of a call to somebody. Nobody listens to its notifications.
func call(targets ...models.InvitationParticipantInfoable) models.Callable {
	c := models.NewCall()
	c.SetCallbackUri(ptr("http://127.0.0.1:1/v1/notifications/sdk/call-1/cmd/1"))
	c.SetTargets(targets)
	c.SetRequestedModalities([]models.Modality{models.AUDIO_MODALITY})
	c.SetMediaConfig(models.NewServiceHostedMediaConfig())
	c.SetTenantId(ptr(tenant))
	return c
}

// place creates a call and waits until it can be spoken to.
func place(t *testing.T, sim *graphsim.Sim, calls *communications.CallsRequestBuilder, body models.Callable) *communications.CallsCallItemRequestBuilder {
	t.Helper()
	created, err := calls.Post(t.Context(), body, nil)
	if err != nil {
		t.Fatalf("create: %v", explain(err))
	}
	if created.GetId() == nil || created.GetState() == nil || *created.GetState() != models.ESTABLISHING_CALLSTATE {
		t.Fatalf("created %v in state %v; want an id and establishing", created.GetId(), created.GetState())
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		if c, _ := sim.Call(*created.GetId()); c.Audio == "active" {
			return calls.ByCallId(*created.GetId())
		}
		if time.Now().After(deadline) {
			t.Fatal("the call was not answered within 10s")
		}
		time.Sleep(time.Millisecond)
	}
}

// explain shows what is in Microsoft's error.
func explain(err error) error {
	if e, ok := errors.AsType[*odataerrors.ODataError](err); ok && e.GetErrorEscaped() != nil && e.GetErrorEscaped().GetMessage() != nil {
		return errors.New(*e.GetErrorEscaped().GetCode() + ": " + *e.GetErrorEscaped().GetMessage())
	}
	return err
}

func TestCreateGetPlayTransfer(t *testing.T) {
	sim, calls := setup(t, graphsim.Options{})
	it := place(t, sim, calls, call(user("alice")))
	read, err := it.Get(t.Context(), nil)
	if err != nil {
		t.Fatalf("get: %v", explain(err))
	}
	if *read.GetState() != models.ESTABLISHED_CALLSTATE || *read.GetMediaState().GetAudio() != models.ACTIVE_MEDIASTATE || len(read.GetTargets()) != 1 ||
		*read.GetTargets()[0].GetIdentity().GetUser().GetId() != "alice" {
		t.Errorf("read state %v, media %v, targets %v; want an established call to alice", read.GetState(), read.GetMediaState(), read.GetTargets())
	}

	media := models.NewMediaInfo()
	media.SetUri(ptr("https://cdn.example/hello.wav"))
	media.SetResourceId(ptr("hello"))
	prompt := models.NewMediaPrompt()
	prompt.SetMediaInfo(media)
	play := communications.NewCallsItemPlayPromptPostRequestBody()
	play.SetPrompts([]models.Promptable{prompt})
	play.SetClientContext(ptr("context-1"))
	operation, err := it.PlayPrompt().Post(t.Context(), play, nil)
	if err != nil {
		t.Fatalf("playPrompt: %v", explain(err))
	}
	if operation.GetId() == nil || *operation.GetClientContext() != "context-1" {
		t.Errorf("operation %v; want it with its context", operation.GetId())
	}
	// The SDK knows the schema's spelling of a status, "Running"; Microsoft's pages
	// and payloads, and so the simulator, have "running", which it loses.
	if status := operation.GetStatus(); status != nil {
		t.Errorf("status %v was understood; this SDK used to lose it", status)
	}

	cancel := communications.NewCallsItemCancelMediaProcessingPostRequestBody()
	if cancelled, err := it.CancelMediaProcessing().Post(t.Context(), cancel, nil); err != nil || cancelled.GetId() == nil {
		t.Errorf("cancelMediaProcessing: %v", explain(err))
	}
	if err := it.KeepAlive().Post(t.Context(), nil); err != nil {
		t.Errorf("keepAlive: %v", explain(err))
	}
	transfer := communications.NewCallsItemTransferPostRequestBody()
	transfer.SetTransferTarget(user("bob-487"))
	if err := it.Transfer().Post(t.Context(), transfer, nil); err != nil {
		t.Fatalf("transfer: %v", explain(err))
	}
	if read, err := it.Get(t.Context(), nil); err != nil || *read.GetState() != models.TRANSFERRING_CALLSTATE {
		t.Errorf("after the transfer: %v", explain(err))
	}
	if err := it.Delete(t.Context(), nil); err != nil {
		t.Errorf("delete: %v", explain(err))
	}
}

func TestGroupCall(t *testing.T) {
	sim, calls := setup(t, graphsim.Options{})
	it := place(t, sim, calls, call(user("alice"), user("bob-777")))
	mute := communications.NewCallsItemMutePostRequestBody()
	mute.SetClientContext(ptr("context-2"))
	operation, err := it.Mute().Post(t.Context(), mute, nil)
	if err != nil {
		t.Fatalf("mute: %v", explain(err))
	}
	if operation.GetId() == nil || *operation.GetClientContext() != "context-2" {
		t.Errorf("mute is operation %v; want it with its context", operation.GetId())
	}
	participants, err := it.Participants().Get(t.Context(), nil)
	if err != nil {
		t.Fatalf("participants: %v", explain(err))
	}
	if list := participants.GetValue(); len(list) != 3 || !*list[0].GetIsMuted() || *list[1].GetInfo().GetIdentity().GetUser().GetId() != "alice" {
		t.Errorf("%d participants; want the muted bot, alice and bob", len(list))
	}
	if _, err := it.Unmute().Post(t.Context(), communications.NewCallsItemUnmutePostRequestBody(), nil); err != nil {
		t.Errorf("unmute: %v", explain(err))
	}
	sessions, err := it.ContentSharingSessions().Get(t.Context(), nil)
	if err != nil || len(sessions.GetValue()) != 1 {
		t.Fatalf("content sharing sessions: %v", explain(err))
	}
	id := *sessions.GetValue()[0].GetId()
	if session, err := it.ContentSharingSessions().ByContentSharingSessionId(id).Get(t.Context(), nil); err != nil || *session.GetId() != id {
		t.Errorf("content sharing session: %v", explain(err))
	}
	if err := it.Delete(t.Context(), nil); err != nil {
		t.Errorf("delete: %v", explain(err))
	}
}

// The SDK's identity set has no telephone; the derived communications set does.
func TestTelephoneCall(t *testing.T) {
	sim, calls := setup(t, graphsim.Options{})
	phone, instance := models.NewCommunicationsIdentitySet(), models.NewCommunicationsIdentitySet()
	phone.SetPhone(identity("+12345678901"))
	instance.SetApplicationInstance(identity("3d913abb-aec0-4964-8fa6-3c6850c4f278"))
	target := models.NewInvitationParticipantInfo()
	target.SetIdentity(phone)
	source := models.NewParticipantInfo()
	source.SetIdentity(instance)
	body := call(target)
	body.SetSource(source)
	if err := place(t, sim, calls, body).Delete(t.Context(), nil); err != nil {
		t.Errorf("delete: %v", explain(err))
	}
}

func TestRedirect(t *testing.T) {
	sim, calls := setup(t, graphsim.Options{})
	id, err := sim.Incoming(graphsim.IncomingCall{CallbackURI: "http://127.0.0.1:1/v1/notifications", Source: []byte(`{"user":"carol"}`), TenantID: tenant})
	if err != nil {
		t.Fatal(err)
	}
	body := communications.NewCallsItemRedirectPostRequestBody()
	body.SetTargets([]models.InvitationParticipantInfoable{user("bob")})
	body.SetTimeout(ptr(int32(30)))
	if err := calls.ByCallId(id).Redirect().Post(t.Context(), body, nil); err != nil {
		t.Errorf("redirect: %v", explain(err))
	}
}

func TestErrorsAreUnderstood(t *testing.T) {
	sim, calls := setup(t, graphsim.Options{})
	it := place(t, sim, calls, call(user("alice")))
	tests := []struct {
		name   string
		err    error
		status int
		code   string
	}{
		{"a call that never was", calls.ByCallId("x").Delete(t.Context(), nil), 404, "8522"},
		{"a transfer to nobody", it.Transfer().Post(t.Context(), communications.NewCallsItemTransferPostRequestBody(), nil), 400, "8523"},
		{"mute of a peer-to-peer call", func() error {
			_, err := it.Mute().Post(t.Context(), communications.NewCallsItemMutePostRequestBody(), nil)
			return err
		}(), 400, "8548"},
		{"a call without media", func() error {
			body := call(user("alice"))
			body.SetMediaConfig(nil)
			_, err := calls.Post(t.Context(), body, nil)
			return err
		}(), 400, "8523"},
	}
	for _, tt := range tests {
		e, ok := errors.AsType[*odataerrors.ODataError](tt.err)
		if !ok || e.GetErrorEscaped() == nil {
			t.Errorf("%s: %v; want an ODataError", tt.name, tt.err)
			continue
		}
		main := e.GetErrorEscaped()
		if e.ResponseStatusCode != tt.status || main.GetCode() == nil || *main.GetCode() != tt.code || main.GetMessage() == nil || *main.GetMessage() == "" {
			t.Errorf("%s: status %d, %v; want %d %s with a message", tt.name, e.ResponseStatusCode, explain(tt.err), tt.status, tt.code)
		}
		if inner := main.GetInnerError(); inner == nil || inner.GetRequestId() == nil || *inner.GetRequestId() == "" {
			t.Errorf("%s: no request id in the inner error", tt.name)
		}
	}
}

// The stock client sends a POST again after a 504, whatever was done: a call is
// dialled twice. (Compression is off because this version puts its middleware into a
// random order, and retries a compressed body either well or as plain text that is
// marked gzip.)
func TestTheStockClientDialsTwice(t *testing.T) {
	sim, calls := setup(t, graphsim.Options{Faults: []graphsim.Fault{
		{Operation: "createCall", Status: 504, AfterDoing: true, RetryAfter: "1", Count: 1},
	}})
	_, err := calls.Post(t.Context(), call(user("alice")), &communications.CallsRequestBuilderPostRequestConfiguration{
		Options: []abstractions.RequestOption{httpclient.NewCompressionOptionsReference(false)},
	})
	if err != nil {
		t.Fatalf("create: %v", explain(err))
	}
	if all := sim.Calls(); len(all) != 2 || all[1].Creates != 2 {
		t.Errorf("%d calls; want 2 from one Post", len(all))
	}
}
