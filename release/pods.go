package release

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/history"
)

// Pods knows which pod, of which version, an address belongs to, and records the
// pods' lives. Versions are told apart by template hash, once learned for good:
// labels and roles move during a release, a template does not.
type Pods struct {
	clock history.Clock
	sink  history.Sink

	mu       sync.Mutex
	versions map[string]history.Version // by template hash
	newest   map[history.Version]string // the hash learned last
	seen     map[types.UID]*podLife     // never forgotten: late answers still come in
	owners   map[string]*podLife        // by address
	strange  *Recogniser                // of hashes that nobody has told; nil if there are none
}

// podLife is what is known of one pod.
type podLife struct {
	hash, address string
	born          time.Time
	spec          corev1.PodSpec
	now           history.PodSeen // as observed; its version comes with the hash
	told          history.PodSeen // as recorded last
}

// NewPods returns a Pods that has seen none.
func NewPods(clock history.Clock, sink history.Sink) *Pods {
	return &Pods{
		clock:    clock,
		sink:     sink,
		versions: map[string]history.Version{},
		newest:   map[history.Version]string{},
		seen:     map[types.UID]*podLife{},
		owners:   map[string]*podLife{},
	}
}

// Learn says which version the pods of a template hash are. Pods seen before are
// recorded now. The first word on a hash stands: false says that it was another.
func (p *Pods) Learn(hash string, v history.Version) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if first, known := p.versions[hash]; known {
		return first == v
	}
	p.versions[hash], p.newest[v] = v, hash
	for _, life := range p.seen {
		p.tell(life)
	}
	return true
}

// Recognise has the version of a hash that nobody has told learned from its pods,
// from now on and of those that are there.
func (p *Pods) Recognise(by *Recogniser) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.strange = by
	for _, life := range p.seen {
		p.recognise(life)
	}
}

func (p *Pods) recognise(life *podLife) {
	if _, known := p.versions[life.hash]; known || p.strange == nil || life.hash == "" {
		return
	}
	if v, ours := p.strange.Version(life.spec); ours {
		p.versions[life.hash], p.newest[v] = v, life.hash
	}
	p.tell(life)
}

// Hash is the template hash of a version, as its pods carry it under [HashLabel]: of
// the newest template, if it had several.
func (p *Pods) Hash(v history.Version) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	hash, known := p.newest[v]
	return hash, known
}

// HashLabel is the label of a pod that carries the hash of its template.
func (a App) HashLabel() string {
	if a.kind() == KindStatefulSet {
		return appsv1.ControllerRevisionHashLabelKey
	}
	return appsv1.DefaultDeploymentUniqueLabelKey
}

// hashOf is the template hash of a pod, whatever it is a pod of.
func hashOf(pod *corev1.Pod) string {
	return cmp.Or(pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey], pod.Labels[appsv1.ControllerRevisionHashLabelKey])
}

func (p *Pods) versionOf(pod *corev1.Pod) history.Version {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.versions[hashOf(pod)]
}

// Resolve says whose address ip is, or was last. An address used again belongs to
// its newest owner.
func (p *Pods) Resolve(ip string) (v history.Version, pod string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	owner, ok := p.owners[ip]
	if !ok {
		return history.Unattributed, "", false
	}
	v, ok = p.versions[owner.hash]
	return v, owner.now.Pod, ok
}

// Watch follows the pods of a namespace until ctx ends, across any number of lost
// connections. It returns once it knows those that are there.
func (p *Pods) Watch(ctx context.Context, c client.WithWatch, namespace string) error {
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			pods := &corev1.PodList{}
			return pods, c.List(ctx, pods, &client.ListOptions{Namespace: namespace, Raw: &options})
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return c.Watch(ctx, &corev1.PodList{}, &client.ListOptions{Namespace: namespace, Raw: &options})
		},
	}
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.ToListWatcherWithWatchListSemantics(source, c),
		ObjectType:    &corev1.Pod{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(object any) { p.observe(object, false) },
			UpdateFunc: func(_, object any) { p.observe(object, false) },
			DeleteFunc: func(object any) { p.observe(object, true) },
		},
	})
	go informer.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return fmt.Errorf("cannot list the pods of namespace %s: %w", namespace, context.Cause(ctx))
	}
	return nil
}

// observe takes in one state of a pod, the last one if it is gone.
func (p *Pods) observe(object any, gone bool) {
	if missed, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = missed.Obj // deleted while the watch was down
	}
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	life, known := p.seen[pod.UID]
	if !known {
		life = &podLife{born: pod.CreationTimestamp.Time}
		p.seen[pod.UID] = life
	}
	life.hash = hashOf(pod)
	life.spec = pod.Spec
	life.now = stateOf(pod, life.now)
	if gone {
		life.now.Phase = "gone"
	}
	p.claim(life, pod.Status.PodIP)
	p.recognise(life)
	p.tell(life)
}

// claim gives the address to the pod the first time it is seen with it, unless a
// younger pod has it already: the last words of a dying pod must not take it back.
func (p *Pods) claim(life *podLife, address string) {
	if address == "" || address == life.address {
		return
	}
	life.address = address
	if owner, taken := p.owners[address]; !taken || !owner.born.After(life.born) {
		p.owners[address] = life
	}
}

// tell records the pod's state if that is news and the pod is one of ours.
func (p *Pods) tell(life *podLife) {
	v, ours := p.versions[life.hash]
	seen := life.now
	seen.Version = v
	if !ours || seen == life.told {
		return
	}
	life.told = seen
	p.sink.Event(history.NewEvent(p.clock.Now(), seen))
}
