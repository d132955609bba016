package history

// Follower is a Sink that also follows requests while they are on their way, so
// that its live view knows of those that nobody has answered. Calling Began and
// Answered is optional; Request alone makes the record.
type Follower interface {
	Sink
	// Began says that an arrival was released; Seq and Intended are set.
	Began(Request)
	// Answered says that the attempt is over, while who answered may still be
	// unknown. Request follows with the same Seq.
	Answered(Request)
}
