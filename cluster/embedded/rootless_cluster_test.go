package embedded

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/cutover-dev/cutover/cluster/embedded/components"
)

// somebody is a user that no machine knows, with no range of users of his own and
// no cgroup that he may write to: the least that a cluster can have.
const somebody = 41234

// ordinary is a user's side of a cluster: the program, and folders that are his.
type ordinary struct {
	t            *testing.T
	program      string
	home, shared string
}

func newOrdinary(ctx context.Context, t *testing.T) ordinary {
	t.Helper()
	binary := os.Getenv("CUTOVER_BINARY")
	switch {
	case testing.Short():
		t.Skip("it starts real clusters")
	case os.Geteuid() != 0:
		t.Skip("it needs root, to become somebody else")
	case binary == "":
		t.Skip("CUTOVER_BINARY does not name the program; `make test` does")
	}
	programs, err := components.Ensure(ctx, os.Stderr, components.Embedded)
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir, whose path is too long for sockets.
	base, err := os.MkdirTemp("", "rl-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(base); err != nil {
			t.Error(err)
		}
	})
	o := ordinary{t: t, program: filepath.Join(base, "cutover"), home: filepath.Join(base, "home"), shared: filepath.Join(base, "components")}
	for _, dir := range []string{o.home, o.shared} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(base, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(o.home, somebody, somebody); err != nil {
		t.Fatal(err)
	}
	copies := map[string]string{binary: o.program}
	built, err := os.ReadDir(programs.Path(""))
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range built {
		copies[programs.Path(program.Name())] = filepath.Join(o.shared, program.Name())
	}
	for from, to := range copies {
		if os.Link(from, to) == nil {
			continue
		}
		if err := copyFile(from, to, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// cutover runs the program as the ordinary user, and must succeed.
func (o ordinary) cutover(ctx context.Context, arguments ...string) string {
	o.t.Helper()
	output, err := o.run(ctx, arguments...)
	if err != nil {
		o.t.Fatalf("cutover %s: %v\n%s", strings.Join(arguments, " "), err, output)
	}
	return output
}

func (o ordinary) run(ctx context.Context, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, o.program, arguments...)
	command.Dir = o.home
	command.Env = []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "HOME=" + o.home, "CUTOVER_COMPONENTS=" + o.shared}
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: somebody, Gid: somebody}}
	output, err := command.CombinedOutput()
	return string(output), err
}

func (o ordinary) state(cluster string) state {
	return state(filepath.Join(o.home, ".local/share/cutover/clusters", cluster))
}

// nothingLeft waits until nothing of him runs and his folder of data is gone.
func (o ordinary) nothingLeft(ctx context.Context) {
	o.t.Helper()
	var left []string
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		left = left[:0]
		if _, err := os.Stat(filepath.Join(o.home, ".local/share/cutover")); !os.IsNotExist(err) {
			left = append(left, "state of a cluster")
		}
		processes, _ := filepath.Glob("/proc/[0-9]*")
		for _, process := range processes {
			if info, err := os.Stat(process); err == nil && info.Sys().(*syscall.Stat_t).Uid == somebody {
				left = append(left, process)
			}
		}
		return len(left) == 0, nil
	})
	if err != nil {
		o.t.Errorf("left behind: %q", left)
	}
}

func TestAClusterWithoutRoot(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	o := newOrdinary(ctx, t)
	said := o.cutover(ctx, "cluster", "up", "--name", "rl")
	// What he has to do without is said.
	for _, name := range []string{ownGroups, "other users"} {
		if !strings.Contains(said, "rootless   "+name) {
			t.Errorf("%s is not in:\n%s", name, said)
		}
	}
	o.answers(ctx, "rl")
	o.refusesAnotherUser(ctx, "rl")
	o.cutover(ctx, "cluster", "down", "--name", "rl")
	o.nothingLeft(ctx)

	// Nobody is left to remove it but the next to come.
	o.cutover(ctx, "cluster", "up", "--name", "rl")
	sp, err := o.state("rl").read()
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(sp.Janitor.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	err = wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		said, err = o.run(ctx, "clean") // while the cluster is dying, it fails
		return err == nil && strings.Contains(said, "cluster rl"), nil
	})
	if err != nil {
		t.Errorf("clean says: %s", said)
	}
	o.nothingLeft(ctx)
}

func (o ordinary) client(cluster string) kubernetes.Interface {
	o.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", o.state(cluster).kubeconfig())
	if err != nil {
		o.t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		o.t.Fatal(err)
	}
	return client
}

// answers dials a pod of the cluster, which is that of its DNS.
func (o ordinary) answers(ctx context.Context, cluster string) {
	o.t.Helper()
	client := o.client(cluster)
	asks := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return dialInside(ctx, o.state(cluster).sockets(), address)
		},
	}}
	last := "no pod"
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		pods, err := client.CoreV1().Pods("kube-system").List(ctx, metav1.ListOptions{LabelSelector: "k8s-app=kube-dns"})
		if err != nil || len(pods.Items) == 0 || pods.Items[0].Status.PodIP == "" {
			return false, nil // not yet
		}
		response, err := asks.Get("http://" + pods.Items[0].Status.PodIP + ":8181/ready")
		if err != nil {
			last = err.Error()
			return false, nil
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		last = fmt.Sprintf("%s %s", response.Status, body)
		return response.StatusCode == http.StatusOK && string(body) == "OK", nil
	})
	if err != nil {
		o.t.Errorf("no pod of the cluster answers: %v (last: %s)", err, last)
	}
}

// refusesAnotherUser asks for a user that the cluster has not, and must be told so.
func (o ordinary) refusesAnotherUser(ctx context.Context, cluster string) {
	o.t.Helper()
	client := o.client(cluster)
	user := int64(65532)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "another"}, Spec: corev1.PodSpec{
		AutomountServiceAccountToken: new(false),
		Containers:                   []corev1.Container{{Name: "another", Image: pauseImage, SecurityContext: &corev1.SecurityContext{RunAsUser: &user}}},
	}}
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().Pods("default").Create(ctx, pod, metav1.CreateOptions{})
		return err == nil, nil // its namespace's service account takes a moment
	})
	if err != nil {
		o.t.Fatal(err)
	}
	last := ""
	err = wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		now, err := client.CoreV1().Pods("default").Get(ctx, "another", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		for _, status := range now.Status.ContainerStatuses {
			if waiting := status.State.Waiting; waiting != nil && waiting.Message != "" {
				last = waiting.Message
			}
			if ended := status.State.Terminated; ended != nil {
				last = ended.Message
			}
		}
		return strings.Contains(last, "user 65532") && strings.Contains(last, "/etc/subuid"), nil
	})
	if err != nil {
		o.t.Errorf("a pod that runs as a user that there is not is told %q", last)
	}
}
