package gateway

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

const image = "cutover.local/traefik:3.6.0"

func builder(t *testing.T) *fake.ClientBuilder {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, gatewayv1.Install, apiextensionsv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return fake.NewClientBuilder().WithScheme(scheme)
}

// The role must name every kind that is defined, or Traefik waits for ever for the
// one that it may not list.
func TestRoleCoversWatchedKinds(t *testing.T) {
	for group, plurals := range watched {
		var may []string
		for _, rule := range clusterRole().Rules {
			if slices.Contains(rule.APIGroups, group) && slices.Contains(rule.Verbs, "watch") {
				may = append(may, rule.Resources...)
			}
		}
		for _, plural := range plurals {
			if !slices.Contains(may, plural) {
				t.Errorf("the role lacks %s.%s", plural, group)
			}
		}
		if len(may) != len(plurals) {
			t.Errorf("the role reads %v of %s, more than is watched", may, group)
		}
	}
}

// names of all kinds that are watched.
func names() (names []string) {
	for group, plurals := range watched {
		for _, plural := range plurals {
			names = append(names, plural+"."+group)
		}
	}
	slices.Sort(names)
	return names
}

// archive makes one of definitions of the given kinds, and of what nobody watches: a kind
// of theirs, one of the same plural in another group, and what is no YAML at all.
func archive(t *testing.T, kinds ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "crds.tgz")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	compressed := gzip.NewWriter(file)
	packed := tar.NewWriter(compressed)
	pack := func(file, text string) {
		err = errors.Join(err, packed.WriteHeader(&tar.Header{Name: file, Mode: 0o644, Size: int64(len(text))}))
		_, failed := packed.Write([]byte(text))
		err = errors.Join(err, failed)
	}
	for _, kind := range slices.Concat(kinds, []string{"udproutes.gateway.networking.k8s.io", "tlsoptions.traefik.containo.us"}) {
		plural, group, _ := strings.Cut(kind, ".")
		pack(kind+".yaml", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: "+kind+"}\nspec: {group: "+group+", names: {plural: "+plural+"}}\n")
	}
	pack("reference.md", "# What all of this is\n\tand more: [")
	if err := errors.Join(err, packed.Close(), compressed.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func definitions(t *testing.T) []client.Object {
	t.Helper()
	all := names()
	read, err := Definitions(archive(t, all[:3]...), archive(t, all[3:]...))
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func TestDefinitions(t *testing.T) {
	var read []string
	for _, definition := range definitions(t) {
		read = append(read, definition.GetName())
	}
	if slices.Sort(read); !slices.Equal(read, names()) {
		t.Errorf("definitions of %v, want them of %v", read, names())
	}
	for _, row := range []struct{ comment, archive, want string }{
		{"one is missing", archive(t, names()[1:]...), "no definition of " + names()[0]},
		{"there is no archive", filepath.Join(t.TempDir(), "none"), "no such file"},
	} {
		if _, err := Definitions(row.archive); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v", row.comment, err)
		}
	}
}

func TestInstall(t *testing.T) {
	c := builder(t).Build()
	for range 2 { // the second run finds all of it there
		if err := Install(t.Context(), c, definitions(t), image, false); err != nil {
			t.Fatal(err)
		}
	}
	var gateway gatewayv1.Gateway
	if err := c.Get(t.Context(), Gateway(), &gateway); err != nil {
		t.Fatal(err)
	}
	if from := gateway.Spec.Listeners[0].AllowedRoutes.Namespaces.From; *from != gatewayv1.NamespacesFromAll {
		t.Errorf("routes are taken from %s", *from)
	}
}

// A cluster's own definitions of the Gateway API stay as they are.
func TestInstallLeavesWhatIsThere(t *testing.T) {
	theirs := definitions(t)[0].(*apiextensionsv1.CustomResourceDefinition)
	theirs.Annotations = map[string]string{"gateway.networking.k8s.io/bundle-version": "v1.4.0"}
	c := builder(t).WithObjects(theirs).Build()
	if err := Install(t.Context(), c, definitions(t), image, false); err != nil {
		t.Fatal(err)
	}
	var found apiextensionsv1.CustomResourceDefinition
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(theirs), &found); err != nil {
		t.Fatal(err)
	}
	if found.Annotations["gateway.networking.k8s.io/bundle-version"] != "v1.4.0" {
		t.Errorf("overwritten: %v", found.Annotations)
	}
}

