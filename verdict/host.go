package verdict

import (
	"fmt"

	"github.com/cutover-dev/cutover/history"
)

// Shares of the time from which on a machine was so short of something that people
// should know it when they read what was measured on it.
const (
	muchWaiting = 0.5
	muchStolen  = 0.05
)

// maxStolen is the share from which on what was measured is the hypervisor's doing, whatever the
// release did. There is no such limit on waiting: an experiment may be about a lack of processors
// or memory. What lack of them does to the measurement shows in the load generator's lateness.
const maxStolen = 0.25

// shortage is what the machine under the run was short of while users were counted, as shares
// of the time that was looked at.
type shortage struct{ waited, stolen float64 }

func (e *Evidence) shortage() (s shortage) {
	var over float64
	for _, host := range history.All[history.Host](e.Events) {
		if host.At < e.period.from || host.At > e.period.to {
			continue
		}
		seconds := host.Data.Over.D().Seconds()
		over += seconds
		s.waited += seconds * told(host.Data.CPUWait)
		s.stolen += seconds * told(host.Data.Stolen)
	}
	if over == 0 {
		return shortage{}
	}
	return shortage{s.waited / over, s.stolen / over}
}

// hostBroken: the machine's processors were the machine's own.
func hostBroken(e *Evidence) string {
	if s := e.shortage(); s.stolen >= maxStolen {
		return fmt.Sprintf("a hypervisor took %s of the machine's processors", percent(s.stolen))
	}
	return ""
}

// onHost is what people should know of the machine.
func (e *Evidence) onHost() string {
	switch s := e.shortage(); {
	case s.stolen >= muchStolen:
		return fmt.Sprintf("a hypervisor took %s of the machine's processors meanwhile: what was measured is its doing, too", percent(s.stolen))
	case s.waited >= muchWaiting:
		return fmt.Sprintf("the machine was busy: for %s of the time something waited for a processor", percent(s.waited))
	}
	return ""
}

// told is a share, or 0 if nobody told it.
func told(share *float64) float64 {
	if share == nil {
		return 0
	}
	return *share
}
