package cutover_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/cutover-dev/cutover"

// everything in a row of mayImport stands for all of ours but what is alone.
const everything = "*"

// alone is what nobody else imports, not even those who may import everything.
var alone = []string{"bench"}

// mayImport says, for each top-level folder, which of the others its packages may
// import. .golangci.yml holds the same table for editors; this one needs no linter.
var mayImport = map[string][]string{
	"history":      {},
	"stats":        {},
	"verdict":      {"history", "stats"},
	"gates":        {"history", "stats"},
	"reports":      {"history", "stats", "verdict"},
	"safety":       {"history"},
	"cluster":      {"history", "kind-config", "safety"},
	"apiproxy":     {"history", "safety"},
	"loadgen":      {"history", "stats"},
	"release":      {"apiproxy", "cluster", "history", "safety"},
	"faults":       {"apiproxy", "cluster", "history", "safety"},
	"dependencies": {"cluster", "history", "safety"},
	"scenarios":    {"dependencies", "faults", "gates", "history", "loadgen", "release", "verdict"},
	"experiment":   {everything},
	"suites":       {everything},
	"bench":        {everything},
	"cmd":          {everything},
	"apps":         {},
	"kind-config":  {},
}

// onlyFrom lists what must stay at the edge, tests included, and where that is.
var onlyFrom = map[string]string{
	"github.com/onsi/ginkgo": "suites",
	"github.com/onsi/gomega": "suites",
}

// withoutKubernetes can be used by a program that has never heard of a cluster, so
// nothing that they import, however indirectly, may be of k8s.io.
var withoutKubernetes = []string{"history", "stats", "verdict", "gates", "reports"}

// goPackage is what `go list -json` says of a package.
type goPackage struct {
	ImportPath                               string
	Imports, TestImports, XTestImports, Deps []string
}

func TestImports(t *testing.T) {
	for _, pkg := range packages(t) {
		for _, violation := range violations(pkg) {
			t.Errorf("%s %s", pkg.ImportPath, violation)
		}
	}
}

// TestImportRules shows each rule a package that breaks it.
func TestImportRules(t *testing.T) {
	for _, test := range []struct {
		why  string
		pkg  goPackage
		want string
	}{
		{"its own folder", goPackage{ImportPath: module + "/faults", Imports: []string{module + "/faults/agent"}}, ""},
		{"everything for the command", goPackage{ImportPath: module + "/cmd/cutover", Imports: []string{module + "/suites"}}, ""},
		{"what nobody imports, for the command", goPackage{ImportPath: module + "/cmd/cutover", Imports: []string{module + "/bench"}}, "may import only"},
		{"upwards", goPackage{ImportPath: module + "/gates", Imports: []string{module + "/loadgen"}}, "may import only"},
		{"ginkgo in a test", goPackage{ImportPath: module + "/gates", XTestImports: []string{"github.com/onsi/ginkgo/v2"}}, "only suites may"},
		{"client-go, indirectly", goPackage{ImportPath: module + "/verdict", Deps: []string{"k8s.io/client-go/rest"}}, "without a cluster"},
		{"a folder without a row", goPackage{ImportPath: module + "/utils"}, "has no row"},
	} {
		got := strings.Join(violations(test.pkg), "; ")
		if (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: got %q, want %q", test.why, got, test.want)
		}
	}
}

func violations(pkg goPackage) []string {
	from := folderOf(pkg.ImportPath)
	allowed, known := mayImport[from]
	if !known {
		return []string{fmt.Sprintf("is in %q, which has no row in the table of who may import whom: add one here and in .golangci.yml", from)}
	}
	found := slices.Concat(wrongOurs(pkg, from, allowed), wrongEdges(pkg, from))
	if slices.Contains(withoutKubernetes, from) {
		found = append(found, wrongKubernetes(pkg)...)
	}
	return found
}

func wrongOurs(pkg goPackage, from string, allowed []string) (found []string) {
	for _, imported := range pkg.Imports {
		to := folderOf(imported)
		if to == "" || to == from || slices.Contains(allowed, to) || slices.Contains(allowed, everything) && !slices.Contains(alone, to) {
			continue
		}
		found = append(found, fmt.Sprintf("imports %s: %s may import only %v of ours", imported, from, allowed))
	}
	return found
}

func wrongEdges(pkg goPackage, from string) (found []string) {
	for _, imported := range slices.Concat(pkg.Imports, pkg.TestImports, pkg.XTestImports) {
		for edge, where := range onlyFrom {
			if strings.HasPrefix(imported, edge) && from != where {
				found = append(found, fmt.Sprintf("imports %s: only %s may", imported, where))
			}
		}
	}
	return found
}

func wrongKubernetes(pkg goPackage) []string {
	for _, dep := range pkg.Deps {
		if strings.HasPrefix(dep, "k8s.io/") || strings.HasPrefix(dep, "sigs.k8s.io/") {
			return []string{fmt.Sprintf("depends on %s: it must work without a cluster", dep)}
		}
	}
	return nil
}

// folderOf is the top-level folder of one of our packages, empty for any other.
func folderOf(importPath string) string {
	rest, ours := strings.CutPrefix(importPath, module+"/")
	if !ours {
		return ""
	}
	folder, _, _ := strings.Cut(rest, "/")
	return folder
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	var stderr bytes.Buffer
	list := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports,Deps", "./...")
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []goPackage
	for in := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg goPackage
		err := in.Decode(&pkg)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("reading the answer of go list: %v", err)
		}
		if pkg.ImportPath != module {
			all = append(all, pkg)
		}
	}
}
