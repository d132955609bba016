package loadgen

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// ReplaySpec is load.replay: requests that came once, sent again with the same spacing,
// in place of rate and requests.
type ReplaySpec struct {
	// File holds them: a HAR, an access log (Traefik's JSON, the common or the combined
	// format) or what cutover load convert writes, as seen from where relative images are.
	File  string `yaml:"file" json:"file"`
	Speed Speed  `yaml:"speed,omitempty" json:"speed,omitempty"` // how many times as fast as they came; default 1
	Then  string `yaml:"then,omitempty" json:"then,omitempty"`   // after the last of them: loop (default), from the first on, or end, with none
	Host  string `yaml:"host,omitempty" json:"host,omitempty"`   // only requests to this one; needed if the file has several
	// Methods are those of which requests are sent again; default all. An access log holds
	// no bodies, so that POST, PUT and PATCH cannot be taken from it.
	Methods []string `yaml:"methods,omitempty" json:"methods,omitempty"`
	Secrets bool     `yaml:"secrets,omitempty" json:"secrets,omitempty"` // sends Authorization and Cookie as well, which are left out otherwise
	// Recording is what the file holds.
	Recording Recording `yaml:"-" json:"recording"`
}

// Filter says what is taken from the file.
func (s ReplaySpec) Filter() RecordingFilter {
	return RecordingFilter{Host: s.Host, Methods: s.Methods, Secrets: s.Secrets}
}

// What may follow the last request of a recording.
const (
	ThenLoop = "loop"
	ThenEnd  = "end"
)

// WithDefaults fills what was left out.
func (s ReplaySpec) WithDefaults() ReplaySpec {
	if s.Speed == 0 {
		s.Speed = 1
	}
	if s.Then == "" {
		s.Then = ThenLoop
	}
	return s
}

// Replaying is the spec with the requests and the mean rate of the recording.
func (s Spec) Replaying(r Recording) (Spec, error) {
	replay := *s.Replay
	replay.Recording = r
	s.Replay, s.Requests = &replay, r.Requests
	s.Rate = Rate{Count: len(r.Arrivals), Per: replay.lap()}
	switch {
	case len(r.Arrivals) < 2 || s.Rate.Per <= 0:
		return s, errors.New("holds no two requests at different times: there is no spacing to keep")
	case s.Rate.PerSecond() > maxPerSecond:
		return s, fmt.Errorf("comes to %.0f requests a second, and more than %d cannot be sent from here: lower speed", s.Rate.PerSecond(), maxPerSecond)
	}
	return s, nil
}

// scaled is a time in the recording as it is when it is replayed.
func (s ReplaySpec) scaled(d time.Duration) time.Duration {
	return time.Duration(math.Round(float64(d) / float64(s.Speed)))
}

// lap is how long all of it takes until it begins again: a gap of mean length follows
// the last request.
func (s ReplaySpec) lap() time.Duration {
	n := len(s.Recording.Arrivals)
	if n < 2 {
		return 0
	}
	span := s.Recording.Arrivals[n-1].At
	return s.scaled(span + span/time.Duration(n-1))
}

var _ vegeta.Pacer = ReplaySpec{}

// Pace implements [vegeta.Pacer]: hits are spaced as the requests once were.
func (s ReplaySpec) Pace(elapsed time.Duration, hits uint64) (wait time.Duration, over bool) {
	n := uint64(len(s.Recording.Arrivals))
	if s.Then == ThenEnd && hits >= n {
		return 0, true
	}
	at := time.Duration(hits/n)*s.lap() + s.scaled(s.Recording.Arrivals[hits%n].At)
	return max(0, at-elapsed), false
}

// Rate implements [vegeta.Pacer]. It is the mean one throughout.
func (s ReplaySpec) Rate(time.Duration) float64 {
	return Rate{Count: len(s.Recording.Arrivals), Per: s.lap()}.PerSecond()
}

// Speed is a factor: 1 is as fast as it was.
type Speed float64

// MarshalText writes s as it is read.
func (s Speed) MarshalText() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(s), 'g', -1, 64), nil
}

// UnmarshalText reads "1", "0.5" or "10".
func (s *Speed) UnmarshalText(text []byte) error {
	speed, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(speed >= 0.001 && speed <= 1000) {
		return fmt.Errorf("bad speed %q: write how many times as fast, from 0.001 to 1000, such as 2", text)
	}
	*s = Speed(speed)
	return nil
}

func (s ReplaySpec) validate() error {
	if s.Then != ThenLoop && s.Then != ThenEnd {
		return fmt.Errorf("load.replay.then is %q: use %s or %s", s.Then, ThenLoop, ThenEnd)
	}
	if len(s.Recording.Arrivals) == 0 {
		return errors.New("load.replay.file was not read")
	}
	return nil
}
