package scenarios

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// good is a scenario with nothing wrong in it; the tests below break it line by line.
const good = `apiVersion: cutover.dev/v1alpha1
kind: Scenario
metadata: {name: good, labels: [canary]}
why: It shows what is wrong with the others.
app:
  image: ko://./scenarios/testdata/prog
  service: shop
  ports: {http: 8080}
  version: {header: X-Version}
  baseline: {env: {VERSION: v1}}
  candidate: {env: {VERSION: v2}}
release: {strategy: canary, steps: [10, 50, 100], hold: 4s}
gate: {errors: {max: 1%}, min: 40}
load:
  rate: 200/s
  slo: {latency: 500ms, availability: 99.9%}
  requests:
    - {path: /cart}
faults:
  - at: {step: weight-50}
    for: 20s
    target: candidate
    chaos:
      kind: NetworkChaos
      spec: {action: delay, delay: {latency: 600ms}}
expect: {outcome: rolled-back, mttr: 15s}
`

// broken is good with each old text replaced by the new one after it.
func broken(t *testing.T, edits ...string) string {
	t.Helper()
	text := good
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(text, edits[i]) {
			t.Fatalf("the good scenario has no %q", edits[i])
		}
		text = strings.Replace(text, edits[i], edits[i+1], 1)
	}
	return text
}

// decode names the file so that the module around it is this package's own.
func decode(text string) (Scenario, error) { return Decode("testdata/bad.yaml", []byte(text)) }

func TestDefaultsAreFilled(t *testing.T) {
	s, err := decode(good)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		what      string
		got, want any
	}{
		{"app.replicas", s.App.Replicas, 3},
		{"app.drain", s.App.Drain, seconds(2)},
		{"app.grace", s.App.Grace, seconds(30)},
		{"app.readiness.period", s.App.Readiness.Period, seconds(1)},
		{"app.readiness.failures", s.App.Readiness.Failures, 3},
		{"release.deadline", s.Release.Deadline, seconds(180)},
		{"release.watch", s.Release.Watch, seconds(10)},
		{"gate.every", s.Gate.Every, seconds(1)},
		{"gate.fails", s.Gate.Fails, 2},
		{"gate.noData", s.Gate.NoData, "rollback"},
		{"load.arrivals", s.Load.Arrivals, "poisson"},
		{"load.warmup", s.Load.Warmup, seconds(3)},
		{"load.timeout", s.Load.Timeout, seconds(5)},
		{"load.connections", s.Load.Connections, 4096},
		{"load.keepAlive", *s.Load.KeepAlive, true},
		{"load.requests[0].method", s.Load.Requests[0].Method, "GET"},
		{"load.requests[0].weight", s.Load.Requests[0].Weight, 1},
		{"faults[0].at.when", s.Faults[0].At.When, "live"},
		{"recover.confirm", s.Recover.Confirm, seconds(10)},
		{"recover.within", s.Recover.Within, seconds(60)},
		{"seeded", s.Seeded, false},
		// What is given stays.
		{"release.hold", s.Release.Hold, seconds(4)},
		{"gate.min", s.Gate.Min, 40},
		{"chaos.spec", string(s.Faults[0].Chaos.Spec), `{"action":"delay","delay":{"latency":"600ms"}}`},
	} {
		if !reflect.DeepEqual(row.got, row.want) {
			t.Errorf("%s is %v, want %v", row.what, row.got, row.want)
		}
	}
}

func TestZeroThatIsWrittenStays(t *testing.T) {
	s, err := decode(broken(t,
		"hold: 4s", "hold: 0s, watch: 0s",
		"  rate: 200/s", "  rate: 200/s\n  keepAlive: false",
		"  service: shop", "  service: shop\n  drain: 0s",
		"expect:", "seed: 0\nexpect:"))
	if err != nil {
		t.Fatal(err)
	}
	if s.Release.Hold != 0 || s.Release.Watch != 0 || s.App.Drain != 0 || *s.Load.KeepAlive || !s.Seeded {
		t.Errorf("a default took the place of a zero: %+v", s)
	}
}

