package experiment

import (
	"runtime"
	"runtime/debug"
	"slices"
)

const modulePath = "github.com/cutover-dev/cutover"

// Build says which cutover this is.
type Build struct {
	Version string // of the module; "(devel)" if it was built from a checkout that Go knows no version of
	Commit  string // "" if Go did not stamp one
	Changed bool   // files were changed since the commit
	Go      string // that built it, with the platform that it is for
}

// ThisBuild reads what Go wrote into the program.
func ThisBuild() Build {
	build := Build{Version: "(devel)", Go: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return build
	}
	return build.fill(info)
}

func (b Build) fill(info *debug.BuildInfo) Build {
	if info.Main.Path != modulePath { // a program that only uses our packages
		at := slices.IndexFunc(info.Deps, func(m *debug.Module) bool { return m.Path == modulePath })
		if at >= 0 {
			b.Version = info.Deps[at].Version
		}
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Changed = s.Value == "true"
		}
	}
	return b
}

// String is one line: the version, and the commit if there is one.
func (b Build) String() string {
	text := b.Version
	if b.Commit != "" {
		text += ", commit " + b.Commit
	}
	if b.Changed {
		text += " with changes"
	}
	return text
}
