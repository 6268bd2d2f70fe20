package commands

import (
	"encoding/json"
	"time"
)

// Body is a command as producers publish it: the JSON that [Decode] reads.
// What is left out has the default of the contract. An id that was checked
// with [CheckID] and parameters in Graph's own names make a valid command.
type Body struct {
	ID         string            `json:"id"`
	NotBefore  *time.Time        `json:"notBefore,omitempty"`
	ExpiresAt  *time.Time        `json:"expiresAt,omitempty"`
	Wait       Wait              `json:"wait,omitempty"`
	OnUnknown  OnUnknown         `json:"onUnknown,omitempty"`
	TenantID   string            `json:"tenantId,omitempty"`
	CallID     string            `json:"callId,omitempty"`
	ReplyTo    string            `json:"replyTo,omitempty"`
	KeepAlive  bool              `json:"keepAlive,omitempty"` // only beside CallID
	Limits     *CallLimits       `json:"limits,omitempty"`    // only for place
	Metadata   map[string]string `json:"metadata,omitempty"`
	Parameters json.RawMessage   `json:"parameters,omitempty"`
}