func TestHashIsOfWhatItDoes(t *testing.T) {
	hash := func(edits ...string) string {
		s, err := decode(broken(t, edits...))
		if err != nil {
			t.Fatal(err)
		}
		return s.Hash()
	}
	same := hash()
	for _, edits := range [][]string{
		{"labels: [canary]", "labels: [smoke, nightly]"},
		{"hold: 4s}", "hold: 4000ms, watch: 10s}"},
		{"    for: 20s\n    target: candidate\n", "    target: candidate\n    for: 20s\n"},
		{"spec: {action: delay, delay: {latency: 600ms}}", "spec: {delay: {latency: 600ms}, action: delay}"},
	} {
		if hash(edits...) != same {
			t.Errorf("%q changes the hash, and not what the scenario does", edits)
		}
	}
	for _, edits := range [][]string{
		{"hold: 4s}", "hold: 5s}"},
		{"latency: 600ms", "latency: 601ms"},
		{"expect:", "seed: 7\nexpect:"},
	} {
		if hash(edits...) == same {
			t.Errorf("%q does not change the hash", edits)
		}
	}
}

func TestAliasStandsForItsValue(t *testing.T) {
	s, err := decode(broken(t, "baseline: {env: {VERSION: v1}}", "baseline: &v {env: {VERSION: v1}}",
		"candidate: {env: {VERSION: v2}}", "candidate: *v"))
	if err != nil || s.App.Candidate.Env["VERSION"] != "v1" {
		t.Errorf("candidate is %+v, error %v", s.App.Candidate, err)
	}
}

func TestAllProblemsAreReportedAtOnce(t *testing.T) {
	_, err := decode(broken(t, "steps:", "stpes:", "rate: 200/s", "rate: 200", "outcome: rolled-back", "outcome: rolledback"))
	want := `testdata/bad.yaml:12: release.stpes: unknown key; known here: deadline, hold, match, maxSurge, maxUnavailable, mirrorWrites, partitions, progressDeadline, router, steps, strategy, supersede, watch; did you mean "steps"?
testdata/bad.yaml:15: load.rate: `
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got\n%v\nwant\n%s…", err, want)
	}
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != 3 {
		t.Errorf("%d problems, want 3: one for each mistake, and none that follows from them", len(problems))
	}
}

func TestDependencies(t *testing.T) {
	s, err := decode(broken(t, "{VERSION: v2}", "{VERSION: v2, STORE: '${dependencies.db.host}:${dependencies.db.port}'}",
		"release: {strategy", "dependencies:\n  - {name: db, image: 'redis:7', ports: {redis: 6379}, files: {/etc/redis.conf: maxmemory 10mb}}\n"+
			"  - {name: web, image: 'nginx:1', args: ['${dependencies.db.port.redis}'], wait: {log: up, timeout: 5s}}\nrelease: {strategy"))
	if err != nil {
		t.Fatal(err)
	}
	db, web := s.Dependencies[0], s.Dependencies[1]
	if db.Wait.Timeout != seconds(60) || db.Wait.Times != 1 || db.Files["/etc/redis.conf"] == "" || web.Wait.Timeout != seconds(5) {
		t.Errorf("got %+v", s.Dependencies)
	}
	// A scenario without any keeps the hash that it had before there were any.
	without, err := decode(good)
	if err != nil {
		t.Fatal(err)
	}
	if s.Hash() == without.Hash() {
		t.Error("dependencies do not change the hash")
	}
	encoded, err := json.Marshal(without)
	if err != nil || strings.Contains(string(encoded), "ependencies") {
		t.Errorf("%v: %s", err, encoded)
	}
}

