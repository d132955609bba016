package agent

import (
	"fmt"
	"os"

	"github.com/google/nftables"
	"k8s.io/apimachinery/pkg/types"
)

// Residue lists the queues' rules that stand on a node for faults that no living
// object asks for. namespace is the path of the node's network namespace.
func Residue(namespace string, living []types.UID) ([]string, error) {
	file, err := os.Open(namespace)
	if err != nil {
		return nil, fmt.Errorf("look at the node's network: %w", err)
	}
	defer file.Close()
	t := table{netns: int(file.Fd())}
	conn, err := t.conn()
	if err != nil {
		return nil, err
	}
	if there, err := t.exists(conn); !there || err != nil {
		return nil, err
	}
	sets, err := conn.GetSets(&nftables.Table{Name: tableName, Family: nftables.TableFamilyIPv4})
	if err != nil {
		return nil, fmt.Errorf("list the sets of nftables' table %s: %w", tableName, err)
	}
	wanted := map[string]bool{}
	for _, fault := range living {
		wanted[setName(fault)] = true
	}
	var left []string
	for _, set := range sets {
		if !wanted[set.Name] {
			left = append(left, fmt.Sprintf("nftables set %s of table %s", set.Name, tableName))
		}
	}
	return left, nil
}
