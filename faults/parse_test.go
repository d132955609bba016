package faults

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/history"
)

func spec(kind, body string, lasting time.Duration) Spec {
	return Spec{Target: "candidate", For: history.Duration(lasting), Chaos: Chaos{Kind: kind, Spec: json.RawMessage(body)}}
}

func TestParseAccepts(t *testing.T) {
	cases := []struct {
		name    string
		spec    Spec
		want    string
		oneShot bool
		lasting time.Duration
	}{
		{"delay", spec("NetworkChaos", `{"action":"delay","delay":{"latency":"600ms","jitter":"20ms","correlation":"25"}}`, 20*time.Second), "NetworkChaos delay 600ms ± 20ms", false, 20 * time.Second},
		{"delay with its own duration", spec("NetworkChaos", `{"action":"delay","duration":"5s","delay":{"latency":"0ms"}}`, 0), "NetworkChaos delay 0ms", false, 5 * time.Second},
		{"delay of some, in the default direction", spec("NetworkChaos", `{"action":"delay","direction":"to","mode":"fixed","value":"2","delay":{"latency":"1.5s"}}`, time.Second), "NetworkChaos delay 1.5s", false, time.Second},
		{"kill", spec("PodChaos", `{"action":"pod-kill"}`, 0), "PodChaos pod-kill", true, 0},
		{"loss", spec("NetworkChaos", `{"action":"loss","loss":{"loss":"30","correlation":"25"}}`, time.Second), "NetworkChaos loss 30 %", false, time.Second},
		{"duplicate", spec("NetworkChaos", `{"action":"duplicate","duplicate":{"duplicate":"50"}}`, time.Second), "NetworkChaos duplicate 50 %", false, time.Second},
		{"corrupt", spec("NetworkChaos", `{"action":"corrupt","corrupt":{"corrupt":"12.5"}}`, time.Second), "NetworkChaos corrupt 12.5 %", false, time.Second},
		{"partition", spec("NetworkChaos", `{"action":"partition"}`, time.Second), "NetworkChaos partition", false, time.Second},
		{"partition both ways", spec("NetworkChaos", `{"action":"partition","direction":"both"}`, time.Second), "NetworkChaos partition both", false, time.Second},
		{"bandwidth", spec("NetworkChaos", `{"action":"bandwidth","bandwidth":{"rate":"1mbps","limit":20000,"buffer":10000}}`, time.Second), "NetworkChaos bandwidth 1mbps", false, time.Second},
		{"pod failure", spec("PodChaos", `{"action":"pod-failure","mode":"one"}`, time.Second), "PodChaos pod-failure", false, time.Second},
		{"container kill", spec("PodChaos", `{"action":"container-kill","containerNames":["shop"]}`, 0), "PodChaos container-kill", true, 0},
		{"container kill of the app", spec("PodChaos", `{"action":"container-kill"}`, 0), "PodChaos container-kill", true, 0},
		{"stress", spec("StressChaos", `{"stressors":{"cpu":{"workers":2,"load":80},"memory":{"workers":1,"size":"128MB"}}}`, time.Second), "StressChaos cpu 2 × 80 %, memory 128MB", false, time.Second},
		{"full load", spec("StressChaos", `{"stressors":{"cpu":{"workers":1}}}`, time.Second), "StressChaos cpu 1 × 100 %", false, time.Second},
		{"a share of memory", spec("StressChaos", `{"stressors":{"memory":{"workers":1,"size":"10%"}},"containerNames":["shop"]}`, time.Second), "StressChaos memory 10%", false, time.Second},
		{"gentle kill of half", spec("PodChaos", `{"action":"pod-kill","gracePeriod":5,"mode":"fixed-percent","value":"50"}`, 0), "PodChaos pod-kill", true, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f, err := Parse(c.spec)
			if err != nil {
				t.Fatal(err)
			}
			if f.Name() != c.want || f.Kind() != c.spec.Chaos.Kind || f.OneShot() != c.oneShot || f.Lasting() != c.lasting {
				t.Errorf("got %q %s %v %v", f.Name(), f.Kind(), f.OneShot(), f.Lasting())
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	const delay = `"delay":{"latency":"600ms"}`
	cases := []struct {
		name string
		spec Spec
		want []string // all in the message
	}{
		{"unknown kind", spec("NetwrkChaos", `{}`, 0), []string{`"NetwrkChaos"`, "StressChaos", "NetworkChaos delay"}},
		{"kind not built", spec("TimeChaos", `{}`, 0), []string{"not supported yet", "PodChaos pod-kill"}},
		{"kind that is no fault", spec("Schedule", `{}`, 0), []string{"not supported yet"}},
		{"no spec", spec("PodChaos", ``, 0), []string{"chaos.spec"}},
		{"no action", spec("PodChaos", `{}`, 0), []string{"action is missing", "pod-kill"}},
		{"unknown action", spec("PodChaos", `{"action":"pod-kil"}`, 0), []string{"unknown action", "pod-failure"}},
		{"action not built", spec("NetworkChaos", `{"action":"netem"}`, 0), []string{"not supported yet", "PodChaos pod-kill"}},
		{"unknown key", spec("NetworkChaos", `{"action":"delay","dely":{}}`, 1), []string{`unknown key "dely"`, "known are action, delay"}},
		{"unknown key inside", spec("NetworkChaos", `{"action":"delay","delay":{"latncy":"1s"}}`, 1), []string{`unknown key "latncy"`, "latency, jitter"}},
		{"key in other letters", spec("NetworkChaos", `{"action":"delay","Delay":{}}`, 1), []string{`unknown key "Delay"`}},
		{"device", spec("NetworkChaos", `{"action":"delay","device":"eth0",`+delay+`}`, 1), []string{"chaos.spec.device is not supported yet"}},
		{"target", spec("NetworkChaos", `{"action":"delay","target":{},`+delay+`}`, 1), []string{"chaos.spec.target is not supported yet"}},
		{"external targets", spec("NetworkChaos", `{"action":"delay","externalTargets":[],`+delay+`}`, 1), []string{"not supported yet"}},
		{"reorder", spec("NetworkChaos", `{"action":"delay","delay":{"latency":"1s","reorder":{}}}`, 1), []string{"chaos.spec.delay.reorder is not supported yet"}},
		{"selector inside", spec("NetworkChaos", `{"action":"delay","delay":{"latency":"1s","selector":{}}}`, 1), []string{`unknown key "selector"`}},
		{"direction", spec("NetworkChaos", `{"action":"delay","direction":"both",`+delay+`}`, 1), []string{"both", "not supported yet"}},
		{"selector", spec("NetworkChaos", `{"action":"delay","selector":{},`+delay+`}`, 1), []string{"selector", "target"}},
		{"two durations", spec("NetworkChaos", `{"action":"delay","duration":"5s",`+delay+`}`, time.Second), []string{"for: 1s", "chaos.spec.duration: 5s"}},
		{"no duration", spec("NetworkChaos", `{"action":"delay",`+delay+`}`, 0), []string{"for: 20s"}},
		{"bad duration", spec("NetworkChaos", `{"action":"delay","duration":"-5s",`+delay+`}`, 0), []string{"chaos.spec.duration"}},
		{"no delay", spec("NetworkChaos", `{"action":"delay"}`, 1), []string{"delay is missing"}},
		{"no latency", spec("NetworkChaos", `{"action":"delay","delay":{}}`, 1), []string{"latency"}},
		{"negative latency", spec("NetworkChaos", `{"action":"delay","delay":{"latency":"-1s"}}`, 1), []string{`"-1s"`}},
		{"jitter without a unit", spec("NetworkChaos", `{"action":"delay","delay":{"latency":"1s","jitter":"20"}}`, 1), []string{"jitter"}},
		{"correlation over 100", spec("NetworkChaos", `{"action":"delay","delay":{"latency":"1s","correlation":"101"}}`, 1), []string{"correlation"}},
		{"unknown mode", spec("NetworkChaos", `{"action":"delay","mode":"some",`+delay+`}`, 1), []string{"some", "fixed-percent"}},
		// Chaos Mesh's own validation.
		{"mode without its value", spec("NetworkChaos", `{"action":"delay","mode":"fixed",`+delay+`}`, 1), []string{"value"}},
		{"value as a number", spec("NetworkChaos", `{"action":"delay","mode":"fixed","value":2,`+delay+`}`, 1), []string{"in quotes"}},
		{"for on a kill", spec("PodChaos", `{"action":"pod-kill"}`, time.Second), []string{"does not last", "for"}},
		{"duration on a kill", spec("PodChaos", `{"action":"pod-kill","duration":"1s"}`, 0), []string{"does not last"}},
		{"loss without a number", spec("NetworkChaos", `{"action":"loss","loss":{"loss":"many"}}`, 1), []string{"loss.loss", "0 to 100"}},
		{"loss as a number", spec("NetworkChaos", `{"action":"loss","loss":{"loss":30}}`, 1), []string{"in quotes"}},
		{"loss over 100", spec("NetworkChaos", `{"action":"loss","loss":{"loss":"101"}}`, 1), []string{"loss.loss"}},
		{"loss with bad correlation", spec("NetworkChaos", `{"action":"loss","loss":{"loss":"1","correlation":"x"}}`, 1), []string{"loss.correlation"}},
		{"no loss", spec("NetworkChaos", `{"action":"loss"}`, 1), []string{"loss is missing", `loss: {loss: "30"}`}},
		{"no loss, but null", spec("NetworkChaos", `{"action":"loss","loss":null}`, 1), []string{"loss is missing"}},
		{"loss with a delay", spec("NetworkChaos", `{"action":"loss","loss":{"loss":"1"},"delay":{}}`, 1), []string{"chaos.spec.delay is not supported yet"}},
		{"loss from outside", spec("NetworkChaos", `{"action":"loss","direction":"from","loss":{"loss":"1"}}`, 1), []string{"from", "not supported yet"}},
		{"duplicate, mistyped", spec("NetworkChaos", `{"action":"duplicate","duplicate":{"duplicat":"1"}}`, 1), []string{`unknown key "duplicat"`}},
		{"corrupt below 0", spec("NetworkChaos", `{"action":"corrupt","corrupt":{"corrupt":"-1"}}`, 1), []string{"corrupt.corrupt"}},
		{"partition that rejects", spec("NetworkChaos", `{"action":"partition","partitionBehavior":"reject"}`, 1), []string{"partitionBehavior is not supported yet"}},
		{"partition nowhere", spec("NetworkChaos", `{"action":"partition","direction":"up"}`, 1), []string{"up"}},
		{"bandwidth without a unit", spec("NetworkChaos", `{"action":"bandwidth","bandwidth":{"rate":"1","limit":1,"buffer":1}}`, 1), []string{"rate", "1mbps"}},
		{"bandwidth of nothing", spec("NetworkChaos", `{"action":"bandwidth","bandwidth":{"rate":"0mbps","limit":1,"buffer":1}}`, 1), []string{"rate"}},
		{"bandwidth without a buffer", spec("NetworkChaos", `{"action":"bandwidth","bandwidth":{"rate":"1mbps","limit":1}}`, 1), []string{"buffer is missing"}},
		{"bandwidth without a limit", spec("NetworkChaos", `{"action":"bandwidth","bandwidth":{"rate":"1mbps","buffer":1}}`, 1), []string{"limit is missing"}},
		{"failure without an end", spec("PodChaos", `{"action":"pod-failure"}`, 0), []string{"for: 20s"}},
		{"failure with grace", spec("PodChaos", `{"action":"pod-failure","gracePeriod":1}`, 1), []string{"gracePeriod is not supported yet"}},
		{"for on a container's kill", spec("PodChaos", `{"action":"container-kill"}`, time.Second), []string{"container-kill", "does not last"}},
		{"stress without an end", spec("StressChaos", `{"stressors":{"cpu":{"workers":1}}}`, 0), []string{"for: 20s"}},
		{"stress of nothing", spec("StressChaos", `{"stressors":{}}`, 1), []string{"stressors is empty"}},
		{"stress in stress-ng's words", spec("StressChaos", `{"stressngStressors":"--cpu 1"}`, 1), []string{"stressngStressors is not supported yet"}},
		{"stress with options", spec("StressChaos", `{"stressors":{"cpu":{"workers":1,"options":["-x"]}}}`, 1), []string{"stressors.cpu.options is not supported yet"}},
		{"stress of no worker", spec("StressChaos", `{"stressors":{"cpu":{"workers":0}}}`, 1), []string{"workers"}},
		{"stress of 200 %", spec("StressChaos", `{"stressors":{"cpu":{"workers":1,"load":200}}}`, 1), []string{"load 1 to 100"}},
		{"memory without a size", spec("StressChaos", `{"stressors":{"memory":{"workers":1}}}`, 1), []string{"memory.size", "128MB"}},
		{"memory of 200 %", spec("StressChaos", `{"stressors":{"memory":{"workers":1,"size":"200%"}}}`, 1), []string{"memory.size"}},
		{"memory of no worker", spec("StressChaos", `{"stressors":{"memory":{"size":"1MB"}}}`, 1), []string{"memory.workers"}},
		{"negative grace", spec("PodChaos", `{"action":"pod-kill","gracePeriod":-1}`, 0), []string{"gracePeriod"}},
		{"containers of a kill", spec("PodChaos", `{"action":"pod-kill","containerNames":["a"]}`, 0), []string{"not supported yet"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f, err := Parse(c.spec)
			if err == nil {
				t.Fatalf("accepted as %s", f.Name())
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func TestRegisterIsLoud(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a second fault took the name of the first in silence")
		}
	}()
	register("NetworkChaos", "delay", nil)
}

func TestCRDs(t *testing.T) {
	var names []string
	for _, crd := range CRDs(MeshGroup) {
		names = append(names, crd.Name)
		if version := crd.Spec.Versions[0]; version.Subresources != nil || !*version.Schema.OpenAPIV3Schema.XPreserveUnknownFields {
			t.Errorf("%s: subresources %v", crd.Name, version.Subresources)
		}
	}
	if want := []string{"networkchaos.chaos-mesh.org", "podchaos.chaos-mesh.org"}; !slices.Equal(names, want) {
		t.Errorf("CRDs = %v, want %v", names, want)
	}
}
