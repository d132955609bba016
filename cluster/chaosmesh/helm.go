package chaosmesh

import (
	"helm.sh/helm/v3/pkg/action"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/cutover-dev/cutover/cluster"
)

// helmFor is Helm for one cluster. It keeps its releases where `helm list` finds them.
func helmFor(c cluster.Cluster) (*action.Configuration, error) {
	reach, err := newReach(c.REST())
	if err != nil {
		return nil, err
	}
	helm := new(action.Configuration)
	quiet := func(string, ...any) {} // what goes wrong comes back as an error
	return helm, helm.Init(reach, Namespace, "secret", quiet)
}

// reach is how Helm gets at a cluster. The one that Helm brings reads files of the
// user's and keeps what it learns in others.
type reach struct {
	config    *rest.Config
	discovery discovery.CachedDiscoveryInterface
	mapper    meta.RESTMapper
}

func newReach(config *rest.Config) (*reach, error) {
	// Helm asks for everything that a chart has, one after the other.
	config.QPS, config.Burst = -1, -1
	found, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	cached := memory.NewMemCacheClient(found)
	return &reach{config, cached, restmapper.NewDeferredDiscoveryRESTMapper(cached)}, nil
}

func (r *reach) ToRESTConfig() (*rest.Config, error) { return rest.CopyConfig(r.config), nil }

func (r *reach) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return r.discovery, nil
}

func (r *reach) ToRESTMapper() (meta.RESTMapper, error) { return r.mapper, nil }

// ToRawKubeConfigLoader is only asked for the namespace.
func (r *reach) ToRawKubeConfigLoader() clientcmd.ClientConfig {
	overrides := &clientcmd.ConfigOverrides{Context: clientcmdapi.Context{Namespace: Namespace}}
	return clientcmd.NewDefaultClientConfig(*clientcmdapi.NewConfig(), overrides)
}