func TestInstallErrors(t *testing.T) {
	unserved := &meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: gatewayv1.GroupName, Kind: "Gateway"}}
	for _, test := range []struct {
		name    string
		answers []error // of the first attempts to create the Gateway
		want    string
	}{
		// a kind just defined is served a moment later: waited for
		{"not served yet", []error{unserved, unserved, nil}, ""},
		// a refusal for good: reported at once
		{"forbidden", []error{errors.New("forbidden: no")}, "forbidden: no"},
	} {
		t.Run(test.name, func(t *testing.T) {
			attempt := 0
			c := builder(t).WithInterceptorFuncs(interceptor.Funcs{
				Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
					if _, ok := object.(*gatewayv1.Gateway); ok {
						attempt++
						if err := test.answers[attempt-1]; err != nil {
							return err
						}
					}
					return c.Create(ctx, object, options...)
				},
			}).Build()
			err := Install(t.Context(), c, definitions(t), image, false)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if attempt != len(test.answers) {
				t.Errorf("%d attempts, want %d", attempt, len(test.answers))
			}
		})
	}
}

func pod(name, ip string, ready corev1.ConditionStatus) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name, Labels: podLabels()},
		Status:     corev1.PodStatus{PodIP: ip, Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
	}
}

func TestEndpoint(t *testing.T) {
	leaving := pod("leaving", "10.0.0.1", corev1.ConditionTrue)
	leaving.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	leaving.Finalizers = []string{"test/keep"}
	pulling := pod("pulling", "", corev1.ConditionFalse)
	pulling.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such image"},
	}}}
	for _, test := range []struct {
		name string
		pods []client.Object
		want string // the pod, or words of the error
	}{
		// one ready among others: that one
		{"ready", []client.Object{leaving, pod("new", "10.0.0.2", corev1.ConditionTrue)}, "new"},
		// a pod on its way out takes no new load
		{"only a leaving one", []client.Object{leaving}, "pod leaving is Running"},
		// what the pod waits for is the first thing to know
		{"cannot start", []client.Object{pulling}, "ImagePullBackOff: no such image"},
		// nothing was created
		{"none", nil, "it has no pod"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
			defer cancel()
			ip, port, name, err := Endpoint(ctx, builder(t).WithObjects(test.pods...).Build())
			if err != nil {
				if !strings.Contains(err.Error(), test.want) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want %q", err, test.want)
				}
				return
			}
			if name != test.want || ip != "10.0.0.2" || port != webPort {
				t.Errorf("got %s at %s:%d, want %s", name, ip, port, test.want)
			}
		})
	}
}

// In a cluster whose only user is root the gateway asks for no other, and for no
// right more than elsewhere.
func TestOnlyRootIsAskedForLess(t *testing.T) {
	elsewhere, here := container(image, false).SecurityContext, container(image, true).SecurityContext
	if elsewhere.RunAsUser == nil || *elsewhere.RunAsUser == 0 {
		t.Errorf("where there are other users the gateway runs as %v", elsewhere.RunAsUser)
	}
	if here.RunAsUser != nil || here.RunAsNonRoot != nil {
		t.Errorf("a user is asked for that the cluster has not: %+v", here)
	}
	elsewhere.RunAsUser, elsewhere.RunAsNonRoot = nil, nil
	if !reflect.DeepEqual(elsewhere, here) {
		t.Errorf("rights differ in more than the user: %+v, %+v", elsewhere, here)
	}
}

// Everything that is namespaced or not carries the mark by which it is found again.
func TestEverythingIsMarked(t *testing.T) {
	for _, object := range slices.Concat(definitions(t), Manifests(image, false)) {
		if object.GetLabels()[managedBy] != owner {
			t.Errorf("%T %s is not marked as ours", object, object.GetName())
		}
		if object.GetObjectKind().GroupVersionKind().Kind == "" {
			t.Errorf("%T %s does not say its kind", object, object.GetName())
		}
	}
	if subject := Manifests(image, false)[3].(*rbacv1.ClusterRoleBinding).Subjects[0]; subject.Namespace != Namespace || subject.Name != name {
		t.Errorf("the role is bound to %+v", subject)
	}
}
