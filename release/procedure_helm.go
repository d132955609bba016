package release

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/cli"
	"helm.sh/helm/v3/pkg/kube"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
	"sigs.k8s.io/yaml"

	"github.com/cutover-dev/cutover/history"
)

// Helm is a procedure that does what helm upgrade --install --wait does.
type Helm struct {
	Chart   string   `yaml:"chart,omitempty" json:"chart,omitempty"`     // a folder or a .tgz, as seen from the scenario's root
	Release string   `yaml:"release,omitempty" json:"release,omitempty"` // its name; default app.service
	Values  []string `yaml:"values,omitempty" json:"values,omitempty"`   // files with values of both versions; later ones win
	// Baseline is installed before the load begins.
	Baseline  HelmVersion      `yaml:"baseline,omitempty" json:"baseline"`
	Candidate HelmVersion      `yaml:"candidate,omitempty" json:"candidate"`       // what the procedure upgrades to
	Atomic    bool             `yaml:"atomic,omitempty" json:"atomic,omitempty"`   // --atomic: a failed upgrade is rolled back
	Timeout   history.Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"` // --timeout; default 1m
}

// HelmVersion is what a version has of its own.
type HelmVersion struct {
	Chart  string          `yaml:"chart,omitempty" json:"chart,omitempty"`   // in place of the procedure's
	Values json.RawMessage `yaml:"values,omitempty" json:"values,omitempty"` // they win over those of files
}

// WithDefaults fills what was left out.
func (h Helm) WithDefaults() Helm {
	h.Timeout = cmp.Or(h.Timeout, history.Duration(time.Minute))
	return h
}

func (h *Helm) patience() time.Duration { return h.Timeout.D() }

func (h *Helm) version(v history.Version) HelmVersion {
	if v == history.Candidate {
		return h.Candidate
	}
	return h.Baseline
}

func (h *Helm) check(folder checkedFolder) (wrong []error) {
	fail := func(err error) {
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	if h.Chart != "" {
		fail(checkChart(folder, "chart", h.Chart))
	}
	for _, v := range []history.Version{history.Baseline, history.Candidate} {
		key, version := string(v), h.version(v)
		if h.Chart == "" && version.Chart == "" {
			fail(errors.New("chart: missing: write the folder or the .tgz of the chart"))
			return wrong
		}
		if version.Chart != "" {
			fail(checkChart(folder, key+".chart", version.Chart))
		}
		if _, err := folder.given.fill(string(version.Values)); err != nil {
			fail(fmt.Errorf("%s.values: %w", key, err))
		}
	}
	for i, path := range h.Values {
		fail(folder.file(fmt.Sprintf("values[%d]", i), path))
	}
	if h.Release != "" && chartutil.ValidateReleaseName(h.Release) != nil {
		fail(fmt.Errorf("release: %q is no name of a release: write up to 53 small letters, digits and dashes", h.Release))
	}
	return wrong
}

// checkChart looks for the file that makes a folder a chart.
func checkChart(folder checkedFolder, key, path string) error {
	path, info, err := folder.path(key, path)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(path, chartutil.ChartfileName)); info.IsDir() && err != nil {
		return fmt.Errorf("%s: there is no %s in %s, so it is no chart", key, chartutil.ChartfileName, path)
	}
	return nil
}

// deploy implements deployer: it does, and says, what the helm program does and says.
func (h *Helm) deploy(ctx context.Context, v history.Version, given placeholders) error {
	settings := cli.New()
	kube.ManagedFieldsManager = "helm" // or it would be the name of this program
	config := &action.Configuration{}
	debug := func(format string, args ...any) { say(os.Stderr, format, args...) }
	if err := config.Init(settings.RESTClientGetter(), settings.Namespace(), "", debug); err != nil {
		return err
	}
	loaded, err := loadChart(cmp.Or(h.version(v).Chart, h.Chart))
	if err != nil {
		return err
	}
	values, err := h.values(v, given)
	if err != nil {
		return err
	}
	name := cmp.Or(h.Release, given[variableService])
	look := action.NewHistory(config)
	look.Max = 1
	revisions, err := look.Run(name)
	var deployed *helmrelease.Release
	switch uninstalled := len(revisions) > 0 && revisions[len(revisions)-1].Info.Status == helmrelease.StatusUninstalled; {
	case errors.Is(err, driver.ErrReleaseNotFound) || err == nil && uninstalled:
		say(os.Stdout, "Release %q does not exist. Installing it now.", name)
		install := action.NewInstall(config)
		install.ReleaseName, install.Namespace, install.Replace = name, settings.Namespace(), uninstalled
		install.Wait, install.Timeout, install.Atomic = true, h.Timeout.D(), h.Atomic
		deployed, err = install.RunWithContext(ctx, loaded, values)
	case err == nil:
		upgrade := action.NewUpgrade(config)
		upgrade.Install, upgrade.Namespace, upgrade.MaxHistory = true, settings.Namespace(), settings.MaxHistory
		upgrade.Wait, upgrade.Timeout, upgrade.Atomic = true, h.Timeout.D(), h.Atomic
		if deployed, err = upgrade.RunWithContext(ctx, name, loaded, values); err != nil {
			err = fmt.Errorf("UPGRADE FAILED: %w", err)
		}
	}
	if err != nil {
		return err
	}
	say(os.Stdout, "Release %q is %s, revision %d", deployed.Name, deployed.Info.Status, deployed.Version)
	return nil
}

// loadChart reads a chart, whose dependencies must be in it.
func loadChart(path string) (*chart.Chart, error) {
	loaded, err := loader.Load(path)
	if err != nil {
		return nil, fmt.Errorf("read the chart %s: %w", path, err)
	}
	if err := action.CheckDependencies(loaded, loaded.Metadata.Dependencies); err != nil {
		return nil, fmt.Errorf("the chart %s is not complete: run `helm dependency build` in its folder: %w", path, err)
	}
	return loaded, nil
}

// values are those of a version: of the files, in their order, and then its own.
func (h *Helm) values(v history.Version, given placeholders) (map[string]any, error) {
	merged := map[string]any{}
	for _, path := range h.Values {
		text, err := given.read(path)
		if err != nil {
			return nil, err
		}
		values := map[string]any{}
		if err := yaml.Unmarshal(text, &values); err != nil {
			return nil, fmt.Errorf("the values in %s: %w", path, err)
		}
		merged = chartutil.MergeTables(values, merged)
	}
	own := map[string]any{}
	if text := h.version(v).Values; text != nil {
		if err := json.Unmarshal(text, &own); err != nil {
			return nil, fmt.Errorf("the values of the %s: %w", v, err)
		}
	}
	if _, err := given.fillAll(own); err != nil {
		return nil, fmt.Errorf("the values of the %s: %w", v, err)
	}
	return chartutil.MergeTables(own, merged), nil
}
