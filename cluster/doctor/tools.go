package doctor

import (
	"context"
	"strings"
)

func components(_ context.Context, m machine) Line {
	line := Line{Name: "components", Status: OK, Meaning: "they are built: a cluster is ready in seconds"}
	switch {
	case m.options.Unusable != nil:
		line.Status, line.Meaning = Fail, m.options.Unusable.Error()
		line.Remedy = "unset CUTOVER_COMPONENTS, or name a folder that `cutover cluster components` printed"
	case !m.options.Built:
		line.Status, line.Meaning = Warn, "not built yet: the first cluster builds them, which takes 10 to 15 minutes on two cores"
		line.Remedy = "`cutover cluster components` builds them now"
	}
	return line
}

func golang(ctx context.Context, m machine) Line {
	version, err := m.run(ctx, []string{"GOTOOLCHAIN=local"}, "go", "env", "GOVERSION")
	if err != nil {
		return Line{
			Name: "go", Status: m.unlessBuilt(), Meaning: "not found: neither clusters nor ko:// images can be built",
			Remedy: "install a current Go (https://go.dev/dl) and put it in PATH, also in root's",
		}
	}
	return Line{Name: "go", Status: OK, Meaning: version + " builds clusters and ko:// images"}
}

func compiler(ctx context.Context, m machine) Line {
	line := Line{
		Name: "gcc", Status: m.unlessBuilt(), Meaning: "not found: runc, which is partly C, cannot be built",
		Remedy: "Debian, Ubuntu: apt-get install gcc libc6-dev · Fedora: dnf install gcc · else your distribution's C compiler",
	}
	if !m.has("gcc") {
		return line
	}
	if _, err := m.run(ctx, nil, "gcc", "-E", "-include", "stdlib.h", "-x", "c", "/dev/null"); err != nil {
		line.Meaning = "the headers of the C library are missing: runc, which is partly C, cannot be built"
		return line
	}
	return Line{Name: "gcc", Status: OK, Meaning: "runc can be built"}
}

func seccomp(ctx context.Context, m machine) Line {
	const remedy = "Debian, Ubuntu: apt-get install pkg-config libseccomp-dev · Fedora: dnf install pkgconf libseccomp-devel"
	line := Line{Name: "libseccomp", Status: m.unlessBuilt(), Remedy: remedy}
	if !m.has("pkg-config") {
		line.Meaning = "pkg-config, which would find it, is missing: runc cannot be built"
		return line
	}
	version, err := m.run(ctx, nil, "pkg-config", "--modversion", "libseccomp")
	if err != nil {
		line.Meaning = "its headers are missing: runc cannot be built"
		return line
	}
	return Line{Name: "libseccomp", Status: OK, Meaning: version + ": runc can be built with it"}
}

func nftProgram(_ context.Context, m machine) Line {
	if m.has("nft") {
		return Line{Name: "nft", Status: OK, Meaning: "kube-proxy has the program that it calls"}
	}
	return Line{
		Name: "nft", Status: Fail, Meaning: "not found: kube-proxy calls it, and no Service would work",
		Remedy: "Debian, Ubuntu: apt-get install nftables · Fedora: dnf install nftables",
	}
}

func iptablesProgram(_ context.Context, m machine) Line {
	if m.has("iptables") {
		return Line{Name: "iptables", Status: OK, Meaning: "pods can have a hostPort"}
	}
	return Line{
		Name: "iptables", Status: Warn, Meaning: "not found: pods with a hostPort may not be reachable",
		Remedy: "Debian, Ubuntu: apt-get install iptables · Fedora: dnf install iptables-nft",
	}
}

func makeProgram(_ context.Context, m machine) Line {
	if m.has("make") {
		return Line{Name: "make", Status: OK, Meaning: "`make e2e` can be called"}
	}
	return Line{
		Name: "make", Status: Warn, Meaning: "not found: `make e2e` cannot be called, cutover itself does not need it",
		Remedy: "Debian, Ubuntu: apt-get install make · Fedora: dnf install make",
	}
}

// moduleProxy asks through go itself, which knows the proxies, their order and how
// to log in. It never says where they are: their addresses may carry secrets.
func moduleProxy(ctx context.Context, m machine) Line {
	line := Line{Name: "Go modules", Status: Warn}
	if !m.has("go") {
		line.Meaning = "not known without go"
		return line
	}
	if setting, err := m.run(ctx, nil, "go", "env", "GOPROXY"); err == nil && strings.TrimSpace(setting) == "off" {
		line.Meaning = "GOPROXY is off: only what is in the module cache can be built"
		line.Remedy = "unset it (go env -u GOPROXY) if clusters or images fail to build"
		return line
	}
	if err := m.askForModule(ctx); err != nil {
		line.Meaning = "none can be reached: only what is in the module cache can be built"
		line.Remedy = "check the network and what `go env GOPROXY` says"
		return line
	}
	return Line{Name: "Go modules", Status: OK, Meaning: "they can be downloaded, so clusters and ko:// images can be built"}
}

// unlessBuilt is how bad it is that something cannot be built.
func (m machine) unlessBuilt() Status {
	if m.options.Built {
		return Warn
	}
	return Fail
}
