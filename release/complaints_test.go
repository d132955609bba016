package release

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// What a pod and its events say must lead to what is to be changed.
func TestComplaintsLeadToARemedy(t *testing.T) {
	const remedies = "env, command and args; architecture; not in the image; may not be executed; app.writable; 0.0.0.0; app.readiness.path; app.readiness.timeout"
	for _, row := range []struct {
		why, message string
		said         func(string) string
		want         []string // words of the complaint; it holds no other remedy than these
	}{
		{"built for another machine", "exec /app/odd: exec format error", afterEnd, []string{"exec format error", "architecture"}},
		{"a path that is not there", `runc create failed: exec: "/app/x": stat /app/x: no such file or directory`, afterEnd, []string{"not in the image"}},
		{"a name that is not there", `exec: "odd": executable file not found in $PATH`, afterEnd, []string{"not in the image"}},
		{"not executable", `exec: "/etc/passwd": permission denied`, afterEnd, []string{"may not be executed"}},
		{"nowhere to write", "open /tmp/pid: no such file or directory", afterEnd, []string{"app.writable"}},
		{"nor there", `mkdir() "/var/cache/nginx/client_temp" failed (13: Permission denied)`, afterEnd, []string{"app.writable"}},
		{"its own reasons", "DATABASE_URL is not set", afterEnd, []string{`"DATABASE_URL is not set"`, "env, command and args"}},
		{"silent", "", afterEnd, []string{"not a word", "env, command and args"}},
		{"only the end of a long log", strings.Repeat("chatter\n", 50) + "at last", afterEnd, []string{`and "at last"`, "| at last", "env, command and args"}},
		{"another port, or loopback", "Readiness probe failed: dial tcp 10.0.0.1:8080: connect: connection refused", probeRemedy, []string{"0.0.0.0"}},
		{"another path", "Readiness probe failed: HTTP probe failed with statuscode: 404", probeRemedy, []string{"app.readiness.path"}},
		{"slow", "Readiness probe failed: Get http://10.0.0.1: context deadline exceeded", probeRemedy, []string{"app.readiness.timeout"}},
		{"no probe", "Back-off restarting: connection refused", probeRemedy, nil},
	} {
		got := row.said(row.message)
		for _, want := range row.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q lacks %q", row.why, got, want)
			}
		}
		for remedy := range strings.SplitSeq(remedies, "; ") {
			if strings.Contains(got, remedy) && !strings.Contains(strings.Join(row.want, " "), remedy) {
				t.Errorf("%s: %q speaks of %q", row.why, got, remedy)
			}
		}
		if strings.Count(got, "\n") > maxLastWords+1 {
			t.Errorf("%s: too long:\n%s", row.why, got)
		}
	}
}

// afterEnd is what is said of a container that ended with the message.
func afterEnd(message string) string {
	status := corev1.ContainerStatus{
		State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 10s"}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 1, Message: message}},
	}
	return remedy(status) + complaint(status)
}
