package loadgen

import "math/rand/v2"

// trial is a request of which the answers of three pods are compared. All three get the
// same id, so that an answer may repeat it.
type trial struct {
	request arrival
	whom    [3]string // two of the baseline, one of the candidate
	order   []int     // in which they are asked
	replies [3]reply
	came    int // of the replies
}

func newTrial(next arrival, now *pods, chance *rand.Rand) *trial {
	two := chance.Perm(len(now.baseline))
	t := &trial{request: next}
	t.whom = [3]string{now.baseline[two[0]], now.baseline[two[1]], now.candidate[chance.IntN(len(now.candidate))]}
	t.order = chance.Perm(len(t.whom))
	return t
}

// next is the address of the one who is asked now, and reply what it answers.
func (t *trial) next() string  { return t.whom[t.order[t.came]] }
func (t *trial) reply() *reply { return &t.replies[t.order[t.came]] }

// silence is why the trial is dropped if that one does not answer.
func (t *trial) silence() int {
	if t.order[t.came] == 2 {
		return candidateSilent
	}
	return baselineSilent
}

// answered goes on to the next one; false if that was the last.
func (t *trial) answered() bool {
	t.came++
	return t.came < len(t.order)
}
