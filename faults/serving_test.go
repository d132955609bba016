package faults

import (
	"strings"
	"testing"
	"time"
)

func TestWhoServes(t *testing.T) {
	parse := func(kind, body string, lasts time.Duration) Fault { return parse(t, spec(kind, body, lasts)) }
	var (
		delay     = parse("NetworkChaos", `{"action":"delay","delay":{"latency":"1s"}}`, 1)
		loss      = parse("NetworkChaos", `{"action":"loss","loss":{"loss":"30"}}`, 1)
		partition = parse("NetworkChaos", `{"action":"partition"}`, 1)
		kill      = parse("PodChaos", `{"action":"pod-kill"}`, 0)
		stress    = parse("StressChaos", `{"stressors":{"cpu":{"workers":1}}}`, 1)

		embedded = Serving{Agent: true}
		kind     = Serving{ChaosMesh: true, Agent: true}
		bare     = Serving{ChaosMesh: true, Agent: true, NoNetem: "node-0: this kernel has no netem"}
		mesh     = Service{ChaosMesh, MeshGroup}
		agent    = Service{Agent, AgentGroup}
		alone    = Service{Agent, MeshGroup}
		nobody   = Service{}
	)
	only := func(s Serving, driver Driver) Serving { s.Only = driver; return s }
	for _, row := range []struct {
		name  string
		in    Serving
		fault Fault
		want  Service
		says  []string // of the error
	}{
		// Without Chaos Mesh the agent has Chaos Mesh's own group.
		{"delay, embedded", embedded, delay, alone, nil},
		{"kill, embedded", embedded, kill, alone, nil},
		{"loss, embedded", embedded, loss, nobody, []string{"NetworkChaos loss 30 %", "--cluster kind", "does only NetworkChaos delay, PodChaos pod-kill"}},
		{"stress, embedded", embedded, stress, nobody, []string{"StressChaos cpu 1 × 100 %"}},
		// With it, Chaos Mesh does all that it can.
		{"delay, kind", kind, delay, mesh, nil},
		{"loss, kind", kind, loss, mesh, nil},
		{"kill, kind", kind, kill, mesh, nil},
		// Where the kernel has no netem, the agent does the delay, under its own group.
		{"delay, no netem", bare, delay, agent, nil},
		{"loss, no netem", bare, loss, nobody, []string{"node-0: this kernel has no netem", "sch_netem"}},
		{"partition, no netem", bare, partition, mesh, nil},
		{"stress, no netem", bare, stress, mesh, nil},
		// A driver may be asked for.
		{"delay, only the agent", only(kind, Agent), delay, agent, nil},
		{"delay, only Chaos Mesh, no netem", only(bare, ChaosMesh), delay, nobody, []string{"netem"}},
		{"partition, only the agent", only(kind, Agent), partition, nobody, []string{"does only"}},
		{"kill, only Chaos Mesh, embedded", only(embedded, ChaosMesh), kill, nobody, []string{"not in this cluster"}},
		{"delay, no agent", Serving{}, delay, nobody, []string{"does not run"}},
	} {
		got, err := row.in.Of(row.fault)
		if got != row.want || (err == nil) != (row.says == nil) {
			t.Errorf("%s: %v, %v; want %v", row.name, got, err, row.want)
		}
		for _, want := range row.says {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", row.name, err, want)
			}
		}
	}
}

// One object has one driver: no two ever serve a group in the same cluster.
func TestNoTwoDriversServeAGroup(t *testing.T) {
	for _, chaosMesh := range []bool{true, false} {
		s := Serving{ChaosMesh: chaosMesh, Agent: true}
		if (s.AgentGroup() == MeshGroup) == chaosMesh {
			t.Errorf("with Chaos Mesh %v, the agent serves %s", chaosMesh, s.AgentGroup())
		}
	}
}
