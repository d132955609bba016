package embedded

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Ranges of addresses; those of the nodes and their pods are in node.go.
const (
	podNet        = "10.244.0.0/16"
	serviceNet    = "10.96.0.0/16"
	apiServiceIP  = "10.96.0.1"
	dnsServiceIP  = "10.96.0.10"
	clusterDomain = "cluster.local"
)

// Places inside the sandbox.
const (
	insidePrograms   = "/opt/cutover/bin"
	insideExecutable = "/opt/cutover/cutover"
	insideState      = "/state"
	insideSocket     = insideState + "/run/containerd.sock"
)

// pauseImage is the sandbox image of every pod.
const pauseImage = "cutover.local/pause:1"

// writeConf writes the configuration files of all components below conf/ of the
// node that they run on.
func (s state) writeConf(sp spec) error {
	if err := os.WriteFile(s.path("conf", "scheduler.yaml"), []byte(schedulerConf), 0o600); err != nil {
		return err
	}
	for _, user := range []string{"controller-manager", "scheduler"} {
		if err := s.writeKubeconfig(s.path("conf", user+".kubeconfig"), node(0).apiServer(), user); err != nil {
			return err
		}
	}
	for _, n := range nodesOf(sp.Nodes) {
		if err := s.node(n).writeNodeConf(n, sp); err != nil {
			return err
		}
	}
	return nil
}

