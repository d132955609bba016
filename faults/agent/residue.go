package agent

import (
	"fmt"

	"github.com/google/nftables"
	"k8s.io/apimachinery/pkg/types"
)

// ResidueCommand is the command of the cutover program that prints [Residue], a
// line each. Its arguments are the living objects. It is run in a node's network.
const ResidueCommand = "agent-residue"

// Residue lists the queues' rules that stand in this process's network, a node's,
// for faults that no living object asks for.
func Residue(living []types.UID) ([]string, error) {
	var here table
	conn, err := here.conn()
	if err != nil {
		return nil, err
	}
	if there, err := here.exists(conn); !there || err != nil {
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
