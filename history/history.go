package history

// History is a finished run: everything that was recorded and nothing that was
// concluded. Judging is a function of it.
type History struct {
	Plan     Plan
	Events   []Event   // in order of At
	Requests []Request // in order of Intended
}
