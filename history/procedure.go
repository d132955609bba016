package history

// The payloads of a release by a procedure, and of requests to the API server.

// ProcedureBegan is the start of a procedure, or its start after it was killed.
type ProcedureBegan struct {
	Attempt int `json:"attempt"` // from 1
}

// ProcedureOutput is a line that the procedure printed.
type ProcedureOutput struct {
	Stream string `json:"stream"` // stdout, stderr
	Line   string `json:"line"`
}

// ProcedureEnded is the end of an attempt: nothing of it runs any more.
type ProcedureEnded struct {
	Attempt int  `json:"attempt"`
	Exit    int  `json:"exit"`             // 128 and the signal's number if a signal ended it
	Killed  bool `json:"killed,omitempty"` // by a fault
}

// EndState is what a procedure that was to be killed left in its namespace, compared
// with what it left in another one where nobody disturbed it.
type EndState struct {
	Compared    bool     `json:"compared"`
	Differences []string `json:"differences,omitempty"` // "Deployment/shop-blue is left over"
	Because     string   `json:"because,omitempty"`     // why they could not be compared
}

// APIRequest is a request to the API server that came through the proxy, at the
// instant of its answer.
type APIRequest struct {
	Number      int64  `json:"number"` // among all that came, from 1
	Writer      string `json:"writer"` // who asked
	Began       Micros `json:"beganUs"`
	Verb        string `json:"verb"`
	Group       string `json:"group,omitempty"`
	Resource    string `json:"resource,omitempty"`
	Subresource string `json:"subresource,omitempty"`
	Namespace   string `json:"namespace,omitempty"`
	Object      string `json:"object,omitempty"` // "Service/shop"
	DryRun      bool   `json:"dryRun,omitempty"`
	Status      int    `json:"status,omitempty"` // HTTP's; 0 if there was no answer
	Step        int    `json:"step,omitempty"`   // among the writes that took effect, from 1; 0 if it is none
	Because     string `json:"because,omitempty"`
	Injected    string `json:"injected,omitempty"` // what a fault did to it: "delayed by 2s"
	Before      string `json:"before,omitempty"`   // the object's resourceVersion
	After       string `json:"after,omitempty"`
	Body        string `json:"body,omitempty"` // of a write: JSON, or a keyed hash; data of Secrets only as hashes
}

func (ProcedureBegan) EventType() string  { return "procedure-began" }
func (ProcedureOutput) EventType() string { return "procedure-output" }
func (ProcedureEnded) EventType() string  { return "procedure-ended" }
func (EndState) EventType() string        { return "end-state" }
func (APIRequest) EventType() string      { return "api-request" }
