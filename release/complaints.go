package release

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/history"
)

// complaints are what pods and events have to say. They are gathered with time of
// their own: the caller's is usually over when they are needed.
func (i *Installation) complaints(ctx context.Context, v history.Version) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	names := map[string]bool{i.workload(v): true}
	if hash, known := i.Pods.Hash(v); known {
		names[i.workload(v)+"-"+hash] = true // its ReplicaSet
	}
	pods, err := i.pods(ctx, v)
	if err != nil {
		return fmt.Sprintf("\n  (what the pods say could not be read: %v)", err)
	}
	var text strings.Builder
	told, crashing := map[string]bool{}, false // what one pod says, its replicas say too
	for _, pod := range pods {
		names[pod.Name] = true
		for _, status := range pod.Status.ContainerStatuses {
			crashing = crashing || isCrashing(status)
			if said := complaint(status); said != "" && !told[said] {
				told[said] = true
				fmt.Fprintf(&text, "\n  pod %s %s", pod.Name, said)
			}
		}
	}
	for _, event := range i.warnings(ctx, names) {
		if crashing && slices.Contains(ofTheDead, event.Reason) {
			continue
		}
		fmt.Fprintf(&text, "\n  event on %s: %s: %s%s", event.InvolvedObject.Name, event.Reason, event.Message, probeRemedy(event.Message))
	}
	return text.String()
}

// ofTheDead are events that follow from a process having ended, or say it again.
var ofTheDead = []string{"Unhealthy", "Failed", "BackOff"}

func isCrashing(status corev1.ContainerStatus) bool {
	return status.State.Waiting != nil && status.State.Waiting.Reason == "CrashLoopBackOff"
}

// complaint says what keeps a container from serving; "" if nothing does.
func complaint(status corev1.ContainerStatus) string {
	var said []string
	switch waiting := status.State.Waiting; {
	case isCrashing(status): // its message names the pod and a pause
		said = append(said, "waits: "+waiting.Reason)
	case waiting != nil:
		said = append(said, fmt.Sprintf("waits: %s: %s", waiting.Reason, waiting.Message))
	case !status.Ready:
		said = append(said, "runs but does not pass its readiness probe")
	}
	if ended := status.LastTerminationState.Terminated; ended != nil {
		said = append(said, fmt.Sprintf("ended before: %s, exit code %d%s", ended.Reason, ended.ExitCode, lastWords(ended.Message)))
	}
	return strings.Join(said, "; ")
}

// maxLastWords bounds how much of a log stands in an error. The record has all of it.
const maxLastWords = 10

// lastWords are the end of a container's log, or what the node said of its start.
func lastWords(message string) string {
	message = strings.TrimSpace(message)
	if message == "" {
		return ""
	}
	lines := strings.Split(message, "\n")
	lines = lines[max(0, len(lines)-maxLastWords):]
	return "\n    | " + strings.Join(lines, "\n    | ")
}

// keepsEnding says in a line what a process that ends again and again ended with,
// and what to do.
func keepsEnding(ended *corev1.ContainerStateTerminated) string {
	if ended == nil {
		return "its process keeps ending"
	}
	said := "not a word on standard error or output"
	if message := strings.TrimSpace(ended.Message); message != "" {
		said = strconv.Quote(message[strings.LastIndexByte(message, '\n')+1:])
	}
	return fmt.Sprintf("its process keeps ending, with exit code %d and %s: %s", ended.ExitCode, said, startRemedy(ended.Message))
}

// startRemedy says what to do about the words of a node or a loader that could not
// start a program, or of a program that ended.
func startRemedy(message string) string {
	switch {
	case strings.Contains(message, "exec format error"):
		return "the program is for another architecture than the node, or a script without #!: bring the image of the node's platform"
	case strings.Contains(message, "exec") && (strings.Contains(message, "no such file or directory") || strings.Contains(message, "not found in $PATH")):
		return "the program is not in the image, or the interpreter or loader that it needs is not: check entrypoint and command"
	case strings.Contains(message, "permission denied") && strings.Contains(message, "exec"):
		return "the program may not be executed by the image's user: check its mode"
	case strings.Contains(message, "/tmp") && strings.Contains(message, "no such file or directory"),
		strings.Contains(strings.ToLower(message), "read-only file system"), strings.Contains(strings.ToLower(message), "permission denied"):
		return "if that is a folder it wants to write to: name the folder under app.writable"
	}
	return "check the version's env, command and args"
}

// probeRemedy says what to do about a probe that failed; "" if it is no such event.
func probeRemedy(message string) string {
	switch {
	case !strings.HasPrefix(message, "Readiness probe failed"):
		return ""
	case strings.Contains(message, "connection refused"):
		return ": nothing listens there; the process must listen on the http port of app.ports, on 0.0.0.0 and not on 127.0.0.1 alone"
	case strings.Contains(message, "statuscode"):
		return ": it must answer 200 to 399; correct app.readiness.path"
	case strings.Contains(message, "deadline exceeded"), strings.Contains(message, "timeout"):
		return ": it answers later than app.readiness.timeout allows"
	}
	return ""
}

// warnings are the last three warning events on the named objects, one of each sort.
// A failure to read them costs only words in an error that is being returned already.
func (i *Installation) warnings(ctx context.Context, names map[string]bool) []corev1.Event {
	var events corev1.EventList
	if err := i.Client.List(ctx, &events, client.InNamespace(i.Namespace)); err != nil {
		return nil
	}
	found := slices.DeleteFunc(events.Items, func(e corev1.Event) bool {
		return e.Type != corev1.EventTypeWarning || !names[e.InvolvedObject.Name]
	})
	slices.SortStableFunc(found, func(a, b corev1.Event) int { return lastSeen(b).Compare(lastSeen(a)) })
	told := map[string]bool{}
	found = slices.DeleteFunc(found, func(e corev1.Event) bool {
		again := told[e.Reason]
		told[e.Reason] = true
		return again
	})
	return found[:min(len(found), 3)]
}

// lastSeen is when an event last happened: which field says so depends on the
// component that wrote it.
func lastSeen(e corev1.Event) time.Time {
	if e.LastTimestamp.IsZero() {
		return e.EventTime.Time
	}
	return e.LastTimestamp.Time
}
