package commands_test

import (
	"fmt"
	"time"

	"callbus/internal/commands"
)

func ExampleDecode() {
	call := commands.CallKey{Producer: "crm", CallRef: "order-4711"}
	body := []byte(`{"id": "01JDC9Z6M4Q8", "parameters": {"targets": [{"identity": {"user": {"id": "112f7296"}}}]}}`)
	published := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

	cmd, err := commands.Decode(call, commands.Place, body, commands.DecodeOptions{Published: published})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(cmd.ID, cmd.Action, cmd.Wait, cmd.Expiry(published, commands.DefaultTTL).Format(time.TimeOnly))
	fmt.Printf("%s\n", cmd.Parameters)
	// Output:
	// 01JDC9Z6M4Q8 place ready 10:10:00
	// {"@odata.type":"#microsoft.graph.call","mediaConfig":{"@odata.type":"#microsoft.graph.serviceHostedMediaConfig"},"requestedModalities":["audio"],"targets":[{"@odata.type":"#microsoft.graph.invitationParticipantInfo","identity":{"@odata.type":"#microsoft.graph.identitySet","user":{"@odata.type":"#microsoft.graph.identity","id":"112f7296"}}}]}
}

func ExampleDecode_refused() {
	call := commands.CallKey{Producer: "crm", CallRef: "order-4711"}
	body := []byte(`{"id": "01JDC9Z6M4Q8", "wait": "soon", "parameters": {"timeout": 120, "targets": []}}`)

	_, err := commands.Decode(call, commands.Redirect, body, commands.DecodeOptions{})
	for _, problem := range err.(commands.DecodeErrors) {
		fmt.Println(problem)
	}
	// Output:
	// wait is "soon": want one of ready, none, turn
	// parameters.targets has 0 entries: want a list of 1 to 25 objects with endpointType, hidden, identity, languageId, participantId, region, removeFromDefaultAudioRoutingGroup, replacesCallId
	// parameters.timeout is 120: want a whole number from 15 to 90
}

func ExampleExplainResult() {
	e := commands.ExplainResult(486, 560486)
	fmt.Println(e.Reason, e.Class, e.Retryable, "-", e.Message)
	// Output: busy callee true - the phone is busy
}
