package chaosmesh

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"helm.sh/helm/v3/pkg/chart"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// archived is a chart as a repository has it.
func archived(t *testing.T, version string) []byte {
	t.Helper()
	var out bytes.Buffer
	compressed := gzip.NewWriter(&out)
	packed := tar.NewWriter(compressed)
	text := fmt.Sprintf("apiVersion: v2\nname: chaos-mesh\nversion: %s\n", version)
	must(t, packed.WriteHeader(&tar.Header{Name: "chaos-mesh/Chart.yaml", Mode: 0o644, Size: int64(len(text))}))
	_, err := packed.Write([]byte(text))
	must(t, err)
	must(t, packed.Close())
	must(t, compressed.Close())
	return out.Bytes()
}

// repository serves two versions of the chart.
func repository(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/index.yaml", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "apiVersion: v1\nentries:\n  chaos-mesh:")
		for _, version := range []string{"9.9.9", publishedVersion} {
			fmt.Fprintf(w, "  - {name: chaos-mesh, apiVersion: v2, version: %s, urls: [chaos-mesh-%[1]s.tgz]}\n", version)
		}
	})
	mux.HandleFunc("/chaos-mesh-"+publishedVersion+".tgz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(archived(t, publishedVersion))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// The pinned version, not the newest, and nothing of the user's Helm is touched.
func TestDownloadChart(t *testing.T) {
	home := t.TempDir()
	for _, variable := range []string{"HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"} {
		t.Setenv(variable, home)
	}
	got, err := downloadChart(repository(t), publishedVersion)
	must(t, err)
	if got.Metadata.Version != publishedVersion {
		t.Errorf("got version %s", got.Metadata.Version)
	}
	err = filepath.WalkDir(home, func(path string, found os.DirEntry, err error) error {
		if err == nil && !found.IsDir() {
			t.Errorf("%s is left", path)
		}
		return err
	})
	must(t, err)
}

func TestDownloadChartFails(t *testing.T) {
	// what a proxy answers for everybody
	empty := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer empty.Close()
	for _, test := range []struct{ name, repository, version string }{
		{"a version that is not there", repository(t), "0.0.1"},
		{"an empty answer", empty.URL, publishedVersion},
		{"nobody", "http://127.0.0.1:1", publishedVersion},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := downloadChart(test.repository, test.version)
			if err == nil || !strings.Contains(err.Error(), "make chaos-mesh-images") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestReadChart(t *testing.T) {
	path := filepath.Join(t.TempDir(), chartFile)
	must(t, os.WriteFile(path, archived(t, "0.0.0"), 0o600))
	got, err := readChart(path)
	if err != nil || got.Name() != chartName {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := readChart(path + ".not"); err == nil || !strings.Contains(err.Error(), "reading Chaos Mesh's chart") {
		t.Errorf("got %v", err)
	}
}

// fields are those of a Go type as JSON has them, with what is inside.
func fields(of reflect.Type, path string) (paths []string) {
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct || of == reflect.TypeFor[metav1.Time]() {
		return nil
	}
	for i := range of.NumField() {
		field := of.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" && strings.Contains(options, "inline") {
			paths = append(paths, fields(field.Type, path)...)
		}
		if name == "" || name == "-" {
			continue
		}
		paths = append(paths, path+"."+name)
		paths = append(paths, fields(field.Type, path+"."+name)...)
	}
	return paths
}

// defined reports whether a schema knows a field.
func defined(schema apiextensionsv1.JSONSchemaProps, path string) bool {
	for _, name := range strings.Split(path, ".")[1:] {
		if schema.Items != nil {
			schema = *schema.Items.Schema
		}
		inner, known := schema.Properties[name]
		if !known {
			return false
		}
		schema = inner
	}
	return true
}

// What the webhooks fill in and a definition does not know is forgotten, and then no
// status can be written any more.
func TestDefinitionsKnowEveryFieldOfThePrograms(t *testing.T) {
	packed := filepath.Join(t.TempDir(), chartFile)
	packChart(t, moduleChartFolder(t), packed)
	made, err := readChart(packed)
	must(t, err)
	for plural, spec := range map[string]reflect.Type{
		"podchaos":     reflect.TypeFor[v1alpha1.PodChaosSpec](),
		"networkchaos": reflect.TypeFor[v1alpha1.NetworkChaosSpec](),
		"stresschaos":  reflect.TypeFor[v1alpha1.StressChaosSpec](),
	} {
		t.Run(plural, func(t *testing.T) {
			at := slices.IndexFunc(made.Files, func(f *chart.File) bool { return f.Name == "crds/chaos-mesh.org_"+plural+".yaml" })
			if at < 0 {
				t.Fatal("no definition")
			}
			var definition apiextensionsv1.CustomResourceDefinition
			must(t, yaml.UnmarshalStrict(made.Files[at].Data, &definition))
			schema := definition.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
			for _, path := range fields(spec, "") {
				if !defined(schema, path) {
					t.Errorf("spec%s is not known", path)
				}
			}
		})
	}
}

// packChart makes of a folder what is beside the built programs.
func packChart(t *testing.T, folder, path string) {
	t.Helper()
	file, err := os.Create(path)
	must(t, err)
	defer file.Close()
	compressed := gzip.NewWriter(file)
	packed := tar.NewWriter(compressed)
	must(t, packed.AddFS(os.DirFS(filepath.Dir(folder))))
	must(t, packed.Close())
	must(t, compressed.Close())
}
