package experiment

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/gates"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/release"
)

// jobs runs the Jobs of gates in the run's namespace, with which they go.
type jobs struct {
	run  *run
	made *atomic.Int64 // numbers them: a name is used once
}

var _ gates.Jobs = jobs{}

// jobContainer is the name of the only container of a Job.
const jobContainer = "gate"

// Run implements [gates.Jobs]. The Job is gone when it returns, or going.
func (j jobs) Run(ctx context.Context, name string, job gates.Job, env map[string]string) (gates.Exit, error) {
	r := j.run
	for _, v := range []history.Version{history.Baseline, history.Candidate} {
		pod, err := r.readyPod(ctx, v)
		if err != nil {
			return gates.Exit{}, err
		}
		env[gates.URLVariable(v)] = "http://" + pod
	}
	made := j.manifest(name, job, env)
	if err := r.client.Create(ctx, made); err != nil {
		return gates.Exit{}, fmt.Errorf("the Job cannot be made: %w", err)
	}
	defer func() {
		deleting, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		// What stays goes with the namespace.
		_ = r.client.Delete(deleting, made, client.PropagationPolicy(metav1.DeletePropagationBackground))
	}()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	last := "it has no pod"
	for {
		pod, err := j.pod(ctx, made.Name)
		if err == nil && pod != nil {
			var state jobState
			if state, last = stateOf(pod); state == jobEnded {
				return j.exit(ctx, pod)
			} else if state == jobHopeless {
				return gates.Exit{}, fmt.Errorf("its container does not run: %s", last)
			}
		}
		select {
		case <-ctx.Done():
			return gates.Exit{}, fmt.Errorf("the Job did not end: %s", last)
		case <-look.C:
		}
	}
}

func (j jobs) manifest(name string, job gates.Job, env map[string]string) *batchv1.Job {
	r := j.run
	labels := map[string]string{release.RunLabel: r.id, "cutover.dev/gate": fmt.Sprint(j.made.Add(1))}
	container := corev1.Container{
		Name: jobContainer, Image: r.app.Images[job.Image], ImagePullPolicy: corev1.PullIfNotPresent, Command: job.Command, Args: job.Args,
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
	for _, variable := range slices.Sorted(maps.Keys(env)) {
		container.Env = append(container.Env, corev1.EnvVar{Name: variable, Value: env[variable]})
	}
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "cutover-gate-" + labels["cutover.dev/gate"], Labels: labels, Annotations: map[string]string{"cutover.dev/gate-name": name}},
		Spec: batchv1.JobSpec{
			BackoffLimit: new(int32),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					Containers: []corev1.Container{container}, RestartPolicy: corev1.RestartPolicyNever,
					AutomountServiceAccountToken: new(bool), EnableServiceLinks: new(bool), TerminationGracePeriodSeconds: new(int64),
				},
			},
		},
	}
}

// pod is the Job's only one; nil while there is none.
func (j jobs) pod(ctx context.Context, job string) (*corev1.Pod, error) {
	var pods corev1.PodList
	err := j.run.client.List(ctx, &pods, client.InNamespace(j.run.namespace), client.MatchingLabels{batchv1.JobNameLabel: job})
	if err != nil || len(pods.Items) == 0 {
		return nil, err
	}
	return &pods.Items[0], nil
}

type jobState int

const (
	jobUnderway jobState = iota
	jobEnded
	jobHopeless
)

// hopeless are the reasons for which a container that waits will not start by
// waiting.
var hopeless = []string{"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError", "RunContainerError"}

// stateOf says how far a Job's pod is, in a word and in words.
func stateOf(pod *corev1.Pod) (jobState, string) {
	for _, status := range pod.Status.ContainerStatuses {
		switch {
		case status.State.Terminated != nil:
			return jobEnded, ""
		case status.State.Waiting != nil:
			waiting := status.State.Waiting
			said := strings.TrimSuffix(waiting.Reason+": "+waiting.Message, ": ")
			if slices.Contains(hopeless, waiting.Reason) {
				return jobHopeless, said
			}
			return jobUnderway, said
		}
	}
	if pod.Status.Phase == corev1.PodFailed { // evicted, or its node is gone
		return jobHopeless, strings.TrimSuffix(pod.Status.Reason+": "+pod.Status.Message, ": ")
	}
	return jobUnderway, fmt.Sprintf("its pod is %s", pod.Status.Phase)
}

// neverRan are the reasons with which the runtime ends a container that it could not
// start: the exit code is then its own, and not the program's.
var neverRan = []string{"StartError", "ContainerCannotRun", "ContainerStatusUnknown"}

// exit is how the container ended and the last that it said.
func (j jobs) exit(ctx context.Context, pod *corev1.Pod) (gates.Exit, error) {
	ended := pod.Status.ContainerStatuses[0].State.Terminated
	if slices.Contains(neverRan, ended.Reason) {
		return gates.Exit{}, fmt.Errorf("its container could not be started: %s: %s", ended.Reason, ended.Message)
	}
	exit := gates.Exit{Code: int(ended.ExitCode)}
	if ended.Reason == "OOMKilled" {
		return exit, fmt.Errorf("its container ran out of memory")
	}
	exit.Output = gates.LastLines(j.said(ctx, pod))
	return exit, nil
}

// said is the end of the container's log, if it can be had: the code is what counts.
func (j jobs) said(ctx context.Context, pod *corev1.Pod) []byte {
	set, err := kubernetes.NewForConfig(j.run.Cluster.REST())
	if err != nil {
		return nil
	}
	stream, err := set.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Container: jobContainer, TailLines: new(int64(20))}).Stream(ctx)
	if err != nil {
		return nil
	}
	defer stream.Close()
	output, _ := io.ReadAll(io.LimitReader(stream, 1<<16)) // what there is of it
	return output
}
