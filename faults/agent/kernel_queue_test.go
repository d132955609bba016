package agent

import (
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPacketID(t *testing.T) {
	message := func(kind uint16, attributes ...byte) []byte {
		head := make([]byte, 20)
		binary.NativeEndian.PutUint16(head[4:], unix.NFNL_SUBSYS_QUEUE<<8|kind)
		return append(head, attributes...)
	}
	attribute := func(size, kind uint16, data ...byte) []byte {
		head := binary.NativeEndian.AppendUint16(nil, size)
		return append(binary.NativeEndian.AppendUint16(head, kind), data...)
	}
	number, other := attribute(11, 1, 0, 0, 1, 2, 8, 0, 0, 0), attribute(5, 9, 1, 0, 0, 0)
	for _, test := range []struct {
		why     string
		message []byte
		some    bool
	}{
		{"as the kernel sends it", message(0, slices.Concat(number, other)...), true},
		{"behind another attribute", message(0, slices.Concat(other, number)...), true},
		{"without a number", message(0, other...), false},
		{"an answer to a verdict", slices.Concat(attribute(0, 0), attribute(2, 0), make([]byte, 12), number), false},
		{"cut short", message(0, number[:6]...), false},
		{"an attribute that says it has no length", message(0, attribute(0, 9)...), false},
		{"nothing", nil, false},
	} {
		id, some := packetID(test.message)
		if some != test.some || some && id != 0x102 {
			t.Errorf("%s: %d, %v", test.why, id, some)
		}
	}
}
