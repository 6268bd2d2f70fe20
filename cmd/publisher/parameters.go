package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"callbus/internal/producer"
)

// parameters collects Graph's request body from flags. The first problem is
// kept and reported when the body is finished.
type parameters struct {
	members map[string]json.RawMessage
	flags   map[string]string // which flag set which member
	problem error
}

func newParameters() *parameters {
	return &parameters{members: map[string]json.RawMessage{}, flags: map[string]string{}}
}

func (p *parameters) set(name, flag string, value any) {
	text, err := json.Marshal(value)
	p.fail(err)
	p.members[name], p.flags[name] = text, flag
}

func (p *parameters) fail(err error) {
	if p.problem == nil {
		p.problem = err
	}
}

func (p *parameters) merge(flag string, members map[string]json.RawMessage) {
	for name, value := range members {
		p.members[name], p.flags[name] = value, flag
	}
}

// party sets one participant; kinds limits who it may be.
func (p *parameters) party(name, flag, text string, kinds ...string) {
	party, err := producer.ParseParty(text)
	switch {
	case err != nil:
		p.fail(fmt.Errorf("%s: %w", flag, err))
	case len(kinds) > 0 && !slices.Contains(kinds, party.Kind):
		p.fail(fmt.Errorf("%s: %s: cannot be used here: want %s:<id>", flag, party.Kind, strings.Join(kinds, ":<id> or ")))
	default:
		p.set(name, flag, party.Participant())
	}
}

func (p *parameters) parties(name, flag string, texts []string) {
	var list []json.RawMessage
	for _, text := range texts {
		party, err := producer.ParseParty(text)
		if err != nil {
			p.fail(fmt.Errorf("%s: %w", flag, err))
			return
		}
		list = append(list, party.Participant())
	}
	p.set(name, flag, list)
}

func (p *parameters) transferTarget(text, replaces string) {
	party, err := producer.ParseParty(text)
	if err != nil {
		p.fail(fmt.Errorf("--to: %w", err))
		return
	}
	p.set("transferTarget", "--to", party.TransferTarget(replaces))
}

// mediaPrompt is one entry of Graph's prompts.
type mediaPrompt struct {
	MediaInfo struct {
		URI string `json:"uri"`
	} `json:"mediaInfo"`
}

func prompts(urls []string) []mediaPrompt {
	list := make([]mediaPrompt, len(urls))
	for i, u := range urls {
		list[i].MediaInfo.URI = u
	}
	return list
}

// finish joins what the flags say with --parameters; they may not say the same
// member. The result is nil when there is nothing.
func (p *parameters) finish(given string, stdin io.Reader) (json.RawMessage, error) {
	if p == nil {
		p = newParameters()
	}
	if p.problem != nil {
		return nil, p.problem
	}
	text, err := readParameters(given, stdin)
	if err != nil {
		return nil, err
	}
	if len(p.members) == 0 {
		return text, nil
	}
	members := map[string]json.RawMessage{}
	if text != nil {
		if err := json.Unmarshal(text, &members); err != nil {
			return nil, errors.New("--parameters: not a JSON object, so no other flag can add to it")
		}
	}
	for name, value := range p.members {
		if _, both := members[name]; both {
			return nil, fmt.Errorf("%s and --parameters both say %s: want one of them", p.flags[name], name)
		}
		members[name] = value
	}
	return json.Marshal(members)
}

// readParameters reads --parameters: JSON, @FILE or - for standard input.
func readParameters(given string, stdin io.Reader) (json.RawMessage, error) {
	var text []byte
	var err error
	switch {
	case given == "":
		return nil, nil
	case given == "-":
		text, err = io.ReadAll(stdin)
	case strings.HasPrefix(given, "@"):
		text, err = os.ReadFile(given[1:])
	default:
		text = []byte(given)
	}
	if err != nil {
		return nil, fmt.Errorf("--parameters: %w", err)
	}
	text = bytes.TrimSpace(text)
	if !json.Valid(text) {
		return nil, errors.New("--parameters: not JSON: want an object such as '{\"targets\": […]}', @FILE, or - for standard input")
	}
	return text, nil
}
