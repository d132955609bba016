package faults

import (
	"fmt"
	"slices"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
)

// Driver is who does a fault's damage.
type Driver string

// The drivers.
const (
	ChaosMesh Driver = "chaos-mesh"
	Agent     Driver = "agent"
	Cutover   Driver = "cutover" // of the kinds of our own
)

// The API groups of chaos objects. An object has one group, and a group has one
// driver in a cluster: nobody else touches its objects.
const (
	// MeshGroup is Chaos Mesh's own. The agent serves it where Chaos Mesh is not.
	MeshGroup = "chaos-mesh.org"
	// AgentGroup has the same schema. The agent serves it where Chaos Mesh is.
	AgentGroup = "chaos.cutover.dev"
)

// groups are all that chaos objects can be of.
var groups = []string{MeshGroup, AgentGroup}

// Service is who serves a fault's object, and under which API group. The zero value
// is the agent, where Chaos Mesh is not.
type Service struct {
	Driver Driver
	Group  string
}

func (s Service) group() string {
	if s.Group == "" {
		return MeshGroup
	}
	return s.Group
}

func (s Service) byChaosMesh() bool { return s.Driver == ChaosMesh }

// Serving is what a cluster has to serve faults with, as found before a run.
type Serving struct {
	ChaosMesh bool   // it is installed and runs
	Agent     bool   // a node agent runs on every node
	NoNetem   string // why Chaos Mesh cannot use the kernel's netem on some node; "" if it can
	Only      Driver // leaves the choice to nobody; "" leaves it to [Serving.Of]
}

// agentGroup is what the agent serves beside what else is in the cluster.
func (s Serving) agentGroup() string {
	if s.ChaosMesh {
		return AgentGroup
	}
	return MeshGroup
}

// AgentGroup is the one API group whose objects the agent is to serve in a cluster
// with or without Chaos Mesh.
func (s Serving) AgentGroup() string { return s.agentGroup() }

// byAgent is what the node agent can do.
var byAgent = []string{
	keyOf(v1alpha1.KindNetworkChaos, string(v1alpha1.DelayAction)),
	keyOf(v1alpha1.KindPodChaos, string(v1alpha1.PodKillAction)),
}

// byNetem is what Chaos Mesh does with the kernel's netem.
var byNetem = []string{
	keyOf(v1alpha1.KindNetworkChaos, string(v1alpha1.DelayAction)),
	keyOf(v1alpha1.KindNetworkChaos, string(v1alpha1.LossAction)),
	keyOf(v1alpha1.KindNetworkChaos, string(v1alpha1.DuplicateAction)),
	keyOf(v1alpha1.KindNetworkChaos, string(v1alpha1.CorruptAction)),
}

// Of says who serves a fault: Chaos Mesh where it is and can, else the agent if it
// can. The error says, for people, which of them lacks what, and what to do.
func (s Serving) Of(f Fault) (Service, error) {
	if IsOwn(f.Kind()) {
		return Service{Driver: Cutover}, nil
	}
	meshLacks, agentLacks := s.meshLacks(f), s.agentLacks(f)
	switch {
	case meshLacks == "" && s.Only != Agent:
		return Service{ChaosMesh, MeshGroup}, nil
	case agentLacks == "" && s.Only != ChaosMesh:
		return Service{Agent, s.agentGroup()}, nil
	case s.Only == Agent:
		return Service{}, fmt.Errorf("%s: %s", f.Name(), agentLacks)
	case s.Only == ChaosMesh:
		return Service{}, fmt.Errorf("%s: %s", f.Name(), meshLacks)
	}
	return Service{}, fmt.Errorf("%s: %s, and %s", f.Name(), meshLacks, agentLacks)
}

// meshLacks says why Chaos Mesh cannot serve a fault here; "" if it can.
func (s Serving) meshLacks(f Fault) string {
	switch {
	case !s.ChaosMesh:
		return "Chaos Mesh is not in this cluster (run it with --cluster kind, which installs it)"
	case s.NoNetem != "" && slices.Contains(byNetem, keyOf(f.Kind(), f.Action())):
		return fmt.Sprintf("Chaos Mesh needs the kernel's netem for it (%s; run it where `modprobe sch_netem` works)", s.NoNetem)
	}
	return ""
}

// agentLacks says why the node agent cannot serve a fault here; "" if it can.
func (s Serving) agentLacks(f Fault) string {
	switch {
	case !slices.Contains(byAgent, keyOf(f.Kind(), f.Action())):
		return fmt.Sprintf("the cutover agent does only %s", list(byAgent))
	case !s.Agent:
		return "the cutover agent does not run in this cluster"
	}
	return ""
}
