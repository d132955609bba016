package experiment

import (
	"runtime/debug"
	"testing"
)

func TestBuildTellsWhichCutoverItIs(t *testing.T) {
	ours := func(version string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Path: modulePath, Version: version}, Settings: settings}
	}
	for _, row := range []struct {
		why  string
		info *debug.BuildInfo
		want string
	}{
		{"installed: there is no commit, the version says it all", ours("v0.3.0"), "v0.3.0"},
		{"built in a checkout", ours("v0.3.1-0.20261121000000-71342a0c0ffe+dirty", debug.BuildSetting{Key: "vcs.revision", Value: "71342a0c0ffe"}, debug.BuildSetting{Key: "vcs.modified", Value: "true"}),
			"v0.3.1-0.20261121000000-71342a0c0ffe+dirty, commit 71342a0c0ffe with changes"},
		{"built without the checkout's history", ours(""), "(devel)"},
		{"in somebody else's program, whose version is not ours", &debug.BuildInfo{Main: debug.Module{Path: "example.com/theirs", Version: "v9.0.0"}, Deps: []*debug.Module{{Path: modulePath, Version: "v0.2.0"}}}, "v0.2.0"},
	} {
		if got := (Build{Version: "(devel)"}).fill(row.info).String(); got != row.want {
			t.Errorf("%s: got %q, want %q", row.why, got, row.want)
		}
	}
	if got := ThisBuild(); got.Version == "" || got.Go == "" {
		t.Errorf("this test: %+v", got)
	}
}
