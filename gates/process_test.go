package gates

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func sh(ctx context.Context, t *testing.T, script string, env map[string]string) (Exit, error) {
	t.Helper()
	return execute(ctx, t.TempDir(), []string{"/bin/sh", "-c", script}, env)
}

func TestCommandHasAScrubbedEnvironment(t *testing.T) {
	t.Setenv("API_TOKEN", "secret")
	exit, err := sh(t.Context(), t, "env | cut -d= -f1 | sort | tr '\\n' ' '", map[string]string{"CUTOVER_STEP": "promote", "OWN": "1"})
	if err != nil || strings.Contains(exit.Output, "API_TOKEN") || !strings.Contains(exit.Output, "CUTOVER_STEP") || !strings.Contains(exit.Output, "OWN") || !strings.Contains(exit.Output, "PATH") {
		t.Errorf("%+v, %v", exit, err)
	}
}

func TestCommandStartsInItsFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "check"), []byte("#!/bin/sh\npwd\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	exit, err := execute(t.Context(), dir, []string{"./check"}, nil)
	if err != nil || exit.Code != 3 || exit.Output != dir {
		t.Errorf("%+v, %v", exit, err)
	}
}

func TestCommandKeepsItsLastLines(t *testing.T) {
	exit, err := sh(t.Context(), t, "seq 1 100000; echo; echo the end >&2", nil)
	if err != nil || exit.Output != "99999 | 100000 | the end" {
		t.Errorf("%+v, %v", exit, err)
	}
}

// What a command starts ends with it, also what has left its process group.
func TestCommandLeavesNothingBehind(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	mark := "test/" + t.TempDir()
	began := time.Now()
	if _, err := sh(ctx, t, "sleep 300 & setsid sleep 300 & wait", map[string]string{markVariable: mark}); err == nil {
		t.Error("it ended by itself")
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s to be killed", took)
	}
	if err := KillMarked(t.Context(), mark); err != nil {
		t.Error(err)
	}
	if left, err := marked(mark); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// Nobody is killed whose mark only begins the same.
func TestOnlyMarkedProcessesAreKilled(t *testing.T) {
	mark := "test/" + t.TempDir()
	done := make(chan Exit)
	go func() {
		exit, _ := sh(t.Context(), t, "sleep 1", map[string]string{markVariable: mark + "0"})
		done <- exit
	}()
	if err := KillMarked(t.Context(), mark); err != nil {
		t.Error(err)
	}
	if exit := <-done; exit.Code != 0 {
		t.Errorf("it was killed: %+v", exit)
	}
}
