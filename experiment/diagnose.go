package experiment

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// LogExporter is a cluster that can copy the logs of its nodes into a folder.
type LogExporter interface {
	ExportLogs(ctx context.Context, dir string) error
}

// diagnose writes what is in the run's namespace to cluster/ of the record, before
// it is taken away: pods as objects and their logs, and those of dependencies. Whether the run passed is not
// known yet. What cannot be had is left out.
func (r *run) diagnose(ctx context.Context) {
	dir := filepath.Join(r.Out, "cluster")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return
	}
	r.keepLogs(ctx, dir)
	set, err := kubernetes.NewForConfig(r.Cluster.REST())
	if err != nil {
		return
	}
	var pods corev1.PodList
	if err := r.client.List(ctx, &pods, client.InNamespace(r.namespace)); err != nil {
		return
	}
	for _, pod := range pods.Items {
		if data, err := json.MarshalIndent(pod, "", "  "); err == nil {
			_ = os.WriteFile(filepath.Join(dir, "pod-"+pod.Name+".json"), data, 0o644)
		}
		for _, container := range pod.Spec.Containers {
			stream, err := set.CoreV1().Pods(r.namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Container: container.Name}).Stream(ctx)
			if err != nil {
				continue
			}
			log, err := io.ReadAll(io.LimitReader(stream, 1<<20))
			stream.Close()
			if err == nil {
				_ = os.WriteFile(filepath.Join(dir, fmt.Sprintf("log-%s-%s.txt", pod.Name, container.Name)), log, 0o644)
			}
		}
	}
}

// keepNodeLogs copies the logs of the cluster's nodes to cluster/nodes of the record of a
// run that did not end as it was to. What cannot be had is left out.
func (r *run) keepNodeLogs(ctx context.Context) {
	if exporter, can := r.Cluster.(LogExporter); can && !r.lost(ctx) {
		_ = exporter.ExportLogs(ctx, filepath.Join(r.Out, "cluster", "nodes"))
	}
}
