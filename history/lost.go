package history

// ReadBack is what came of asking, when the load was over, for what had been written and
// was answered well.
type ReadBack struct {
	Acknowledged int64 `json:"acknowledged"` // writes that were answered as expected; the others add up to it
	Kept         int64 `json:"kept"`
	Lost         int64 `json:"lost"`    // not there
	Unknown      int64 `json:"unknown"` // nobody could say
	// Samples are the ids of some that were lost, as in the requests.
	Samples []string `json:"samples,omitempty"`
}

// EventType is the name that stands in the record.
func (ReadBack) EventType() string { return "read-back" }
