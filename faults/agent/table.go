package agent

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/google/nftables/xt"
)

// tableName is the one nftables table of the agent. It exists while there is a
// delay. All faults share it, and its one hook, because the kernel drops every
// packet that any queue holds when any hook of its network namespace goes away: a
// table for each fault would make the end of one fault lose packets of another.
const tableName = "cutover_delay"

// table directs what arrives from pods into queues: for each fault a set of
// network interfaces, whose members the kernel itself forgets at their time, and
// for each member a rule that sends what comes in by it to the pod's queue. With
// nobody at the queue the rule lets everything through.
type table struct{ netns int } // descriptor of the network namespace; 0 for this process's

func (t table) conn() (*nftables.Conn, error) {
	conn, err := nftables.New(nftables.WithNetNSFd(t.netns))
	if err != nil {
		return nil, fmt.Errorf("reach nftables: %w", err)
	}
	return conn, nil
}

func (t table) self() *nftables.Table {
	return &nftables.Table{Name: tableName, Family: nftables.TableFamilyIPv4}
}

// chain sees a packet first thing on the node, before connection tracking: it has
// left its sender's socket there, which a held packet would otherwise throttle.
func (t table) chain() *nftables.Chain {
	return &nftables.Chain{
		Name: "prerouting", Table: t.self(), Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityRaw,
	}
}

func (t table) set(name string) *nftables.Set {
	return &nftables.Set{Table: t.self(), Name: name, KeyType: nftables.TypeIFIndex, HasTimeout: true}
}

// toQueue is the NFQUEUE target of iptables, revision 3, reached through
// nft_compat: kernels without nftables' own queue expression have it too.
func toQueue(number uint16) *expr.Target {
	const bypass = 1 // without a listener, go on instead of dropping
	info := make([]byte, 8)
	binary.NativeEndian.PutUint16(info[0:], number)
	binary.NativeEndian.PutUint16(info[2:], 1) // so many queues
	binary.NativeEndian.PutUint16(info[4:], bypass)
	unknown := xt.Unknown(info)
	return &expr.Target{Name: "NFQUEUE", Rev: 3, Info: &unknown}
}

// put makes an interface a member of a fault's set for so long, and directs what
// comes in by it to a queue meanwhile.
func (t table) put(name string, link int, queue uint16, lasting time.Duration) error {
	if lasting < time.Millisecond {
		return fmt.Errorf("put an interface into %s: its time is over", name)
	}
	conn, err := t.conn()
	if err != nil {
		return err
	}
	// All but the member and the rule may be there already, which is no error.
	conn.AddTable(t.self())
	chain := conn.AddChain(t.chain())
	set, key := t.set(name), binaryutil.NativeEndian.PutUint32(uint32(link))
	member := nftables.SetElement{Key: key, Timeout: lasting}
	if err := conn.AddSet(set, nil); err != nil {
		return fmt.Errorf("add set %s: %w", name, err)
	}
	if err := conn.SetAddElements(set, []nftables.SetElement{member}); err != nil {
		return fmt.Errorf("put an interface into %s: %w", name, err)
	}
	conn.AddRule(&nftables.Rule{
		Table: t.self(), Chain: chain,
		UserData: userdata.AppendString(nil, userdata.TypeComment, name),
		Exprs: []expr.Any{
			&expr.Meta{Key: expr.MetaKeyIIF, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: key},
			&expr.Lookup{SourceRegister: 1, SetName: name, SetID: set.ID},
			toQueue(queue),
		},
	})
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("put an interface into %s: %w", name, err)
	}
	return nil
}

// remove takes a fault's rules and set out. What is queued stays queued.
func (t table) remove(name string) error {
	conn, err := t.conn()
	if err != nil {
		return err
	}
	sets, err := t.sets()
	if !slices.Contains(sets, name) || err != nil {
		return err
	}
	rules, err := conn.GetRules(t.self(), t.chain())
	if err != nil {
		return fmt.Errorf("list the agent's rules: %w", err)
	}
	for _, rule := range rules {
		if comment, _ := userdata.GetString(rule.UserData, userdata.TypeComment); comment != name {
			continue
		}
		if err := conn.DelRule(rule); err != nil {
			return fmt.Errorf("remove the rule of %s: %w", name, err)
		}
	}
	conn.DelSet(t.set(name))
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("remove the rule of %s: %w", name, err)
	}
	return nil
}

// sets lists the faults that the table serves; none if there is no table.
func (t table) sets() ([]string, error) {
	conn, err := t.conn()
	if err != nil {
		return nil, err
	}
	if there, err := t.exists(conn); !there || err != nil {
		return nil, err
	}
	sets, err := conn.GetSets(t.self())
	if err != nil {
		return nil, fmt.Errorf("list the agent's sets: %w", err)
	}
	var names []string
	for _, set := range sets {
		names = append(names, set.Name)
	}
	return names, nil
}

// drop removes the table with all that is in it.
func (t table) drop() error {
	conn, err := t.conn()
	if err != nil {
		return err
	}
	if there, err := t.exists(conn); !there || err != nil {
		return err
	}
	conn.DelTable(t.self())
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("remove table %s: %w", tableName, err)
	}
	return nil
}

func (t table) exists(conn *nftables.Conn) (bool, error) {
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return false, fmt.Errorf("list nftables' tables: %w", err)
	}
	for _, other := range tables {
		if other.Name == tableName {
			return true, nil
		}
	}
	return false, nil
}
