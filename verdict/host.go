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

// onHost: what the machine under the run was short of while users were counted.
func (e *Evidence) onHost() string {
	var over, waited, stolen float64
	for _, host := range history.All[history.Host](e.Events) {
		if host.At < e.period.from || host.At > e.period.to {
			continue
		}
		seconds := host.Data.Over.D().Seconds()
		over += seconds
		waited += seconds * told(host.Data.CPUWait)
		stolen += seconds * told(host.Data.Stolen)
	}
	switch {
	case over == 0:
		return ""
	case stolen/over >= muchStolen:
		return fmt.Sprintf("a hypervisor took %s of the machine's processors meanwhile: what was measured is its doing, too", percent(stolen/over))
	case waited/over >= muchWaiting:
		return fmt.Sprintf("the machine was busy: for %s of the time something waited for a processor", percent(waited/over))
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
