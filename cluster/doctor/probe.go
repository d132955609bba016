package doctor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	nft "github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/cutover-dev/cutover/cluster/aside"
)

// probe is something to try in network and mount namespaces of its own.
type probe func() error

// tryAside runs the probe in namespaces that end with it.
func tryAside(p probe) error {
	return aside.Run(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("making namespaces: %w", err)
		}
		return p()
	})
}

const probeLink = "probe0"

func addVeth() error {
	link := netlink.NewLinkAttrs()
	link.Name = probeLink
	return netlink.LinkAdd(&netlink.Veth{LinkAttrs: link, PeerName: "probe1"})
}

func addNetem() error {
	if err := addVeth(); err != nil {
		return err
	}
	link, err := netlink.LinkByName(probeLink)
	if err != nil {
		return err
	}
	on := netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT}
	return netlink.QdiscAdd(netlink.NewNetem(on, netlink.NetemQdiscAttrs{Latency: 1000}))
}

// addQueue uses the NFQUEUE target of iptables, revision 3, which also kernels
// without nftables' own queue expression have.
func addQueue() error {
	info := make([]byte, 8)                    // of queue 0
	binary.NativeEndian.PutUint16(info[2:], 1) // so many queues
	unknown := xt.Unknown(info)
	return addRule(&expr.Target{Name: "NFQUEUE", Rev: 3, Info: &unknown})
}

// addRule adds a table, a chain and, if there are expressions, a rule of them.
func addRule(exprs ...expr.Any) error {
	conn, err := nft.New()
	if err != nil {
		return err
	}
	table := conn.AddTable(&nft.Table{Name: "probe", Family: nft.TableFamilyIPv4})
	chain := conn.AddChain(&nft.Chain{
		Name: "probe", Table: table, Type: nft.ChainTypeFilter,
		Hooknum: nft.ChainHookPrerouting, Priority: nft.ChainPriorityRaw,
	})
	if len(exprs) > 0 {
		conn.AddRule(&nft.Rule{Table: table, Chain: chain, Exprs: exprs})
	}
	return conn.Flush()
}

func mountOverlay() (err error) {
	// Or the mount would be seen outside.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	dir, err := os.MkdirTemp("", "cutover-doctor-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// On a tmpfs, since what lies beneath may be an overlay already.
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mounting a tmpfs: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Unmount(dir, unix.MNT_DETACH)) }()
	for _, sub := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	layers := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", dir)
	return unix.Mount("overlay", filepath.Join(dir, "merged"), "overlay", 0, layers)
}
