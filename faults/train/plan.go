package train

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"
)

// Command is the command of the cutover program that makes [Run] of the [Plan] in
// its one argument and prints the results. It is run in a node's network.
const Command = "agent-train"

// Plan is what to send to each of the pods.
type Plan struct {
	Pods  []netip.Addr  `json:"pods"`
	Count int           `json:"count"` // echoes
	Size  int           `json:"size"`  // of each, in bytes, beside the headers
	Rate  int           `json:"rate"`  // echoes a second
	First int           `json:"first"` // so many of them go at once, before that
	Wait  time.Duration `json:"wait"`  // for the last answers
}

// Argument is the plan as [Command] wants it.
func (p Plan) Argument() string {
	text, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("train: a plan that cannot be encoded: %v", err))
	}
	return string(text)
}

// ParsePlan reads the argument of [Command].
func ParsePlan(argument string) (Plan, error) {
	var p Plan
	if err := json.Unmarshal([]byte(argument), &p); err != nil {
		return p, fmt.Errorf("the plan of a train of echoes: %w", err)
	}
	if p.Count < 1 || p.Rate < 1 || p.Size < leastSize || p.Size > mostSize {
		return p, fmt.Errorf("the plan of a train of echoes: count and rate must be 1 or more, size %d to %d: %s", leastSize, mostSize, argument)
	}
	return p, nil
}

// Headers is what comes to an echo's size on the way: Ethernet's, IP's and ICMP's
// headers, as a queue discipline counts them.
const Headers = 14 + 20 + 8

// Result is what became of the train to one pod.
type Result struct {
	Pod     netip.Addr    `json:"pod"`
	Sent    int           `json:"sent"`
	Whole   int           `json:"whole"`   // came back as they were sent, each counted once
	Again   int           `json:"again"`   // came back once more
	Damaged int           `json:"damaged"` // came back with a wrong checksum
	Took    time.Duration `json:"took"`    // from the first sending to the last that came back
}

// ParseResults reads what [Command] printed.
func ParseResults(printed string) ([]Result, error) {
	var results []Result
	if err := json.Unmarshal([]byte(printed), &results); err != nil {
		return nil, fmt.Errorf("the results of a train of echoes: %w\n%s", err, printed)
	}
	return results, nil
}
