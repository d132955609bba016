package release

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/cutover-dev/cutover/history"
)

func TestDeploy(t *testing.T) {
	c := builder(t).WithObjects(replicaSet("shop", "aaa"), replicaSet("shop-candidate", "bbb")).Build()
	i := installation(c, &sink{})
	for _, v := range []history.Version{history.Baseline, history.Candidate, history.Candidate} {
		if err := i.Deploy(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	if hash, _ := i.Pods.Hash(history.Candidate); hash != "bbb" {
		t.Errorf("the candidate's hash is %q", hash)
	}
	for service, deployment := range map[string]string{"shop": "shop", "shop-baseline": "shop", "shop-candidate": "shop-candidate"} {
		var found corev1.Service
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: "run-1", Name: service}, &found); err != nil {
			t.Fatal(err)
		}
		if found.Spec.Selector[DeploymentLabel] != deployment {
			t.Errorf("Service %s selects %v", service, found.Spec.Selector)
		}
	}
	deployment := &appsv1.Deployment{}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(i.empty(history.Candidate)), deployment); err != nil {
		t.Fatal(err)
	}
	if *deployment.Spec.Replicas != 3 || deployment.Spec.Template.Labels[DeploymentLabel] != "shop-candidate" {
		t.Errorf("the candidate is %+v", deployment.Spec)
	}
}

// A cluster whose controllers are down leaves the version without a hash.
func TestDeployWithoutController(t *testing.T) {
	i := installation(builder(t).Build(), &sink{})
	err := i.Deploy(within(t, 300*time.Millisecond), history.Baseline)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "it has no revision") {
		t.Errorf("got %v", err)
	}
}

func TestContainer(t *testing.T) {
	i := installation(nil, &sink{})
	container := i.App.container(history.Candidate, "image")
	if got := container.Env; len(got) != 2 || got[0].Name != "CURRENCY" || got[1].Value != "v2" {
		t.Errorf("env is not merged and sorted: %v", got)
	}
	if got := container.Lifecycle.PreStop.Sleep.Seconds; got != 2 {
		t.Errorf("a drain of 1.5 s became %d", got)
	}
	if probe := container.ReadinessProbe; probe.HTTPGet.Path != "/ready" || probe.TimeoutSeconds != 1 {
		t.Errorf("probe is %+v", probe)
	}
	i.App.Command, i.App.Candidate.Command = []string{"/shop"}, []string{"/shop", "--new"}
	i.App.Writable = []string{"/tmp", "/var/cache"}
	if got := i.App.container(history.Candidate, "image"); len(got.Command) != 2 || len(got.VolumeMounts) != 2 || got.VolumeMounts[1].MountPath != "/var/cache" {
		t.Errorf("the candidate's own command and two writable folders: %+v", got)
	}
	if got := i.App.container(history.Baseline, "image"); len(got.Command) != 1 {
		t.Errorf("the baseline runs %v, want the app's command", got.Command)
	}
	for n, volume := range i.App.volumes() {
		if volume.EmptyDir == nil || volume.Name != i.App.mounts()[n].Name {
			t.Errorf("volume %d is %+v", n, volume)
		}
	}
	i.App.Drain, i.App.Readiness.Path, i.App.Command, i.App.Writable = 0, "", nil, nil
	container = i.App.container(history.Baseline, "image")
	if container.Lifecycle != nil || container.ReadinessProbe.TCPSocket == nil || container.Args != nil || container.Command != nil || container.VolumeMounts != nil {
		t.Errorf("want no drain, a TCP probe, no command, no args and no volumes: %+v", container)
	}
}

func TestUnresolvedImage(t *testing.T) {
	i := installation(builder(t).Build(), &sink{})
	i.App.Candidate.Image = "ko://./apps/other"
	err := i.Deploy(t.Context(), history.Candidate)
	if err == nil || !strings.Contains(err.Error(), `"ko://./apps/other"`) {
		t.Errorf("got %v", err)
	}
}

// deployed is a Deployment as its controller reports it.
func deployed(want, ready int32, observed int64) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "run-1", Name: "shop", Generation: 2},
		Spec:       appsv1.DeploymentSpec{Replicas: &want},
		Status: appsv1.DeploymentStatus{
			ObservedGeneration: observed, Replicas: want, UpdatedReplicas: want, ReadyReplicas: ready, AvailableReplicas: ready,
		},
	}
}

func waiting(reason string) *corev1.Pod { return waitingFor(reason, "said the kubelet") }

func waitingFor(reason, message string) *corev1.Pod {
	pod := podOf("shop", "shop-aaa-1", "aaa", "")
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 7}},
	}}
	return pod
}

func warning(object, message string) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "run-1", Name: object + ".1"},
		Type:           corev1.EventTypeWarning,
		Reason:         "Failed",
		Message:        message,
		InvolvedObject: corev1.ObjectReference{Name: object},
	}
}

