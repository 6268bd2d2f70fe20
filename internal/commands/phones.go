package commands

import (
	"encoding/json"
	"slices"
)

// Phones lists the E.164 numbers the command would make Graph dial: phone
// targets of place and redirect, and the target of a transfer, in order and
// each once. It is for checking --allow-phone prefixes; a number in any other
// place or spelling has been refused by [Decode].
func (c Command) Phones() []string {
	type invitation struct {
		Identity struct {
			Phone struct {
				ID string `json:"id"`
			} `json:"phone"`
		} `json:"identity"`
	}
	var body struct {
		Targets        []invitation `json:"targets"`
		TransferTarget invitation   `json:"transferTarget"`
	}
	if c.Parameters == nil || json.Unmarshal(c.Parameters, &body) != nil {
		return nil
	}
	var numbers []string
	for _, target := range append(body.Targets, body.TransferTarget) {
		if number := target.Identity.Phone.ID; number != "" && !slices.Contains(numbers, number) {
			numbers = append(numbers, number)
		}
	}
	return numbers
}
