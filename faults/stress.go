package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"github.com/docker/go-units"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/faults/podstat"
)

var _ = register(v1alpha1.KindStressChaos, "", parseStress)

// parseStress reads the fault that makes containers use more processor or memory.
func parseStress(spec Spec) (Fault, error) {
	var read v1alpha1.StressChaosSpec
	if err := decode(spec.Chaos.Spec, &read, "stressors", "containerNames", "duration", "mode", "value"); err != nil {
		return nil, err
	}
	if err := checkStressors(spec.Chaos.Spec); err != nil {
		return nil, err
	}
	lasts, err := lasting(spec, read.Duration)
	if err != nil {
		return nil, err
	}
	if err := checkMode(&read.PodSelector, v1alpha1.AllMode); err != nil {
		return nil, err
	}
	by := &usage{}
	var asked []string
	if cpu := read.Stressors.CPUStressor; cpu != nil {
		load := 100
		if cpu.Load != nil {
			load = *cpu.Load
		}
		if cpu.Workers < 1 || load < 1 || load > 100 {
			return nil, errors.New("chaos.spec.stressors.cpu: workers must be 1 or more, and load 1 to 100")
		}
		by.cores = float64(cpu.Workers*load) / 100
		asked = append(asked, fmt.Sprintf("cpu %d × %d %%", cpu.Workers, load))
	}
	if memory := read.Stressors.MemoryStressor; memory != nil {
		if by.memory, by.share, err = memorySize(memory); err != nil {
			return nil, err
		}
		asked = append(asked, "memory "+memory.Size)
	}
	f := &chaos{
		name: "StressChaos " + strings.Join(asked, ", "), kind: v1alpha1.KindStressChaos, lasting: lasts, evidence: by,
		object: func(lasting time.Duration, t Target) chaosObject {
			obj := &v1alpha1.StressChaos{Spec: *read.DeepCopy()}
			obj.Spec.Duration = new(lasting.String())
			if len(obj.Spec.ContainerNames) == 0 && t.Container != "" {
				obj.Spec.ContainerNames = []string{t.Container}
			}
			return obj
		},
	}
	return f, accept(context.Background(), f.object(lasts, Target{}))
}

