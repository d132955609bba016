package gates

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// Approval is a person who is asked, and answers with `cutover approve`. The answer
// stands for the whole step.
type Approval struct {
	Name    string           `yaml:"name,omitempty" json:"name,omitempty"`       // what readings call it
	Ask     string           `yaml:"ask,omitempty" json:"ask,omitempty"`         // what the person is to look at
	Timeout history.Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"` // then it is no data; default 2m
	Steps   []string         `yaml:"steps,omitempty" json:"steps,omitempty"`     // at which is asked; default all
}

var _ = register("approval", kind{single: true, sections: func(s Spec) []section {
	if s.Approval == nil {
		return nil
	}
	return []section{*s.Approval}
}})

// WithDefaults fills what was left out.
func (a Approval) WithDefaults() Approval {
	a.Timeout = cmp.Or(a.Timeout, history.Duration(2*time.Minute))
	return a
}

func (a Approval) asking() asking {
	return asking{name: a.Name, limits: fmt.Sprintf("%s within %s", cmp.Or(a.Name, "approval"), a.Timeout), timeout: a.Timeout.D(), steps: a.Steps, once: true, final: true}
}

func (a Approval) validate(fail func(key, format string, args ...any)) {
	if wrong := text(a.Ask).validate(); wrong != "" {
		fail("ask", "%s", wrong)
	}
}

func (a Approval) source(name string, place Place) source {
	return approval{Approval: a, name: name, place: place}
}

type approval struct {
	Approval
	name  string
	place Place
}

// Request is a question that waits for a person: a file in the folder of a run.
type Request struct {
	ID       string    `json:"id"` // of this question alone
	Run      string    `json:"run"`
	Scenario string    `json:"scenario"`
	Step     string    `json:"step"`
	Gate     string    `json:"gate"`
	Ask      string    `json:"ask,omitempty"`
	Until    time.Time `json:"until"`
}

// Response is what a person said, to the question of that id and no other.
type Response struct {
	ID       string `json:"id"`
	Approved bool   `json:"approved"`
	Who      string `json:"who"`
	Because  string `json:"because,omitempty"`
}

const (
	requestFile  = "request.json"
	responseFile = "response.json"
	lookEvery    = 200 * time.Millisecond
)

func (a approval) ask(ctx context.Context, q Question) Answer {
	what, err := text(a.Ask).fill(q.Values)
	if err != nil {
		return noData("what to ask: %v", err)
	}
	request := Request{ID: rand.Text(), Run: q.Values.Run, Scenario: q.Values.Scenario, Step: q.Step, Gate: a.name, Ask: what, Until: time.Now().Add(a.Timeout.D()).UTC()}
	if err := writeWhole(a.place.Approvals, requestFile, request); err != nil {
		return noData("nobody can be asked: %v", err)
	}
	defer func() { _ = os.Remove(filepath.Join(a.place.Approvals, requestFile)) }() // it goes with its folder, at the latest
	if a.place.Asked != nil {
		a.place.Asked(history.ApprovalAsked{Gate: a.name, Step: q.Step, Ask: what, Timeout: a.Timeout, How: "cutover approve " + q.Values.Run})
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return noData("nobody answered")
		case <-look.C:
		}
		var said Response
		err := readWhole(filepath.Join(a.place.Approvals, responseFile), &said)
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			return noData("the answer cannot be read: %v", err)
		case said.ID == request.ID:
			return said.answer()
		}
	}
}

func (r Response) answer() Answer {
	answer, verb := Answer{Status: Fail}, "rejected"
	if r.Approved {
		answer.Status, verb = Pass, "approved"
	}
	answer.Because = fmt.Sprintf("%s by %s", verb, cmp.Or(r.Who, "somebody"))
	if r.Because != "" {
		answer.Because += ": " + shortened([]byte(r.Because))
	}
	return answer
}

// ApprovalsFolder is where a run asks people, below dir. It is of that run alone, so
// that nothing is left of it afterwards.
func ApprovalsFolder(dir, run string) string { return filepath.Join(dir, "approvals-"+run) }

// Open lists the questions that wait for a person, in the folders of runs below dir.
func Open(dir string) ([]Request, error) {
	files, err := filepath.Glob(filepath.Join(ApprovalsFolder(dir, "*"), requestFile))
	if err != nil {
		return nil, err
	}
	var open []Request
	for _, file := range files {
		var request Request
		err := readWhole(file, &request)
		if errors.Is(err, os.ErrNotExist) {
			continue // answered just now
		}
		if err != nil {
			return nil, err
		}
		if time.Now().Before(request.Until) {
			open = append(open, request)
		}
	}
	return open, nil
}

// Respond answers a question that waits in the folder of its run below dir.
func Respond(dir string, request Request, response Response) error {
	if request.Run == "" || strings.ContainsRune(request.Run, filepath.Separator) {
		return fmt.Errorf("%q is no run", request.Run)
	}
	response.ID = request.ID
	return writeWhole(ApprovalsFolder(dir, request.Run), responseFile, response)
}

// writeWhole writes a file as a whole or not at all.
func writeWhole(dir, name string, content any) error {
	data, err := json.Marshal(content)
	if err != nil {
		return err
	}
	aside, err := os.CreateTemp(dir, ".partial-*")
	if err != nil {
		return err
	}
	_, err = aside.Write(append(data, '\n'))
	if err = errors.Join(err, aside.Close()); err == nil {
		err = os.Rename(aside.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(aside.Name()))
	}
	return nil
}

func readWhole(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
