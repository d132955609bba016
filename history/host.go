package history

// Host is how short the machine was of what everything on it shares, in a stretch that
// ends at the event. A share that the kernel does not tell is null.
type Host struct {
	Over Duration `json:"over"` // the length of the stretch
	// Shares of that time, from 0 to 1, in which at least one task waited for a
	// processor, for memory to be freed, or for a disk: the "some" of /proc/pressure.
	CPUWait    *float64 `json:"cpuWait"`
	MemoryWait *float64 `json:"memoryWait"`
	IOWait     *float64 `json:"ioWait"`
	// Stolen is the share of the processors' time that a hypervisor gave to others.
	Stolen *float64 `json:"stolen"`
}

// EventType implements Payload.
func (Host) EventType() string { return "host" }
