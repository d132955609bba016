package conformance

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden file anew")

// reported is a report with a row of each result.
func reported() Report {
	r := Report{Cluster: "kind", Kubernetes: "v1.34.4", Kernel: "6.18.0", Load: "2.50", Drivers: []string{"agent", "chaos-mesh"}}
	good := Judge(story())
	bad := story()
	bad.Driver = "chaos-mesh"
	bad.figure(During, Target, RoundTrip).Value = new(0.3)
	r.Rows = []Row{good, Judge(bad)}
	for _, c := range Cases() {
		if c.Fault == "NetworkChaos loss" {
			r.Rows = append(r.Rows, Unserved(c, "agent", "loss", errors.New("loss: the cutover agent does only some")),
				Unserved(c, "chaos-mesh", "loss", errors.New("loss: Chaos Mesh needs the kernel's netem for it")))
		}
	}
	r.Controls = []Control{
		{Name: "a status without an effect", Driver: "agent", Caught: true, Row: Judge(bad)},
		{Name: "a fault that does not end", Driver: "agent", Row: good},
	}
	return r
}

func TestMarkdown(t *testing.T) {
	var got bytes.Buffer
	if err := errors.Join(reported().Markdown(&got), ToleranceTable(&got)); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "conformance.md")
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the tables have changed; if that is meant, go test ./suites/conformance -update\n%s", got.String())
	}
}

// The same reason has one number, however many cases have it.
func TestReasonsAreListedOnce(t *testing.T) {
	var got bytes.Buffer
	if err := reported().Markdown(&got); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(got.String(), "Chaos Mesh needs the kernel's netem"); n != 1 {
		t.Errorf("the reason stands there %d times", n)
	}
}

func TestSplice(t *testing.T) {
	const page = "head\n<!-- begin kind -->\nold\n<!-- end kind -->\ntail\n"
	got, err := Splice(page, "kind", "new\n")
	if want := "head\n<!-- begin kind -->\n\nnew\n\n<!-- end kind -->\ntail\n"; err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
	if again, err := Splice(got, "kind", "new\n"); err != nil || again != got {
		t.Errorf("twice is not the same as once: %q, %v", again, err)
	}
	for _, name := range []string{"embedded", ""} {
		if _, err := Splice(page, name, "new"); err == nil || !strings.Contains(err.Error(), "add them") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := Splice("<!-- begin kind -->\nold", "kind", "new"); err == nil {
		t.Error("a page without the end marker is taken")
	}
}
