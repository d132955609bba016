package agent

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// maxHeld is how many packets a queue holds. One more is let through at once:
	// at 20 ms it takes 3 million packets a second to get there.
	maxHeld = 1 << 16
	// socketBuffer, in bytes, holds the kernel's word of so many packets too.
	socketBuffer = 16 << 20
	// firstQueue is where the search for a free queue number starts: others who use
	// queues tend to take the low numbers.
	firstQueue, lastQueue = 27000, 27999
)

// From linux/netfilter/nfnetlink_queue.h.
const (
	queueMsgPacket       = unix.NFNL_SUBSYS_QUEUE << 8
	queueMsgConfig       = unix.NFNL_SUBSYS_QUEUE<<8 | 2
	queueMsgVerdictBatch = unix.NFNL_SUBSYS_QUEUE<<8 | 3

	queuePacketHeader  = 1 // of a packet: its number, and more
	queueVerdictHeader = 2

	queueConfigCommand = 1
	queueConfigParams  = 2
	queueConfigMaxLen  = 3
	queueConfigMask    = 4
	queueConfigFlags   = 5

	queueBind     = 1
	queueCopyMeta = 1
	queueFailOpen = 1 << 0 // full, it lets packets through
	queueGSO      = 1 << 2 // it takes packets that are yet to be cut into segments

	verdictAccept = 1
)

// kernelQueue holds packets in the kernel until they are accepted. It is spoken to
// by plain reads and writes of one thread: what comes of a packet here is only its
// number, and a general netlink library spends more on it than all of the delay.
type kernelQueue struct {
	number uint16
	conn   *netlink.Conn
	fd     int // of conn

	in      [1024]byte // a packet's message is some 100 bytes long
	verdict [32]byte
}

// openKernelQueue takes the first free queue number of a network namespace.
func openKernelQueue(netns int) (*kernelQueue, error) {
	for number := uint16(firstQueue); number <= lastQueue; number++ {
		q, err := bindKernelQueue(netns, number)
		if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EEXIST) {
			continue // somebody else's
		}
		return q, err
	}
	return nil, fmt.Errorf("no free packet queue: the numbers %d to %d are all taken", firstQueue, lastQueue)
}

func bindKernelQueue(netns int, number uint16) (*kernelQueue, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: netns})
	if err != nil {
		return nil, fmt.Errorf("open a packet queue: %w", err)
	}
	q := &kernelQueue{number: number, conn: conn}
	err = errors.Join(conn.SetReadBuffer(socketBuffer), conn.SetOption(netlink.NoENOBUFS, true), q.bind())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bind packet queue %d: %w", number, err), conn.Close())
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { q.fd = int(fd) })
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bind packet queue %d: %w", number, err), conn.Close())
	}
	q.prepareVerdict()
	return q, nil
}

func (q *kernelQueue) bind() error {
	attributes := netlink.NewAttributeEncoder()
	attributes.ByteOrder = binary.BigEndian
	attributes.Bytes(queueConfigCommand, []byte{queueBind, 0, 0, unix.AF_INET})
	attributes.Bytes(queueConfigParams, []byte{0, 0, 0, 0, queueCopyMeta})
	attributes.Uint32(queueConfigMaxLen, maxHeld)
	attributes.Uint32(queueConfigMask, queueFailOpen|queueGSO)
	attributes.Uint32(queueConfigFlags, queueFailOpen|queueGSO)
	body, err := attributes.Encode()
	if err != nil {
		return err
	}
	_, err = q.conn.Execute(netlink.Message{
		Header: netlink.Header{Type: queueMsgConfig, Flags: netlink.Request | netlink.Acknowledge},
		Data:   append(q.header(), body...),
	})
	return err
}

// header is what every message about the queue begins with.
func (q *kernelQueue) header() []byte {
	return binary.BigEndian.AppendUint16([]byte{unix.AF_UNSPEC, unix.NFNETLINK_V0}, q.number)
}

// prepareVerdict writes the message that accepts packets, all but the number.
func (q *kernelQueue) prepareVerdict() {
	binary.NativeEndian.PutUint32(q.verdict[0:], uint32(len(q.verdict)))
	binary.NativeEndian.PutUint16(q.verdict[4:], queueMsgVerdictBatch)
	binary.NativeEndian.PutUint16(q.verdict[6:], unix.NLM_F_REQUEST)
	copy(q.verdict[16:], q.header())
	binary.NativeEndian.PutUint16(q.verdict[20:], 12)
	binary.NativeEndian.PutUint16(q.verdict[22:], queueVerdictHeader)
	binary.BigEndian.PutUint32(q.verdict[24:], verdictAccept)
}

// next is the number of the next packet that has come, if one has.
func (q *kernelQueue) next() (id uint32, some bool) {
	for {
		n, err := unix.Read(q.fd, q.in[:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, false
		}
		// Others are the kernel's answers to verdicts on packets that went away with
		// their device.
		if id, some := packetID(q.in[:n]); some {
			return id, true
		}
	}
}

// packetID reads the number of a packet from the kernel's word of it. The kernel
// puts the number first, but does not promise to.
func packetID(message []byte) (id uint32, some bool) {
	const header = unix.NLMSG_HDRLEN + 4
	if len(message) < header || binary.NativeEndian.Uint16(message[4:6]) != queueMsgPacket {
		return 0, false
	}
	for rest := message[header:]; len(rest) >= 4; {
		size := int(binary.NativeEndian.Uint16(rest[0:2]))
		if size < 4 || size > len(rest) {
			return 0, false
		}
		if binary.NativeEndian.Uint16(rest[2:4]) == queuePacketHeader && size >= 8 {
			return binary.BigEndian.Uint32(rest[4:8]), true
		}
		rest = rest[min(len(rest), (size+3)&^3):]
	}
	return 0, false
}

// accept lets a packet go and all that came before it. A failure means that the
// queue or the packets are gone: nothing is held then.
func (q *kernelQueue) accept(upTo uint32) {
	binary.BigEndian.PutUint32(q.verdict[28:], upTo)
	_, _ = unix.Write(q.fd, q.verdict[:])
}

// close gives the queue back. The kernel drops what it still holds.
func (q *kernelQueue) close() error {
	if err := q.conn.Close(); err != nil {
		return fmt.Errorf("close packet queue %d: %w", q.number, err)
	}
	return nil
}