// checkStressors refuses what is not served of the stressors.
func checkStressors(raw json.RawMessage) error {
	const example = "stressors: {cpu: {workers: 1, load: 80}}"
	if err := checkPart(raw, "stressors", &v1alpha1.Stressors{}, []string{"cpu", "memory"}, example); err != nil {
		return err
	}
	var head struct {
		Stressors map[string]json.RawMessage `json:"stressors"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return fmt.Errorf("chaos.spec: %w", err)
	}
	if len(head.Stressors) == 0 {
		return errors.New("chaos.spec.stressors is empty: write, for example, " + example)
	}
	if cpu := head.Stressors["cpu"]; cpu != nil {
		if err := checkKeys("chaos.spec.stressors.cpu", cpu, &v1alpha1.CPUStressor{}, []string{"workers", "load"}); err != nil {
			return err
		}
	}
	if memory := head.Stressors["memory"]; memory != nil {
		return checkKeys("chaos.spec.stressors.memory", memory, &v1alpha1.MemoryStressor{}, []string{"workers", "size", "oomScoreAdj"})
	}
	return nil
}

// memorySize is what a memory stressor is to use, in bytes or as a share of the
// node's memory.
func memorySize(memory *v1alpha1.MemoryStressor) (bytes, share float64, err error) {
	if memory.Workers < 1 {
		return 0, 0, errors.New("chaos.spec.stressors.memory.workers must be 1 or more")
	}
	if number, percent := strings.CutSuffix(memory.Size, "%"); percent {
		p, err := strconv.ParseFloat(number, 64)
		if err == nil && p > 0 && p <= 100 {
			return 0, p / 100, nil
		}
	} else if size, err := units.FromHumanSize(memory.Size); err == nil && size > 0 {
		return float64(size), 0, nil
	}
	return 0, 0, fmt.Errorf("chaos.spec.stressors.memory.size: bad size %q: write, for example, 128MB or 10%%", memory.Size)
}

// usage is the evidence of stress: what processes that are new in a pod are after, and
// what the pod's cgroup counts of memory.
type usage struct {
	cores  float64 // that are to be kept busy; 0 if no processor is
	memory float64 // bytes that are to be used; 0 if no memory is, or a share
	share  float64 // of the node's memory

	noted notes[used]
}

// used is what a pod used.
type used struct {
	cores  map[string]float64 // that each process ran on or waited for, on average
	memory float64            // at the end
}

// span is what is averaged over.
const span = time.Second

func (u *usage) before(ctx context.Context, t Target, pods []corev1.Pod) error {
	all, err := t.use(ctx, pods)
	if err != nil {
		return err
	}
	for pod, use := range all {
		u.noted.put(pod, use)
	}
	return nil
}

// during waits, while ctx lasts, until every pod uses more than before, by half of
// what was asked for at least, as far as its limits and its node let it.
func (u *usage) during(ctx context.Context, t Target, hits []hit) (Effect, error) {
	var failure error
	effect := untilShown(ctx, func() Effect {
		var seen Effect
		seen, failure = u.look(ctx, t, hits)
		return seen
	})
	if effect.Because != "" { // it was measured once at least
		return effect, nil
	}
	return effect, failure
}

func (u *usage) look(ctx context.Context, t Target, hits []hit) (Effect, error) {
	pods, err := t.living(ctx, hits)
	if err != nil {
		return Effect{}, err
	}
	if len(pods) == 0 {
		return Effect{Because: "no pod under the fault is alive"}, nil
	}
	all, err := t.use(ctx, pods)
	if err != nil {
		return Effect{}, err
	}
	var seen tally
	for _, pod := range pods {
		room, err := t.room(ctx, pod)
		if err != nil {
			return Effect{}, err
		}
		u.compare(&seen, pod, all, room)
	}
	return seen.effect("asked for " + u.asked()), nil
}

func (u *usage) asked() string {
	var asked []string
	if u.cores > 0 {
		asked = append(asked, fmt.Sprintf("%.2f cores", u.cores))
	}
	if u.memory > 0 {
		asked = append(asked, inBytes(u.memory))
	}
	if u.share > 0 {
		asked = append(asked, fmt.Sprintf("%g %% of the node's memory", 100*u.share))
	}
	return strings.Join(asked, " and ") + " more, at least half of it must show"
}

func (u *usage) compare(seen *tally, pod corev1.Pod, all map[types.UID]used, room room) {
	now, known := all[pod.UID]
	before, noted := u.noted.get(pod.UID)
	if !known || !noted {
		seen.doubt(fmt.Sprintf("pod %s could not be measured before and during", pod.Name))
		return
	}
	var said []string
	enough := true
	if u.cores > 0 {
		var more float64
		for process, cores := range now.cores {
			if _, old := before.cores[process]; !old {
				more += cores
			}
		}
		enough = more >= min(u.cores, room.cores)/2
		said = append(said, fmt.Sprintf("has new processes that run on or wait for %.2f cores", more))
	}
	if asked := max(u.memory, u.share*room.memory); asked > 0 {
		more := now.memory - before.memory
		enough = enough && more >= min(asked, room.memory)/2
		said = append(said, fmt.Sprintf("uses %s of memory more than before", inBytes(max(0, more))))
	}
	text := fmt.Sprintf("pod %s %s", pod.Name, strings.Join(said, " and "))
	if enough {
		seen.shows(pod.Name, text)
	} else {
		seen.doubt(text + " only")
	}
}

// room is what a pod can use at most: its limits, where it has any, or its node.
type room struct{ cores, memory float64 }

func (t Target) room(ctx context.Context, pod corev1.Pod) (room, error) {
	var node corev1.Node
	if err := t.Client.Get(ctx, client.ObjectKey{Name: pod.Spec.NodeName}, &node); err != nil {
		return room{}, fmt.Errorf("look at node %s: %w", pod.Spec.NodeName, err)
	}
	most := room{node.Status.Capacity.Cpu().AsApproximateFloat64(), node.Status.Capacity.Memory().AsApproximateFloat64()}
	for _, container := range pod.Spec.Containers {
		if limit, limited := container.Resources.Limits[corev1.ResourceCPU]; limited {
			most.cores = min(most.cores, limit.AsApproximateFloat64())
		}
		if limit, limited := container.Resources.Limits[corev1.ResourceMemory]; limited {
			most.memory = min(most.memory, limit.AsApproximateFloat64())
		}
	}
	return most, nil
}

// use is what each pod uses.
func (t Target) use(ctx context.Context, pods []corev1.Pod) (map[types.UID]used, error) {
	began, err := t.stats(ctx, pods)
	if err != nil {
		return nil, err
	}
	if !pause(ctx, span) {
		return nil, ctx.Err()
	}
	ended, err := t.stats(ctx, pods)
	if err != nil {
		return nil, err
	}
	all := map[types.UID]used{}
	for pod, now := range ended {
		was, known := began[pod]
		if !known || !now.At.After(was.At) {
			continue
		}
		cores := map[string]float64{}
		for process, wanted := range now.Wanted {
			cores[process] = (wanted - was.Wanted[process]).Seconds() / now.At.Sub(was.At).Seconds()
		}
		all[pod] = used{cores, float64(now.Memory)}
	}
	return all, nil
}

// stats are read on the pods' nodes.
func (t Target) stats(ctx context.Context, pods []corev1.Pod) (map[types.UID]podstat.Stat, error) {
	if t.OnNodes == nil {
		return nil, errors.New("what pods use cannot be read: this cluster's provider cannot run a program on its nodes")
	}
	ask := []string{podstat.Command}
	for _, pod := range pods {
		ask = append(ask, string(pod.UID))
	}
	printed, err := t.OnNodes(ctx, ask...)
	if err != nil {
		return nil, fmt.Errorf("read what pods use: %w", err)
	}
	all := map[types.UID]podstat.Stat{}
	for node, text := range printed {
		if strings.TrimSpace(text) == "" {
			continue // a node that is down
		}
		stats, err := podstat.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", node, err)
		}
		for _, stat := range stats {
			all[types.UID(stat.UID)] = stat
		}
	}
	return all, nil
}
