package engine

import (
	"slices"
	"strings"
	"testing"
)

func TestParseInfo(t *testing.T) {
	for _, test := range []struct {
		why, printed string
		want         Facts
		fails        string
	}{
		{"an engine of today", `{"ServerVersion":"28.2.2","CgroupVersion":"2","SecurityOptions":["name=seccomp,profile=builtin"]}`, Facts{Version: "28.2.2", Cgroup: 2}, ""},
		{"cgroups of the first version", `{"ServerVersion":"20.10.24+dfsg1","CgroupVersion":"1","KernelVersion":"6.18.0"}`, Facts{Version: "20.10.24+dfsg1", Cgroup: 1, Kernel: "6.18.0"}, ""},
		{"an ordinary user's", `{"ServerVersion":"28.2.2","CgroupVersion":"2","SecurityOptions":["name=rootless"]}`, Facts{Version: "28.2.2", Cgroup: 2, Rootless: true}, ""},
		{"a client whose server is away", `{"ServerErrors":["Cannot connect to the Docker daemon"]}`, Facts{}, "Cannot connect"},
		{"something else", `hello`, Facts{}, "not its JSON"},
	} {
		got, err := parseInfo(test.printed)
		if got != test.want || (err != nil) != (test.fails != "") || err != nil && !strings.Contains(err.Error(), test.fails) {
			t.Errorf("%s: got %+v, %v", test.why, got, err)
		}
	}
}

func TestParseLacking(t *testing.T) {
	for _, test := range []struct {
		why, status string
		want        []string
		fails       bool
	}{
		{"a machine of one's own", "CapEff:\t0000000000000000\nCapBnd:\t000001ffffffffff\n", nil, false},
		{"without SYS_RESOURCE", "CapBnd:\t000001fffeffffff\n", []string{"SYS_RESOURCE"}, false},
		{"a kernel that knows more than we do", "CapBnd:\tffffffffffffffff\n", nil, false},
		{"no number", "CapBnd:\tmany\n", nil, true},
		{"no such line", "CapEff:\t0\n", nil, true},
	} {
		got, err := parseLacking(test.status)
		if !slices.Equal(got, test.want) || (err != nil) != test.fails {
			t.Errorf("%s: got %v, %v", test.why, got, err)
		}
	}
}

// TestGrantArguments makes sure that nobody asks for less than all where all is to be
// had, nor for what was refused.
func TestGrantArguments(t *testing.T) {
	if got := (Grant{Full: true}).Arguments(); !slices.Equal(got, []string{"--privileged"}) {
		t.Errorf("full: %v", got)
	}
	got := Grant{Without: []string{"SYS_RESOURCE"}}.Arguments()
	if !slices.Contains(got, "--cap-drop=SYS_RESOURCE") || slices.Contains(got, "--privileged") {
		t.Errorf("less: %v", got)
	}
}

func TestLines(t *testing.T) {
	for printed, want := range map[string]int{"": 0, "one": 1, "one\ntwo": 2} {
		if got := Lines(printed); len(got) != want {
			t.Errorf("%q: %v", printed, got)
		}
	}
}