// Images are found by whoever has only a file and no Go module around it.
func TestImagesOutsideOfAModule(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mine", "scenario.yaml")
	write(t, filepath.Join(dir, "mine", "shop.tar"), "an archive")
	write(t, filepath.Join(dir, "mine", "loose", "main.go"), "package main")
	write(t, filepath.Join(dir, "mine", "own", "main.go"), "package main")
	write(t, filepath.Join(dir, "mine", "own", "go.mod"), "module example.test/own")
	for _, row := range []struct{ why, image, want string }{
		{"a published program", "ko://example.com/shop/cmd/shop@v1.2.3", ""},
		{"a registry's", "ghcr.io/acme/shop:1.2.3", ""},
		{"an archive beside the scenario", "oci-archive:shop.tar", ""},
		{"not one beside whoever calls", "oci-archive:decode_test.go", "there is no file " + filepath.Join(dir, "mine", "decode_test.go")},
		{"a folder that is a module", "ko://./own", ""},
		{"a folder that is none", "ko://./loose", "no go.mod in " + filepath.Join(dir, "mine", "loose")},
		{"no folder", "ko://./apps/shop", "relative paths start at the scenario's own directory, as no Go module is around it"},
		{"a program of no module", "ko://example.com/shop/cmd/shop", "there is no Go module around " + file},
	} {
		err := decodeToRun(file, broken(t, "ko://./scenarios/testdata/prog", row.image))
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s, %s: got error %v, want %q", row.why, row.image, err, row.want)
		}
	}
	// The control: what is refused without a module is found in one, from its root.
	write(t, filepath.Join(dir, "go.mod"), "module example.test/around")
	for image, want := range map[string]string{"ko://./mine/loose": "", "ko://example.test/around/mine/loose": "", "oci-archive:shop.tar": "there is no file"} {
		err := decodeToRun(file, broken(t, "ko://./scenarios/testdata/prog", image))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s in a module: got error %v, want %q", image, err, want)
		}
	}
}

// decodeToRun is what is wrong for whoever wants to run it.
func decodeToRun(file, text string) error {
	s, err := Decode(file, []byte(text))
	if missing := s.Missing(); err == nil && len(missing) > 0 {
		return missing
	}
	return err
}

func TestFirstScenario(t *testing.T) {
	s, err := Decode(filepath.Join(t.TempDir(), "first.yaml"), First())
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Faults) == 0 || s.Expect.Outcome == "" {
		t.Errorf("it shows too little: %+v", s)
	}
}

func TestLoadNamesAFileThatIsNotThere(t *testing.T) {
	_, err := Load("testdata/nowhere.yaml")
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "testdata/nowhere.yaml") {
		t.Errorf("got %v", err)
	}
}

// Whatever the bytes, Decode answers, and what it accepts has a hash.
func FuzzDecode(f *testing.F) {
	f.Add(good)
	f.Add("")
	f.Add("a: &a [*a]")
	f.Add(good + "---\n" + good)
	f.Add(strings.Replace(good, "spec: {", "spec: {1: &x {y: *x}, <<: *x, ", 1))
	f.Fuzz(func(t *testing.T, text string) {
		began := time.Now()
		s, err := decode(text)
		if err == nil {
			s.Hash()
		} else if err.Error() == "" {
			t.Error("an error without a word")
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

// An archive is made apart from the scenario that names it. Whoever only reads the
// scenario does not need it; whoever runs it does.
func TestMissingArchives(t *testing.T) {
	text := broken(t, "ko://./scenarios/testdata/prog", "oci-archive:none.tar", "candidate: {env", "candidate: {image: 'docker-archive:/nowhere/v2.tar', env")
	s, err := decode(text)
	if err != nil {
		t.Fatal(err)
	}
	missing := s.Missing()
	if len(missing) != 2 {
		t.Fatalf("missing are %v, want two", missing)
	}
	for i, want := range []string{"bad.yaml:6: app.image: there is no file ", "bad.yaml:11: app.candidate.image: there is no file /nowhere/v2.tar"} {
		if got := missing[i].String(); !strings.Contains(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	there := filepath.Join(t.TempDir(), "v1.tar")
	write(t, there, "")
	if s, err = decode(broken(t, "ko://./scenarios/testdata/prog", "oci-archive:"+there)); err != nil || len(s.Missing()) != 0 {
		t.Errorf("an archive that is there: %v, %v", err, s.Missing())
	}
}
