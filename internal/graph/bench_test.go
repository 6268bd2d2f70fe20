package graph

import (
	"context"
	"testing"
)

func BenchmarkDo(b *testing.B) {
	g := startGraph(b, answering(200, golden(b, "call-get.1.response.json"), "request-id", "r"))
	for name, r := range map[string]Request{
		"getCall":    {Operation: GetCall, CallID: "c1"},
		"createCall": {Operation: CreateCall, Body: []byte(golden(b, "application-post-calls.9.response.json")), Guard: func() error { return nil }},
	} {
		b.Run(name, func(b *testing.B) {
			c := newClient(b, g.base())
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Do(context.Background(), r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkClassify(b *testing.B) {
	body := []byte(golden(b, "error.429-8529-monthly-limit.json"))
	b.ReportAllocs()
	for b.Loop() {
		if e := classify(CreateCall, 429, nil, body); e.Reason != MonthlyCalls {
			b.Fatal(e)
		}
	}
}

func BenchmarkParseCall(b *testing.B) {
	body := []byte(golden(b, "call-get.1.response.json"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseCall(body); err != nil {
			b.Fatal(err)
		}
	}
}