// writeNodeConf writes what every node has, into the node's own folder.
func (s state) writeNodeConf(n node, sp spec) error {
	if err := os.Mkdir(s.path("conf", "cni"), 0o700); err != nil {
		return err
	}
	for name, content := range map[string]string{
		"containerd.toml":         containerdConf(sp),
		"cni/10-cutover.conflist": cniConf(n),
		"kubelet.yaml":            kubeletConf(n, sp),
		"proxy.yaml":              proxyConf(n),
		// Pods get cluster DNS only; there is nothing further to ask.
		"resolv.conf": "options ndots:1\n",
	} {
		if err := os.WriteFile(s.path("conf", name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	for _, user := range []string{"proxy", "kubelet"} {
		if err := s.writeKubeconfig(s.path("conf", user+".kubeconfig"), n.apiServer(), user); err != nil {
			return err
		}
	}
	return nil
}

// writeKubeconfig writes a kubeconfig with the user's certificate in it.
func (s state) writeKubeconfig(path, server, user string) error {
	read := func(file string) []byte {
		data, err := os.ReadFile(s.pki(file))
		if err != nil {
			panic(fmt.Sprintf("embedded: %v", err)) // writePKI wrote it a moment ago
		}
		return data
	}
	type object = map[string]any
	data, err := json.MarshalIndent(object{
		"apiVersion": "v1", "kind": "Config", "current-context": "cutover-" + s.name(),
		"clusters": []object{{"name": "cutover-" + s.name(), "cluster": object{"server": server, "certificate-authority-data": read("ca.crt")}}},
		"users":    []object{{"name": user, "user": object{"client-certificate-data": read(user + ".crt"), "client-key-data": read(user + ".key")}}},
		"contexts": []object{{"name": "cutover-" + s.name(), "context": object{"cluster": "cutover-" + s.name(), "user": user}}},
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// restrict_oom_score_adj: OOM scores can only be lowered with CAP_SYS_RESOURCE,
// and without this every pod fails where that is missing.
func containerdConf(sp spec) string {
	runc := "runc"
	if sp.Rootless {
		runc = "runc-rootless"
	}
	return strings.NewReplacer("$STATE", insideState, "$BIN", insidePrograms, "$SOCKET", insideSocket, "$PAUSE", pauseImage, "$RUNC", runc).Replace(`version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing", "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.blockfile"]
[grpc]
  address = "$SOCKET"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "$PAUSE"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["$BIN"]
    conf_dir = "$STATE/conf/cni"
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = "$BIN/$RUNC"
        SystemdCgroup = false
`)
}

// ptp routes every pod through the node, where its packets can be delayed after
// they have left their socket; a bridge would keep them to itself.
func cniConf(n node) string {
	return `{"cniVersion": "1.0.0", "name": "cutover", "plugins": [
  {"type": "ptp", "ipMasq": false, "ipam": {"type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": "` + n.pods() + `"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
`
}

// Nothing is evicted or collected: how full the host's disk is says nothing about
// the cluster, and an image that is gone cannot be pulled again.
func kubeletConf(n node, sp spec) string {
	enforced := "pods"
	if sp.Cgroupless {
		enforced = ""
	}
	return strings.NewReplacer("$STATE", insideState, "$SOCKET", insideSocket).Replace(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: ` + n.ip() + `
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $STATE/pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $STATE/pki/kubelet.crt
tlsPrivateKeyFile: $STATE/pki/kubelet.key
clusterDNS: [` + dnsServiceIP + `]
clusterDomain: ` + clusterDomain + `
resolvConf: $STATE/conf/resolv.conf
containerRuntimeEndpoint: unix://$SOCKET
cgroupDriver: cgroupfs
cgroupsPerQOS: ` + strconv.FormatBool(!sp.Cgroupless) + `
enforceNodeAllocatable: [` + enforced + `]
failCgroupV1: false
failSwapOn: false
localStorageCapacityIsolation: false
evictionHard: {nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%", imagefs.inodesFree: "0%"}
imageGCHighThresholdPercent: 100
imageMinimumGCAge: 24h
containerLogMaxSize: 512Mi
volumePluginDir: /var/lib/kubelet/plugins
maxPods: 250
kubeAPIQPS: 200
kubeAPIBurst: 400
registryPullQPS: 0
eventRecordQPS: 0
healthzPort: 0
readOnlyPort: 0
featureGates: {KubeletInUserNamespace: ` + strconv.FormatBool(sp.Rootless) + `}
`)
}

func proxyConf(n node) string {
	return `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
bindAddress: 127.0.0.1
clientConnection: {kubeconfig: ` + insideState + `/conf/proxy.kubeconfig, qps: 200, burst: 400}
clusterCIDR: ` + podNet + `
hostnameOverride: ` + n.name() + `
mode: nftables
nftables: {minSyncPeriod: 100ms}
conntrack: {maxPerCore: 0, min: 0}
healthzBindAddress: ""
metricsBindAddress: 127.0.0.1:10249
`
}

const schedulerConf = `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection: {kubeconfig: ` + insideState + `/conf/scheduler.kubeconfig, qps: 200, burst: 400}
leaderElection: {leaderElect: false}
`

// What the API server says of itself. It first writes the roles and the priority
// classes of Kubernetes itself, a second after it could serve; a kubelet has no use
// for either, since the Node authorizer judges it.
const (
	apiReady   = "/readyz"
	apiServing = "/readyz?exclude=poststarthook/rbac/bootstrap-roles&exclude=poststarthook/scheduling/bootstrap-system-priority-classes"
)

// program is one component's command line inside the sandbox.
type program struct {
	name      string
	arguments []string
	everyNode bool // not only beside the control plane
	// awaits is what the API server must answer with 200 before the program starts,
	// whose retries would back off for longer; "" if it needs no API server.
	awaits string
}

func pki(file string) string { return insideState + "/pki/" + file }

// programs lists what the supervisor of a node runs, in order of start.
func programs(n node) []program {
	all := []program{
		{name: "etcd", arguments: []string{
			"--name=cutover", "--data-dir=/var/lib/etcd", "--unsafe-no-fsync", "--log-level=warn",
			// It votes for itself alone, and need not wait for anybody else's vote.
			"--heartbeat-interval=10", "--election-timeout=100",
			"--listen-client-urls=https://127.0.0.1:2379", "--advertise-client-urls=https://127.0.0.1:2379",
			"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380", "--initial-cluster=cutover=http://127.0.0.1:2380",
			"--client-cert-auth", "--trusted-ca-file=" + pki("etcd-ca.crt"), "--cert-file=" + pki("etcd.crt"), "--key-file=" + pki("etcd.key"),
		}},
		{name: "containerd", everyNode: true, arguments: []string{"--config", insideState + "/conf/containerd.toml", "--log-level", "warn"}},
		{name: "kube-apiserver", arguments: []string{
			"--advertise-address=" + node(0).ip(), "--secure-port=6443", "--allow-privileged=true", "--anonymous-auth=false", "--profiling=false",
			"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--client-ca-file=" + pki("ca.crt"),
			"--tls-cert-file=" + pki("apiserver.crt"), "--tls-private-key-file=" + pki("apiserver.key"),
			"--etcd-servers=https://127.0.0.1:2379", "--etcd-cafile=" + pki("etcd-ca.crt"), "--etcd-certfile=" + pki("etcd-client.crt"), "--etcd-keyfile=" + pki("etcd-client.key"),
			"--kubelet-certificate-authority=" + pki("ca.crt"), "--kubelet-client-certificate=" + pki("apiserver-kubelet.crt"), "--kubelet-client-key=" + pki("apiserver-kubelet.key"),
			"--kubelet-preferred-address-types=InternalIP",
			"--service-account-issuer=https://kubernetes.default.svc." + clusterDomain, "--service-account-key-file=" + pki("sa.pub"), "--service-account-signing-key-file=" + pki("sa.key"),
			"--service-cluster-ip-range=" + serviceNet,
		}},
		{name: "kubelet", everyNode: true, awaits: apiServing, arguments: []string{
			"--config=" + insideState + "/conf/kubelet.yaml", "--kubeconfig=" + insideState + "/conf/kubelet.kubeconfig",
			"--hostname-override=" + n.name(), "--node-ip=" + n.ip(), "--root-dir=/var/lib/kubelet",
			"--node-labels=topology.kubernetes.io/zone=" + n.zone(),
		}},
		{name: "kube-controller-manager", awaits: apiReady, arguments: []string{
			"--kubeconfig=" + insideState + "/conf/controller-manager.kubeconfig", "--leader-elect=false", "--bind-address=127.0.0.1", "--profiling=false",
			"--service-account-private-key-file=" + pki("sa.key"), "--root-ca-file=" + pki("ca.crt"), "--use-service-account-credentials=true",
			"--controllers=*,-node-ipam-controller,-ttl-controller,-bootstrap-signer-controller,-token-cleaner-controller", "--kube-api-qps=200", "--kube-api-burst=400",
		}},
		{name: "kube-scheduler", awaits: apiReady, arguments: []string{"--config=" + insideState + "/conf/scheduler.yaml", "--bind-address=127.0.0.1", "--profiling=false"}},
		{name: "kube-proxy", everyNode: true, awaits: apiReady, arguments: []string{"--config=" + insideState + "/conf/proxy.yaml"}},
	}
	if n == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(p program) bool { return !p.everyNode })
}

// sysctls that kubelet sets for the whole host. Files that already hold the wanted
// values are bound over them in the sandbox, so it changes nothing.
var sysctls = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}
