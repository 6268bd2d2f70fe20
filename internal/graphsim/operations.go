package graphsim

// Operation is one operation of a call and what became of it.
type Operation struct {
	ID            string `json:"id"`
	Kind          string `json:"kind"` // "playPromptOperation", …
	ClientContext string `json:"clientContext,omitempty"`
	// Status is "completed" or "failed"; "running" or "notStarted" also when the end
	// of the call cut it off, which nothing tells of.
	Status     string      `json:"status"`
	ResultInfo *ResultInfo `json:"resultInfo,omitempty"`
}

// operationMoved notes it of an operation that has been answered.
func (c *call) operationMoved(id, status string, result *ResultInfo) {
	for _, o := range c.operations {
		if o.ID == id {
			o.Status, o.ResultInfo = status, result
		}
	}
}