func TestAwaitReady(t *testing.T) {
	for _, test := range []struct {
		name    string
		objects []client.Object
		want    []string // words of the error; none if it is ready
		fast    bool     // must not wait for the deadline
	}{
		// rolled out and in the Service
		{"ready", []client.Object{deployed(2, 2, 2), slice("shop-baseline", true, true)}, nil, true},
		// status still speaks of the form before
		{"stale status", []client.Object{deployed(2, 2, 1), slice("shop-baseline", true, true)}, []string{"not observed"}, false},
		// one pod short
		{"half", []client.Object{deployed(2, 1, 2), slice("shop-baseline", true)}, []string{"1 of 2 pods"}, false},
		// pods are ready, the gateway cannot know yet
		{"not in the Service", []client.Object{deployed(2, 2, 2), slice("shop-baseline", true, false)}, []string{"1 of 2 ready endpoints"}, false},
		// an image that nobody will bring
		{"no image", []client.Object{deployed(2, 0, 2), waiting("ErrImagePull"), warning("shop-aaa-1", "no such image")},
			[]string{"ErrImagePull", "load it", "said the kubelet", "no such image"}, true},
		// a process that keeps ending
		{"crash loop", []client.Object{deployed(2, 0, 2), waiting("CrashLoopBackOff")}, []string{"CrashLoopBackOff", "exit code 7"}, true},
		// an image that does not say what to run
		{"no command", []client.Object{deployed(2, 0, 2), waitingFor("CreateContainerError", "failed to generate spec: no command specified")}, []string{"app.command"}, true},
		// an image whose user has a name, and that has no /etc/passwd
		{"no such user", []client.Object{deployed(2, 0, 2), waitingFor("CreateContainerError", "failed to create containerd container: lstat etc: file does not exist")}, []string{"user by number"}, true},
		// a node too busy to create a container now
		{"busy node", []client.Object{deployed(2, 0, 2), waitingFor("CreateContainerError", "context deadline exceeded")}, []string{"0 of 2 pods"}, false},
		// creating a container is not a reason to give up
		{"starting", []client.Object{deployed(2, 0, 2), waiting("ContainerCreating")}, []string{"0 of 2 pods"}, false},
		// another version's trouble is none of ours
		{"not ours", []client.Object{deployed(2, 0, 2), warning("shop-candidate", "elsewhere")}, []string{"0 of 2 pods"}, false},
		// nothing to wait for
		{"never deployed", nil, []string{"not found"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := installation(builder(t).WithObjects(test.objects...).Build(), &sink{})
			ctx := within(t, 250*time.Millisecond)
			err := i.AwaitReady(ctx, history.Baseline)
			if (err == nil) != (test.want == nil) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			for _, words := range test.want {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%q lacks %q", err, words)
				}
			}
			if err != nil && strings.Contains(err.Error(), "elsewhere") {
				t.Errorf("%q tells another version's events", err)
			}
			if test.fast && ctx.Err() != nil {
				t.Error("it waited for the deadline")
			}
		})
	}
}

func TestRetire(t *testing.T) {
	pod := podOf("shop", "shop-aaa-1", "aaa", "10.0.0.1")
	c := builder(t).WithObjects(deployed(2, 2, 2), pod).Build()
	i := installation(c, &sink{})
	err := i.Retire(within(t, 250*time.Millisecond), history.Baseline)
	if err == nil || !strings.Contains(err.Error(), "shop-aaa-1") {
		t.Errorf("retired with a pod still there: %v", err)
	}
	if err := c.Delete(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	for _, v := range []history.Version{history.Baseline, history.Candidate} { // the candidate was never there
		if err := i.Retire(t.Context(), v); err != nil {
			t.Error(err)
		}
	}
	if state, err := i.look(t.Context(), history.Baseline); err != nil || state.want != 0 {
		t.Errorf("not scaled down: %+v %v", state, err)
	}
}

// What an API server cannot do now is asked again; what it will never do is not.
func TestApplyAgain(t *testing.T) {
	status := func(code int32) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Code: code, Message: "refused"}}
	}
	for _, test := range []struct {
		name    string
		answers []error
		ok      bool
	}{
		// somebody wrote at the same time
		{"conflict", []error{status(http.StatusConflict), nil}, true},
		// the API server is being disturbed
		{"overloaded", []error{status(http.StatusServiceUnavailable), status(http.StatusTooManyRequests), nil}, true},
		// errors of the connection and of the client's throttle have no code
		{"no answer", []error{io.ErrUnexpectedEOF, errors.New("rate: Wait(n=1) would exceed context deadline"), nil}, true},
		// the cluster lacks the kind altogether
		{"no kind", []error{&meta.NoKindMatchError{}}, false},
		// the object is wrong and stays wrong
		{"invalid", []error{status(http.StatusUnprocessableEntity)}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			attempt := 0
			c := builder(t).WithInterceptorFuncs(interceptor.Funcs{
				Apply: func(context.Context, client.WithWatch, runtime.ApplyConfiguration, ...client.ApplyOption) error {
					attempt++
					return test.answers[attempt-1]
				},
			}).Build()
			err := apply(t.Context(), c, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "run-1", Name: "shop"}})
			if (err == nil) != test.ok || attempt != len(test.answers) {
				t.Errorf("%d attempts, %v", attempt, err)
			}
		})
	}
}

// The deadline may fall into a look that fails: what was seen before it is what
// the reader needs.
func TestAwaitRemembers(t *testing.T) {
	looks := 0
	err := await(within(t, 250*time.Millisecond), func(context.Context) (string, error) {
		if looks++; looks == 1 {
			return "1 of 2 pods are ready", nil
		}
		return "", io.EOF
	})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 of 2 pods are ready; the last look failed: EOF") {
		t.Errorf("got %v", err)
	}
}
