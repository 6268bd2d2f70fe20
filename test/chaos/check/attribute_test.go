package check

import (
	"encoding/json"
	"testing"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

func TestTransferID(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"as a display name", `{"transferTarget":{"identity":{"user":{"id":"550f","displayName":"cmd-x_1"}}}}`, "cmd-x_1"},
		{"as the id itself", `{"transferTarget":{"identity":{"user":{"id":"cmd-7"}}}}`, "cmd-7"},
		{"nowhere", `{"transferTarget":{"identity":{"user":{"id":"550f"}}}}`, ""},
		{"a word that only ends like one", `{"id":"xcmd-7"}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := TransferID(tt.body); got != tt.want {
				t.Errorf("TransferID() = %q; want %q", got, tt.want)
			}
		})
	}
}

func TestAttribute(t *testing.T) {
	const uri = "https://calls.example/base/v1/notifications/crm/order-1/p/2"
	key := func(id string) commands.Key { return commands.Key{Producer: "crm", CallRef: "order-1", ID: id} }
	tests := []struct {
		name, operation, uri, body string
		want                       commands.Key
		ok                         bool
	}{
		{"a place by its callbackUri", "createCall", uri, `{}`, key("p"), true},
		{"a prompt by its context", "playPrompt", uri, `{"clientContext":"pp"}`, key("pp"), true},
		{"a mute without a context", "mute", uri, `{}`, commands.Key{}, false},
		{"a body that is no object", "mute", uri, `"clientContext"`, commands.Key{}, false},
		{"a transfer by its target", "transfer", uri, `{"transferTarget":"cmd-1"}`, key("cmd-1"), true},
		{"a hang-up is nobody's", "deleteCall", uri, ``, commands.Key{}, false},
		{"a call that came in", "mute", "https://calls.example/v1/notifications", `{"clientContext":"m"}`, commands.Key{}, false},
		{"an attempt that is no number", "createCall", uri[:len(uri)-1] + "x", `{}`, commands.Key{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := attribute(&graphsim.Request{Operation: tt.operation, CallbackURI: tt.uri, Body: json.RawMessage(tt.body)})
			if ok != tt.ok || (ok && got != tt.want) {
				t.Errorf("attribute() = %+v, %t; want %+v, %t", got, ok, tt.want, tt.ok)
			}
		})
	}
}
