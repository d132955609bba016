package conformance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/vishvananda/netlink"
)

// Command is the command of the cutover program that is the pods of a trial: it is
// [Serve] at the port in its one argument.
const Command = "conformance-pod"

// What a connection is for, as its first byte says.
const (
	wantsEcho   = 'e' // each byte comes back
	wantsBytes  = 'b' // as many as are read
	wantsInside = 'i' // one [inside] as JSON
)

// inside is what only the pod itself sees.
type inside struct {
	Echoes int      `json:"echoes"` // echo requests that its kernel got
	Qdiscs []string `json:"qdiscs"` // of its network

	At      time.Duration `json:"at"`      // since the pod's program began
	Busy    time.Duration `json:"busy"`    // of all cores
	Memory  int64         `json:"memory"`  // bytes
	Unknown string        `json:"unknown"` // why it cannot tell what it uses
}

// Serve does what connections want until ctx ends.
func Serve(ctx context.Context, listener net.Listener) error {
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return ctx.Err()
		}
		go func() {
			defer conn.Close()
			_ = serve(conn) // whoever has gone away has seen enough
		}()
	}
}

func serve(conn net.Conn) error {
	what := make([]byte, 1)
	if _, err := io.ReadFull(conn, what); err != nil {
		return err
	}
	switch what[0] {
	case wantsEcho:
		_, err := io.Copy(conn, conn)
		return err
	case wantsBytes:
		for chunk := make([]byte, 64<<10); ; {
			if _, err := conn.Write(chunk); err != nil {
				return err
			}
		}
	case wantsInside:
		seen, err := lookInside()
		if err != nil {
			return err
		}
		return json.NewEncoder(conn).Encode(seen)
	}
	return fmt.Errorf("unknown wish %q", what)
}

func lookInside() (inside, error) {
	text, err := os.ReadFile("/proc/net/snmp")
	if err != nil {
		return inside{}, err
	}
	echoes, err := parseEchoes(text)
	if err != nil {
		return inside{}, err
	}
	qdiscs, err := netlink.QdiscList(nil)
	if err != nil {
		return inside{}, fmt.Errorf("list the queue disciplines: %w", err)
	}
	seen := inside{Echoes: echoes, Qdiscs: []string{}}
	if err := seen.countUse(); err != nil {
		seen.Unknown = err.Error()
	}
	for _, q := range qdiscs {
		link, err := netlink.LinkByIndex(q.Attrs().LinkIndex)
		if err != nil {
			return inside{}, fmt.Errorf("the interface of a queue discipline: %w", err)
		}
		seen.Qdiscs = append(seen.Qdiscs, fmt.Sprintf("%s on %s", q.Type(), link.Attrs().Name))
	}
	slices.Sort(seen.Qdiscs)
	return seen, nil
}

var began = time.Now()

// Where a container finds what its cgroups count: on version 1 in a folder for each
// controller, on version 2 in one.
const (
	busyFile, busyStat     = "/sys/fs/cgroup/cpuacct/cpuacct.usage", "/sys/fs/cgroup/cpu.stat"
	memoryFile, memoryStat = "/sys/fs/cgroup/memory/memory.usage_in_bytes", "/sys/fs/cgroup/memory.current"
)

// countUse reads what the pod's cgroups count.
func (seen *inside) countUse() error {
	seen.At = time.Since(began)
	if text, err := os.ReadFile(busyStat); err == nil {
		micros, err := parseField(text, "usage_usec")
		if err != nil {
			return fmt.Errorf("%s: %w", busyStat, err)
		}
		seen.Busy = time.Duration(micros) * time.Microsecond
		seen.Memory, err = readNumber(memoryStat)
		return err
	}
	nanos, err := readNumber(busyFile)
	if err != nil {
		return err
	}
	seen.Busy = time.Duration(nanos)
	seen.Memory, err = readNumber(memoryFile)
	return err
}

func readNumber(path string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
}

// parseField reads a number from lines of a name and a number.
func parseField(text []byte, name string) (int64, error) {
	for line := range bytes.Lines(text) {
		words := bytes.Fields(line)
		if len(words) == 2 && string(words[0]) == name {
			return strconv.ParseInt(string(words[1]), 10, 64)
		}
	}
	return 0, fmt.Errorf("it has no %s", name)
}

// parseEchoes reads how many echo requests the kernel got from /proc/net/snmp: a
// line of names, and one of numbers, for each protocol.
func parseEchoes(snmp []byte) (int, error) {
	var names [][]byte
	for lines := bufio.NewScanner(bytes.NewReader(snmp)); lines.Scan(); {
		words := bytes.Fields(lines.Bytes())
		if len(words) == 0 || string(words[0]) != "Icmp:" {
			continue
		}
		if names == nil {
			names = slices.Clone(words)
			for i := range names {
				names[i] = bytes.Clone(names[i])
			}
			continue
		}
		at := slices.IndexFunc(names, func(name []byte) bool { return string(name) == "InEchos" })
		if at < 0 || at >= len(words) {
			break
		}
		return strconv.Atoi(string(words[at]))
	}
	return 0, errors.New("/proc/net/snmp has no count of ICMP's InEchos")
}
