package history

// Diff is what came of asking two pods of the baseline and one of the candidate the
// same: how often the answer of which version was the odd one of three.
type Diff struct {
	Chosen   int64            `json:"chosen"`            // requests that were to be asked thus; compared and dropped add up to it
	Compared int64            `json:"compared"`          // of which all three were answered
	Dropped  map[string]int64 `json:"dropped,omitempty"` // by the reason
	Requests map[string]int64 `json:"requests"`          // compared, by kind of request; 0 of one that never was
	// Large are those compared of which a body was too large to be taken apart into
	// fields: it was compared by its length and its hash.
	Large  int64      `json:"large,omitempty"`
	Fields int        `json:"fields"`        // that were compared, of all kinds of requests
	Odd    []OddField `json:"odd,omitempty"` // the fields in which some answers differed
}

// OddField is a field of the answers to one kind of request.
type OddField struct {
	Request   string     `json:"request"`          // "GET /cart"
	Field     string     `json:"field"`            // "status", "header.Content-Type", "body.items[0].price"
	Candidate int64      `json:"candidate"`        // how often the candidate's was the odd one
	Baseline  int64      `json:"baseline"`         // how often one of the baseline's was
	AllDiffer int64      `json:"allDiffer"`        // how often all three differed, as ids do
	Sample    *OddSample `json:"sample,omitempty"` // the first time that it was the candidate's
}

// OddSample is a field as two versions answered it.
type OddSample struct {
	ID        string `json:"id"` // X-Request-Id
	Baseline  string `json:"baseline"`
	Candidate string `json:"candidate"`
}

// EventType is the name that stands in the record.
func (Diff) EventType() string { return "diff" }
