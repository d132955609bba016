package suites_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

const modulePath = "github.com/cutover-dev/cutover"

// publish puts this checkout into a module proxy in a folder, as a version of the
// module: its tracked files as they stand, by the rules of published modules.
func publish(ctx SpecContext, proxy, version string) {
	GinkgoHelper()
	root, err := filepath.Abs("..")
	Expect(err).NotTo(HaveOccurred())
	at := filepath.Join(proxy, modulePath, "@v")
	Expect(os.MkdirAll(at, 0o755)).To(Succeed())
	archive, err := os.Create(filepath.Join(at, version+".zip"))
	Expect(err).NotTo(HaveOccurred())
	defer archive.Close()
	// It refuses what a proxy would refuse: sizes, names, names that differ by case alone.
	Expect(zip.Create(archive, module.Version{Path: modulePath, Version: version}, tracked(ctx, root))).To(Succeed())
	goMod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	Expect(err).NotTo(HaveOccurred())
	// `go install path@version` refuses a module that has any.
	Expect(string(goMod)).NotTo(MatchRegexp(`(?m)^\s*(replace|exclude)\b`))
	for name, content := range map[string][]byte{
		version + ".mod":  goMod,
		version + ".info": fmt.Appendf(nil, `{"Version":%q}`, version),
		"list":            []byte(version + "\n"),
	} {
		Expect(os.WriteFile(filepath.Join(at, name), content, 0o600)).To(Succeed())
	}
}

// tracked lists the files that belong to the checkout.
func tracked(ctx SpecContext, root string) (files []zip.File) {
	GinkgoHelper()
	// The checkout may be somebody else's than root's.
	list := exec.CommandContext(ctx, "git", "-C", root, "-c", "safe.directory=*", "ls-files", "-z")
	out, err := list.Output()
	if err != nil {
		Skip("only a git checkout knows what would be published: " + err.Error())
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if _, err := os.Lstat(filepath.Join(root, name)); err == nil { // else it was deleted
			files = append(files, moduleFile{root, name})
		}
	}
	return files
}

// moduleFile is one file of a module.
type moduleFile struct{ root, name string }

func (f moduleFile) Path() string                 { return f.name }
func (f moduleFile) Lstat() (os.FileInfo, error)  { return os.Lstat(filepath.Join(f.root, f.name)) }
func (f moduleFile) Open() (io.ReadCloser, error) { return os.Open(filepath.Join(f.root, f.name)) }

// unpublish removes what the module cache has of the version.
func unpublish(ctx SpecContext, version string) {
	GinkgoHelper()
	cache := goEnv(ctx, "GOMODCACHE")
	kept, err := filepath.Glob(filepath.Join(cache, "cache/download", modulePath, "@v", version+".*"))
	Expect(err).NotTo(HaveOccurred())
	for _, path := range append(kept, filepath.Join(cache, modulePath+"@"+version)) {
		Expect(os.RemoveAll(path)).To(Succeed())
	}
}

// goEnv is a setting of the go command as its user has it.
func goEnv(ctx SpecContext, name string) string {
	GinkgoHelper()
	command := exec.CommandContext(ctx, "go", "env", name)
	command.Env = usersEnvironment()
	out, err := command.Output()
	Expect(err).NotTo(HaveOccurred())
	return strings.TrimSpace(string(out))
}

// usersEnvironment is ours without what `make` sets for its own builds.
func usersEnvironment(more ...string) []string {
	var kept []string
	for _, variable := range os.Environ() {
		switch name, _, _ := strings.Cut(variable, "="); name {
		case "CGO_ENABLED", "GOFLAGS":
		default:
			kept = append(kept, variable)
		}
	}
	return append(kept, more...)
}
